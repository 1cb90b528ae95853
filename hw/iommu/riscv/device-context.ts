/**
 * Device context (spec "Device-Directory-Table"): layout of its doublewords, the configuration
 * checks, and what translation needs of it. Words are values (byte order already undone); word 2k
 * is the low and 2k + 1 the high half of doubleword k.
 */
import {
  type Capabilities,
  decodeCapabilities,
  FCTL_BE,
  FCTL_GXL,
  type RiscvIommuSpec,
} from './capabilities.ts';
import { maskHi, rootHi, rootLo } from './words.ts';

/** What the checks of device and process contexts depend on beside the context itself. */
export interface Instance {
  readonly caps: Capabilities;
  /** `fctl.BE` and `fctl.GXL` as they are now. */
  readonly bigEndian: boolean;
  readonly gxl: boolean;
  readonly gxlWritable: boolean;
  readonly beWritable: boolean;
}

export function instanceOf(spec: RiscvIommuSpec, fctl: number): Instance {
  return {
    caps: decodeCapabilities(spec.capabilities),
    bigEndian: (fctl & FCTL_BE) !== 0,
    gxl: (fctl & FCTL_GXL) !== 0,
    gxlWritable: spec.gxlWritable,
    beWritable: spec.beWritable,
  };
}

export interface DeviceContext {
  readonly enAts: boolean;
  readonly enPri: boolean;
  readonly t2gpa: boolean;
  readonly dtf: boolean;
  readonly pdtv: boolean;
  readonly prpr: boolean;
  readonly gade: boolean;
  readonly sade: boolean;
  readonly dpe: boolean;
  readonly sbe: boolean;
  readonly sxl: boolean;
  readonly iohgatpMode: number;
  readonly gscid: number;
  readonly iohgatpHi: number;
  readonly iohgatpLo: number;
  readonly pscid: number;
  /** `iosatp` or, with PDTV, `pdtp`. */
  readonly fscMode: number;
  readonly fscHi: number;
  readonly fscLo: number;
  /** MSI page table in use (msiptp.MODE = Flat), its root, address mask and pattern. */
  readonly msi: boolean;
  readonly msiHi: number;
  readonly msiLo: number;
  readonly maskHi: number;
  readonly maskLo: number;
  readonly patternHi: number;
  readonly patternLo: number;
}

/** What a context's `arch` field holds. */
export interface RiscvContext {
  readonly device: DeviceContext;
  /** Supervisor requests are refused: the process context has ENS = 0. */
  readonly userOnly: boolean;
}

/** Valid bit of contexts and directory entries. */
export const VALID = 1;

const EN_ATS = 1 << 1;
const EN_PRI = 1 << 2;
const T2GPA = 1 << 3;
const DTF = 1 << 4;
const PDTV = 1 << 5;
const PRPR = 1 << 6;
const GADE = 1 << 7;
const SADE = 1 << 8;
const DPE = 1 << 9;
const SBE = 1 << 10;
const SXL = 1 << 11;

const TC = 0;
const IOHGATP = 2;
const TA = 4;
const FSC = 6;
const MSIPTP = 8;
const MSI_MASK = 10;
const MSI_PATTERN = 12;

/** Reserved bits: [word, mask]. Bits 31:24 of tc are for custom use. */
const RESERVED_BASE: readonly (readonly [number, number])[] = [
  [TC, 0x00fff000],
  [TC + 1, -1],
  [TA, 0xfff],
  [TA + 1, 0xff],
  [FSC + 1, 0x0ffff000],
];
const RESERVED_EXTENDED: readonly (readonly [number, number])[] = [
  ...RESERVED_BASE,
  [MSIPTP + 1, 0x0ffff000],
  [MSI_MASK + 1, 0xfff00000],
  [MSI_PATTERN + 1, 0xfff00000],
  [14, -1],
  [15, -1],
];
/** RCID and MCID in ta, reserved without QoS identifiers. */
const QOS_IDS = 0xffffff00;

export const BARE = 0;
export const MODE_8 = 8;
const MODE_SHIFT = 28;

/** `pdtp.MODE`: number of directory levels; process id bits of each. */
export const PROCESS_ID_BITS = [0, 8, 17, 20] as const;

export function deviceContextBytes(msiFlat: boolean): number {
  return msiFlat ? 64 : 32;
}

/** Bits of a device id that index the last directory level, and all levels but the first. */
export function leafIndexBits(msiFlat: boolean): number {
  return msiFlat ? 6 : 7;
}

/** Width of device ids in a `ddtp.iommu_mode`: 1LVL, 2LVL, else all 24 bits. */
export function deviceIdBits(mode: number, msiFlat: boolean): number {
  const leaf = leafIndexBits(msiFlat);
  if (mode === 2) return leaf;
  return mode === 3 ? leaf + 9 : 24;
}

/** The first stage's paging mode is legal and supported (tables of `iosatp.MODE` encodings). */
export function firstStageSupported(caps: Capabilities, sxl: boolean, mode: number): boolean {
  if (mode === BARE) return true;
  if (sxl) return mode === MODE_8 && caps.sv32;
  const supported = [caps.sv39, caps.sv48, caps.sv57];
  return supported[mode - MODE_8] === true;
}

/** Likewise the second stage's (tables of `iohgatp.MODE` encodings). */
function secondStageSupported(caps: Capabilities, gxl: boolean, mode: number): boolean {
  if (mode === BARE) return true;
  if (gxl) return mode === MODE_8 && caps.sv32x4;
  const supported = [caps.sv39x4, caps.sv48x4, caps.sv57x4];
  return supported[mode - MODE_8] === true;
}

