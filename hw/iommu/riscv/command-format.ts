/**
 * Formats of the 16-byte commands (spec "Command-Queue"): which words are legal, and what the
 * invalidation commands ask for. Words are values, low to high.
 */
import {
  OP_INVALIDATE_CONTEXT,
  OP_INVALIDATE_TRANSLATIONS,
  type Operation,
  TAG_NONE,
} from '../architecture.ts';
import type { Capabilities } from './capabilities.ts';

// Opcode (bits 6:0) and function (bits 9:7) together.
const command = (opcode: number, func3: number): number => opcode | (func3 << 7);
export const IOTINVAL_VMA: number = command(1, 0);
export const IOTINVAL_GVMA: number = command(1, 1);
export const IOFENCE_C: number = command(2, 0);
export const IODIR_INVAL_DDT: number = command(3, 0);
export const IODIR_INVAL_PDT: number = command(3, 1);
export const ATS_INVAL: number = command(4, 0);
export const ATS_PRGR: number = command(4, 1);

const OPCODE_MASK = 0x7f;
export const CODE_MASK: number = 0x3ff;

/** Name, and reserved bits of the four words (low to high), of each defined command. */
interface CommandLayout {
  readonly name: string;
  readonly reserved: readonly [number, number, number, number];
}

/** IOTINVAL: bit 11, 43:35, 63:60, 72:64, 127:126; NL (34) and S (73) depend on extensions. */
const IOTINVAL_RESERVED = [1 << 11, 0xf0000ff8, 0x1ff, 0xc0000000] as const;
const ATS_RESERVED = [0xc00, 0xfc, 0, 0] as const;

const COMMANDS: ReadonlyMap<number, CommandLayout> = new Map([
  [IOTINVAL_VMA, { name: 'IOTINVAL.VMA', reserved: IOTINVAL_RESERVED }],
  // PSCV (bit 32) must be 0.
  [IOTINVAL_GVMA, { name: 'IOTINVAL.GVMA', reserved: [1 << 11, 0xf0000ff9, 0x1ff, 0xc0000000] }],
  [IOFENCE_C, { name: 'IOFENCE.C', reserved: [0xffffc000, 0, 0, 0xc0000000] }],
  // PID is reserved too.
  [IODIR_INVAL_DDT, { name: 'IODIR.INVAL_DDT', reserved: [0xfffffc00, 0xfd, -1, -1] }],
  [IODIR_INVAL_PDT, { name: 'IODIR.INVAL_PDT', reserved: [0xc00, 0xfd, -1, -1] }],
  [ATS_INVAL, { name: 'ATS.INVAL', reserved: ATS_RESERVED }],
  [ATS_PRGR, { name: 'ATS.PRGR', reserved: ATS_RESERVED }],
]);

export const AV: number = 1 << 10;
export const FENCE_WSI: number = 1 << 11;
export const FENCE_PR: number = 1 << 12;
export const FENCE_PW: number = 1 << 13;
// High word of the first doubleword.
const PSCV = 1 << 0;
const GV = 1 << 1;
const NL = 1 << 2;
const DV = 1 << 1;
export const ATS_PV: number = 1 << 0;
export const ATS_DSV: number = 1 << 1;
// Low word of the second doubleword.
const RANGE = 1 << 9;

/** What legality depends on beside the command. */
export interface CommandRules {
  readonly caps: Capabilities;
  /** Wired interrupts are enabled (`fctl.WSI`). */
  wired: boolean;
  /** Width of device ids in the present `ddtp.iommu_mode`. */
  deviceIdBits: number;
}

/** Name of a command by opcode and function (bits 9:0), `null` if it is not defined. */
export function commandName(code: number): string | null {
  return COMMANDS.get(code)?.name ?? null;
}

