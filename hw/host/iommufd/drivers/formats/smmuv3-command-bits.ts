/**
 * The bits that each invalidation command of a guest may set on SMMUv3, as a newer kernel than the
 * base tests them: any other bit is EIO. Which exist depends on what the hardware has.
 */
import { fail } from '../../../kernel/errno.ts';
import { SMMUV3_CMD, SMMUV3_CMD_OP } from '../../uapi/driver-constants.ts';
import { getField, hex, U64_MAX } from './bits.ts';

/** Features that bring fields of commands with them. */
export interface CommandSupport {
  /** Invalidation by range (IDR3.RIL): NUM, SCALE, TG, TTL. */
  readonly rangeInvalidation: boolean;
  /** Address transformations of 52 bits (IDR5.DS). */
  readonly largeAddresses: boolean;
  readonly ats: boolean;
  /** Substreams (PASIDs): SSV, SSID. */
  readonly substreams: boolean;
  /** 16-bit ASIDs (IDR0.ASID16). */
  readonly wideAsid: boolean;
}

// Fields of TLBI commands (Arm SMMUv3 specification, "TLB invalidation").
const { OP, TLBI_NUM, TLBI_SCALE, TLBI_VMID, TLBI_ASID, CFGI_SID, CFGI_SSID } = SMMUV3_CMD;
const SSV = 1n << 11n;
const ATC_GLOBAL = SMMUV3_CMD.ATC_GLOBAL;
const LEAF = 1n;
const TTL = 0x300n;
const TG = 0xc00n;
/** Top bit of SCALE, which only 52-bit addresses use. */
const SCALE_TOP = 1n << 25n;
const VA = ~0xfffn & U64_MAX;
const LOW_ASID = 0xff_0000_0000_0000n;
const ATC_SIZE = 0x3fn;
const ATC_ADDRESS = ~0xfffn & U64_MAX;
const ATC_SIZE_MAX = 52n;

export function checkCommandBits(
  command: readonly [bigint, bigint],
  support: CommandSupport,
): void {
  const [word0, word1] = command;
  const allowed = allowedBits(Number(word0 & OP), support);
  if (allowed === null) fail('EIO', `command ${hex(word0 & OP)} is not one that a guest may give`);
  const over0 = word0 & ~allowed[0] & U64_MAX;
  const over1 = word1 & ~allowed[1] & U64_MAX;
  if (over0 !== 0n) fail('EIO', `command word 0 sets bits that it does not have: ${hex(over0)}`);
  if (over1 !== 0n) fail('EIO', `command word 1 sets bits that it does not have: ${hex(over1)}`);
  const op = Number(word0 & OP);
  if (op === SMMUV3_CMD_OP.TLBI_NH_VA || op === SMMUV3_CMD_OP.TLBI_NH_VAA) {
    checkRange(word0, word1, support);
  }
  if (op === SMMUV3_CMD_OP.ATC_INV && getField(word1, ATC_SIZE) > ATC_SIZE_MAX) {
    fail('EIO', `ATC_INV Size ${getField(word1, ATC_SIZE)} is above 52`);
  }
}

/** Bits of both words that a command may set; null: not a command for guests. */
function allowedBits(op: number, support: CommandSupport): readonly [bigint, bigint] | null {
  const asid = support.wideAsid ? TLBI_ASID : LOW_ASID;
  const range = support.rangeInvalidation;
  const scale = TLBI_SCALE | (support.largeAddresses ? SCALE_TOP : 0n);
  const va0 = OP | TLBI_VMID | (range ? TLBI_NUM | scale : 0n);
  const va1 = LEAF | VA | (range ? TG | TTL : 0n);
  const substream = support.substreams ? CFGI_SSID : 0n;
  switch (op) {
    case SMMUV3_CMD_OP.TLBI_NSNH_ALL:
      return [OP, 0n];
    case SMMUV3_CMD_OP.TLBI_NH_ALL:
      return [OP | TLBI_VMID, 0n];
    case SMMUV3_CMD_OP.TLBI_NH_ASID:
      return [OP | TLBI_VMID | asid, 0n];
    case SMMUV3_CMD_OP.TLBI_NH_VAA:
      return [va0, va1];
    case SMMUV3_CMD_OP.TLBI_NH_VA:
      return [va0 | asid, va1];
    case SMMUV3_CMD_OP.ATC_INV: {
      if (!support.ats) return null;
      const fields = support.substreams ? SSV | substream | ATC_GLOBAL : 0n;
      return [OP | CFGI_SID | fields, ATC_SIZE | ATC_ADDRESS];
    }
    case SMMUV3_CMD_OP.CFGI_CD:
      return [OP | CFGI_SID | substream, LEAF];
    case SMMUV3_CMD_OP.CFGI_CD_ALL:
      return [OP | CFGI_SID, 0n];
    default:
      return null;
  }
}

/** A granule without a range means nothing, and a range needs its granule. */
function checkRange(word0: bigint, word1: bigint, support: CommandSupport): void {
  const granule = getField(word1, TG);
  const level = getField(word1, TTL);
  const others = getField(word0, TLBI_NUM) | (word0 & (TLBI_SCALE | SCALE_TOP)) | level;
  if (granule === 0n && others !== 0n) fail('EIO', 'NUM, SCALE or TTL without a granule TG');
  if (granule !== 0n && others === 0n) fail('EIO', 'a granule TG without NUM, SCALE or TTL');
  if (granule === 2n && level === 1n && !support.largeAddresses) {
    fail('EIO', 'TTL 1 of a 16 KiB granule without 52-bit addresses (DS)');
  }
}