function processDirectorySupported(caps: Capabilities, mode: number): boolean {
  return [true, caps.pd8, caps.pd17, caps.pd20][mode] === true;
}

const modeOf = (high: number): number => high >>> MODE_SHIFT;

/** Spec "Device-context configuration checks": any of them makes the context misconfigured. */
export function deviceMisconfigured(words: Int32Array, instance: Instance): boolean {
  const { caps } = instance;
  const reserved = caps.msiFlat ? RESERVED_EXTENDED : RESERVED_BASE;
  for (const [word, mask] of reserved) if ((words[word] & mask) !== 0) return true;
  if (!caps.qosid && (words[TA + 1] & QOS_IDS) !== 0) return true;
  return (
    controlMisconfigured(words[TC], modeOf(words[IOHGATP + 1]), instance) ||
    stagesMisconfigured(words, instance) ||
    (caps.msiFlat && msiMisconfigured(words, caps))
  );
}

/** The bits of tc against the capabilities and each other. */
function controlMisconfigured(tc: number, iohgatpMode: number, instance: Instance): boolean {
  const { caps } = instance;
  const has = (bit: number): boolean => (tc & bit) !== 0;
  if (!caps.ats && has(EN_ATS | EN_PRI | PRPR)) return true;
  if (!has(EN_ATS) && has(T2GPA | EN_PRI)) return true;
  if (!has(EN_PRI) && has(PRPR)) return true;
  if (has(T2GPA) && (!caps.t2gpa || iohgatpMode === BARE)) return true;
  if (!has(PDTV) && has(DPE)) return true;
  if (!caps.amoHwad && has(SADE | GADE)) return true;
  if ((!caps.end || !instance.beWritable) && has(SBE) !== instance.bigEndian) return true;
  return instance.gxl ? !has(SXL) : !instance.gxlWritable && has(SXL);
}

function stagesMisconfigured(words: Int32Array, instance: Instance): boolean {
  const { caps, gxl } = instance;
  const tc = words[TC];
  const fscMode = modeOf(words[FSC + 1]);
  const fscSupported =
    (tc & PDTV) !== 0
      ? processDirectorySupported(caps, fscMode)
      : firstStageSupported(caps, (tc & SXL) !== 0, fscMode);
  if (!fscSupported) return true;
  const mode = modeOf(words[IOHGATP + 1]);
  if (!secondStageSupported(caps, gxl, mode)) return true;
  // The root table is 16 KiB and aligned to its size.
  return mode !== BARE && (words[IOHGATP] & 3) !== 0;
}

function msiMisconfigured(words: Int32Array, caps: Capabilities): boolean {
  const mode = modeOf(words[MSIPTP + 1]);
  if (mode > 1) return true;
  if (mode !== 0 && modeOf(words[IOHGATP + 1]) === BARE) return true;
  const width = guestAddressBits(caps) - 12;
  return aboveWidth(words, MSI_MASK, width) || aboveWidth(words, MSI_PATTERN, width);
}

/** MGPAW: the widest guest address, which bounds the MSI address mask and pattern. */
export function guestAddressBits(caps: Capabilities): number {
  if (caps.sv57x4) return 59;
  if (caps.sv48x4) return 50;
  if (caps.sv39x4) return 41;
  return caps.sv32x4 ? 34 : caps.pas;
}

function aboveWidth(words: Int32Array, word: number, bits: number): boolean {
  if (bits >= 32) return words[word + 1] >>> (bits - 32) !== 0;
  return words[word + 1] !== 0 || words[word] >>> bits !== 0;
}

export function decodeDevice(words: Int32Array, caps: Capabilities): DeviceContext {
  const tc = words[TC];
  const has = (bit: number): boolean => (tc & bit) !== 0;
  const extended = caps.msiFlat;
  const at = (word: number): number => (extended ? words[word] : 0);
  return {
    enAts: has(EN_ATS),
    enPri: has(EN_PRI),
    t2gpa: has(T2GPA),
    dtf: has(DTF),
    pdtv: has(PDTV),
    prpr: has(PRPR),
    gade: has(GADE),
    sade: has(SADE),
    dpe: has(DPE),
    sbe: has(SBE),
    sxl: has(SXL),
    iohgatpMode: modeOf(words[IOHGATP + 1]),
    gscid: (words[IOHGATP + 1] >>> 12) & 0xffff,
    iohgatpHi: rootHi(words[IOHGATP], words[IOHGATP + 1]),
    iohgatpLo: rootLo(words[IOHGATP]),
    pscid: words[TA] >>> 12,
    fscMode: modeOf(words[FSC + 1]),
    fscHi: rootHi(words[FSC], words[FSC + 1]),
    fscLo: rootLo(words[FSC]),
    msi: modeOf(at(MSIPTP + 1)) !== 0,
    msiHi: rootHi(at(MSIPTP), at(MSIPTP + 1)),
    msiLo: rootLo(at(MSIPTP)),
    maskHi: maskHi(at(MSI_MASK), at(MSI_MASK + 1)),
    maskLo: rootLo(at(MSI_MASK)),
    patternHi: maskHi(at(MSI_PATTERN), at(MSI_PATTERN + 1)),
    patternLo: rootLo(at(MSI_PATTERN)),
  };
}
