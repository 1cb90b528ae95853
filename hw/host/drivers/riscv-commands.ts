/**
 * Command encodings of the RISC-V IOMMU (specification 1.0, "In-memory queue interface", Command
 * queue): 16 bytes as four little-endian words. -1 leaves an identifier out.
 */

const OPCODE_IOTINVAL = 1;
const OPCODE_IOFENCE = 2;
const OPCODE_IODIR = 3;
const OPCODE_ATS = 4;
const FUNC_SHIFT = 7;
const FUNC_VMA = 0;
const FUNC_GVMA = 1;
const FUNC_PRGR = 1;
/** The address (of an invalidation, of a fence's store) is valid. */
const AV = 1 << 10;
const IOFENCE_PR = 1 << 12;
const IOFENCE_PW = 1 << 13;
const ID_SHIFT = 12;
// High word of the first doubleword.
const PSCV = 1 << 0;
const GV = 1 << 1;
const DV = 1 << 1;
/** ATS: the PASID, the segment are valid. */
const PV = 1 << 0;
const DSV = 1 << 1;
const GSCID_SHIFT = 12;
const DID_SHIFT = 8;

/** IOTINVAL.VMA: first-stage translations, of one address space or one page of it. */
export function encodeInvalVma(out: Int32Array, pscid: number, gscid: number): void {
  out[0] = OPCODE_IOTINVAL | (FUNC_VMA << FUNC_SHIFT) | (pscid >= 0 ? pscid << ID_SHIFT : 0);
  out[1] = (pscid >= 0 ? PSCV : 0) | (gscid >= 0 ? GV | (gscid << GSCID_SHIFT) : 0);
  out[2] = 0;
  out[3] = 0;
}

/** IOTINVAL.GVMA: second-stage translations, of all guests or one. */
export function encodeInvalGvma(out: Int32Array, gscid: number): void {
  out[0] = OPCODE_IOTINVAL | (FUNC_GVMA << FUNC_SHIFT);
  out[1] = gscid >= 0 ? GV | (gscid << GSCID_SHIFT) : 0;
  out[2] = 0;
  out[3] = 0;
}

/** Restricts an IOTINVAL to one page: ADDR[63:12] is at bits 61:10 of the second doubleword. */
export function restrictToPage(out: Int32Array, hi: number, lo: number): void {
  out[0] |= AV;
  out[2] = lo << 10;
  out[3] = (lo >>> 22) | (hi << 5);
}

/** IOFENCE.C that drains reads and writes and stores `data` at (hi, lo, offset) when done. */
export function encodeFence(
  out: Int32Array,
  data: number,
  hi: number,
  lo: number,
  offset: number,
): void {
  out[0] = OPCODE_IOFENCE | AV | IOFENCE_PR | IOFENCE_PW;
  out[1] = data;
  out[2] = (lo << 10) | (offset >>> 2);
  out[3] = (lo >>> 22) | (hi << 5);
}

/** IODIR.INVAL_DDT: the cached context of one device, or of all. */
export function encodeInvalDdt(out: Int32Array, deviceId: number): void {
  out[0] = OPCODE_IODIR;
  out[1] = deviceId >= 0 ? DV | (deviceId << DID_SHIFT) : 0;
  out[2] = 0;
  out[3] = 0;
}

/**
 * ATS.PRGR: response to a group of page requests, whose payload is that of the message (PCIe, "Page
 * Request Group Response Message"): group index, response code, destination. Segment 0 is left out.
 */
export function encodePageResponse(
  out: Int32Array,
  deviceId: number,
  pasid: number,
  group: number,
  code: number,
): void {
  const requester = deviceId & 0xffff;
  const segment = (deviceId >>> 16) & 0xff;
  out[0] = OPCODE_ATS | (FUNC_PRGR << FUNC_SHIFT) | (pasid >= 0 ? pasid << ID_SHIFT : 0);
  out[1] =
    (pasid >= 0 ? PV : 0) | (segment > 0 ? DSV | (segment << 24) : 0) | (requester << DID_SHIFT);
  out[2] = 0;
  out[3] = group | (code << 12) | (requester << 16);
}
