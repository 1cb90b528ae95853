/**
 * Intel VT-d register offsets, fields, descriptor types and fault reasons. Names and section
 * numbers are those of the VT-d architecture specification (revision 4.x, chapters 6, 7, 9, 11).
 */

// Register offsets (11.4).
export const VER = 0x00;
export const CAP = 0x08;
export const ECAP = 0x10;
export const GCMD = 0x18;
export const GSTS = 0x1c;
export const RTADDR = 0x20;
export const CCMD = 0x28;
export const FSTS = 0x34;
export const FECTL = 0x38;
export const FEDATA = 0x3c;
export const FEADDR = 0x40;
export const FEUADDR = 0x44;
export const PMEN = 0x64;
export const PLMBASE = 0x68;
export const PLMLIMIT = 0x6c;
export const PHMBASE = 0x70;
export const PHMLIMIT = 0x78;
export const IQH = 0x80;
export const IQT = 0x88;
export const IQA = 0x90;
export const ICS = 0x9c;
export const IECTL = 0xa0;
export const IEDATA = 0xa4;
export const IEADDR = 0xa8;
export const IEUADDR = 0xac;
export const IQERCD = 0xb0;
export const IRTA = 0xb8;

// GCMD and GSTS share bit positions (11.4.4).
export const GCMD_TE = 0x80000000;
export const GCMD_SRTP = 0x40000000;
export const GCMD_WBF = 0x08000000;
export const GCMD_QIE = 0x04000000;
export const GCMD_IRE = 0x02000000;
export const GCMD_SIRTP = 0x01000000;
export const GCMD_CFI = 0x00800000;

// High words of CCMD and of the IOTLB invalidate register.
export const CCMD_ICC = 0x80000000;
export const CCMD_CAIG_SHIFT = 27;
export const IOTLB_IVT = 0x80000000;
export const IOTLB_IAIG_SHIFT = 25;
/** Actual granularity "global", in the CAIG and IAIG fields. */
export const GRANULARITY_GLOBAL = 1;

// FSTS (11.4.9).
export const FSTS_PFO = 0x01;
export const FSTS_PPF = 0x02;
export const FSTS_IQE = 0x10;
export const FSTS_ICE = 0x20;
export const FSTS_ITE = 0x40;
export const FSTS_FRI_SHIFT = 8;
export const FSTS_FRI_MASK = 0xff00;
/** Conditions that a fault event reports: all of the above. */
export const FSTS_EVENTS = 0x73;

// FECTL and IECTL share bit positions.
export const EVENT_IM = 0x80000000;
export const EVENT_IP = 0x40000000;
export const ICS_IWC = 1;

export const PMEN_EPM = 0x80000000;
export const PMEN_PRS = 1;

// Fault recording register, high half (11.4.14): word 2 and word 3.
export const FRCD_BYTES = 16;
export const FRCD_F = 0x80000000;
export const FRCD_T1 = 0x40000000;
export const FRCD_AT_SHIFT = 28;

// Invalidation queue (6.5.2).
export const IQA_DW = 0x800;
export const IQA_QS_MASK = 7;
export const IQT_QT_MASK = 0x7fff0;
export const DESC_CONTEXT = 1;
export const DESC_IOTLB = 2;
export const DESC_DEVICE_TLB = 3;
export const DESC_IEC = 4;
export const DESC_WAIT = 5;
export const WAIT_IF = 0x10;
export const WAIT_SW = 0x20;
export const WAIT_FN = 0x40;
export const GRANULARITY_DOMAIN = 2;
/** Device-selective for the context cache, page-selective for the IOTLB. */
export const GRANULARITY_NARROW = 3;

// IQERCD.IQEI: what caused IQE (11.4.9.10).
export const IQEI_TAIL = 1;
export const IQEI_FETCH = 2;
export const IQEI_TYPE = 3;
export const IQEI_RESERVED = 4;

// Fault reasons of legacy mode (7.1.3).
export const REASON_ROOT_NOT_PRESENT = 0x01;
export const REASON_CONTEXT_NOT_PRESENT = 0x02;
export const REASON_CONTEXT_INVALID = 0x03;
export const REASON_ADDRESS_WIDTH = 0x04;
export const REASON_WRITE = 0x05;
export const REASON_READ = 0x06;
export const REASON_PAGING_ACCESS = 0x07;
export const REASON_ROOT_ACCESS = 0x08;
export const REASON_CONTEXT_ACCESS = 0x09;
export const REASON_ROOT_RESERVED = 0x0a;
export const REASON_CONTEXT_RESERVED = 0x0b;
export const REASON_PAGING_RESERVED = 0x0c;
export const REASON_TYPE_BLOCKED = 0x0d;
export const REASON_INTERRUPT_RANGE = 0x0e;
/** The root table address names a table mode that the unit does not have. */
export const REASON_TABLE_MODE = 0x30;
/** A request with PASID while the table mode is legacy. */
export const REASON_PASID_IN_LEGACY = 0x31;
export const REASON_PAGE_REQUEST_IN_LEGACY = 0x32;
/** Added to a reason: the request is aborted, but nothing is recorded. */
export const UNRECORDED = 0x100;

/** First page of the interrupt address range 0xFEE00000..0xFEEFFFFF and pages in it (3.14). */
export const INTERRUPT_FIRST_PAGE = 0xfee00;
export const INTERRUPT_PAGES = 0x100;