/** The command is defined, implemented, and sets no reserved bit. */
export function commandLegal(words: Int32Array, rules: CommandRules): boolean {
  const layout = COMMANDS.get(words[0] & CODE_MASK);
  if (layout === undefined) return false;
  for (let i = 0; i < 4; i++) if ((words[i] & layout.reserved[i]) !== 0) return false;
  const { caps } = rules;
  switch (words[0] & OPCODE_MASK) {
    case 1:
      return (caps.nl || (words[1] & NL) === 0) && (caps.s || (words[2] & RANGE) === 0);
    case 2:
      return rules.wired || (words[0] & FENCE_WSI) === 0;
    case 3:
      return legalDirectoryIds(words, rules);
    default:
      return caps.ats;
  }
}

/** DID no wider than the mode's directory; PID no wider than the IOMMU supports. */
function legalDirectoryIds(words: Int32Array, rules: CommandRules): boolean {
  const withDevice = (words[1] & DV) !== 0;
  if (withDevice && words[1] >>> 8 >= 2 ** rules.deviceIdBits) return false;
  if ((words[0] & CODE_MASK) === IODIR_INVAL_DDT) return true;
  const { caps } = rules;
  const bits = caps.pd20 ? 20 : caps.pd17 ? 17 : 8;
  return withDevice && words[0] >>> 12 < 2 ** bits;
}

/** IODIR: which cached contexts. */
export function decodeDirectoryInvalidation(words: Int32Array, operation: Operation): void {
  operation.kind = OP_INVALIDATE_CONTEXT;
  operation.deviceMask = 0;
  operation.domain = -1;
  operation.deviceId = (words[1] & DV) !== 0 ? words[1] >>> 8 : -1;
  const pid = operation.code === IODIR_INVAL_PDT ? words[0] >>> 12 : -1;
  // With DC.tc.DPE process 0 also serves requests without a process id: drop all of the device.
  operation.pasid = pid === 0 ? -1 : pid;
}

/** IOTINVAL: which tags and which addresses, with the NL and S extensions. */
export function decodeTranslationInvalidation(words: Int32Array, operation: Operation): void {
  const guest = operation.code === IOTINVAL_GVMA;
  const gv = (words[1] & GV) !== 0;
  const pscv = (words[1] & PSCV) !== 0;
  const gscid = (words[1] >>> 12) & 0xffff;
  operation.kind = OP_INVALIDATE_TRANSLATIONS;
  operation.stage = guest ? 0 : 1;
  operation.guestAddress = guest ? 1 : 0;
  // VMA without GV is about the host's own translations, GVMA without GV about all guests.
  operation.tag2 = gv ? gscid : guest ? -1 : TAG_NONE;
  operation.tag1 = pscv ? words[0] >>> 12 : -1;
  operation.includeGlobal = pscv ? 0 : 1;
  const address = (words[0] & AV) !== 0 && (gv || !guest);
  operation.hasAddress = address ? 1 : 0;
  operation.leafOnly = address && (words[1] & NL) === 0 ? 1 : 0;
  operation.hi = 0;
  operation.lo = 0;
  operation.order = 0;
  if (address) decodeRange(words, operation);
}

/** ADDR (bits 125:74), a NAPOT range where S is 1: trailing ones, then a zero, give its size. */
function decodeRange(words: Int32Array, operation: Operation): void {
  let lo = (words[2] >>> 10) | ((words[3] & 0x1f) << 22);
  let hi = (words[3] >>> 5) & 0x1ffffff;
  if ((words[2] & RANGE) !== 0) {
    let order = 0;
    while (order < 52 && bitOf(hi, lo, order) === 1) order++;
    operation.order = Math.min(order + 1, 52);
    if (operation.order >= 27) {
      lo = 0;
      hi = clearLow(hi, operation.order - 27);
    } else {
      lo = clearLow(lo, operation.order);
    }
  }
  operation.hi = hi;
  operation.lo = lo;
}

function bitOf(hi: number, lo: number, bit: number): number {
  return bit < 27 ? (lo >>> bit) & 1 : (hi >>> (bit - 27)) & 1;
}

function clearLow(value: number, bits: number): number {
  return (value >>> bits) << bits;
}
