/**
 * Decoding of invalidation descriptors (VT-d specification 6.5.2.1 to 6.5.2.11) into operations of
 * the shared machinery. Words are the little-endian 32-bit words of a descriptor.
 */
import {
  OP_DEVICE_MESSAGE,
  OP_FENCE,
  OP_ILLEGAL,
  OP_INVALIDATE_CONTEXT,
  OP_INVALIDATE_TRANSLATIONS,
  OP_NONE,
  type Operation,
} from '../architecture.ts';
import * as R from './layout.ts';
import type { VtdFeatures } from './spec.ts';

/** Function mask of a device-selective invalidation: bits of the function number to ignore. */
const FUNCTION_MASKS: readonly number[] = [0, 4, 6, 7];

/** Decodes a descriptor of `count` words; returns 0, or the IQEI code of what is wrong with it. */
export function decodeDescriptor(
  words: Int32Array,
  count: number,
  features: VtdFeatures,
  op: Operation,
): number {
  const w0 = words[0]!;
  const type = (w0 & 0xf) | ((w0 >>> 5) & 0x70);
  clear(op);
  op.code = type;
  for (let i = 4; i < count; i++) if (words[i] !== 0) return illegal(op, R.IQEI_RESERVED);
  switch (type) {
    case R.DESC_CONTEXT:
      return context(words, op);
    case R.DESC_IOTLB:
      return iotlb(words, features, op);
    case R.DESC_DEVICE_TLB:
      return features.deviceTlb ? deviceTlb(words, op) : illegal(op, R.IQEI_TYPE);
    case R.DESC_IEC:
      return features.interruptRemapping ? interruptEntry(words, op) : illegal(op, R.IQEI_TYPE);
    case R.DESC_WAIT:
      return wait(words, op);
    default:
      return illegal(op, R.IQEI_TYPE);
  }
}

/** 6.5.2.1: G 5:4, DID 31:16, SID 47:32, FM 49:48. */
function context(words: Int32Array, op: Operation): number {
  const w0 = words[0]!;
  const w1 = words[1]!;
  op.name = 'context';
  const granularity = (w0 >>> 4) & 3;
  const reserved = (w0 & 0xf1c0) | (w1 & 0xfffc0000) | words[2]! | words[3]!;
  if (reserved !== 0 || granularity === 0) return illegal(op, R.IQEI_RESERVED);
  op.kind = OP_INVALIDATE_CONTEXT;
  if (granularity === R.GRANULARITY_DOMAIN) op.domain = w0 >>> 16;
  if (granularity === R.GRANULARITY_NARROW) {
    op.deviceId = w1 & 0xffff;
    op.deviceMask = FUNCTION_MASKS[(w1 >>> 16) & 3]!;
  }
  return 0;
}

/** 6.5.2.3: G 5:4, DW 6, DR 7, DID 31:16; AM 69:64, IH 70, ADDR 127:76. */
function iotlb(words: Int32Array, features: VtdFeatures, op: Operation): number {
  const w0 = words[0]!;
  const w2 = words[2]!;
  op.name = 'iotlb';
  const granularity = (w0 >>> 4) & 3;
  const reserved = (w0 & 0xf100) | words[1]! | (w2 & 0xf80);
  if (reserved !== 0 || granularity === 0) return illegal(op, R.IQEI_RESERVED);
  const order = w2 & 0x3f;
  const page = granularity === R.GRANULARITY_NARROW;
  if (page && order > features.maxAddressMask) return illegal(op, R.IQEI_RESERVED);
  op.kind = OP_INVALIDATE_TRANSLATIONS;
  op.drainWrites = (w0 >>> 6) & 1;
  op.drainReads = (w0 >>> 7) & 1;
  if (granularity >= R.GRANULARITY_DOMAIN) op.tag2 = w0 >>> 16;
  // Without CAP.PSI a page-selective request is performed domain-selective.
  if (page && features.pageSelective) {
    op.hasAddress = 1;
    op.order = order;
    op.hi = alignDown(words[3]! >>> 7, order - 27);
    op.lo = alignDown(((words[3]! & 0x7f) << 20) | (w2 >>> 12), order);
    op.leafOnly = (w2 >>> 6) & 1;
  }
  return 0;
}

/** The low `bits` bits (none when negative) of a page number half do not take part. */
function alignDown(half: number, bits: number): number {
  return bits <= 0 ? half : bits >= 27 ? 0 : half & -(1 << bits);
}

/** 6.5.2.5: PFSID 15:12 and 63:52, MaxInvsPend 20:16, SID 47:32; S 64, ADDR 127:76. */
function deviceTlb(words: Int32Array, op: Operation): number {
  op.name = 'device-tlb';
  const reserved = (words[0]! & 0xffe001f0) | (words[1]! & 0xf0000) | (words[2]! & 0xffe);
  if (reserved !== 0) return illegal(op, R.IQEI_RESERVED);
  op.kind = OP_DEVICE_MESSAGE;
  op.deviceId = words[1]! & 0xffff;
  return 0;
}

/** 6.5.2.7: G 4, IM 31:27, IIDX 47:32. Interrupt remapping has no cache here to invalidate. */
function interruptEntry(words: Int32Array, op: Operation): number {
  op.name = 'interrupt-entry';
  const reserved = (words[0]! & 0x7fff1e0) | (words[1]! & 0xffff0000) | words[2]! | words[3]!;
  if (reserved !== 0) return illegal(op, R.IQEI_RESERVED);
  op.kind = OP_NONE;
  return 0;
}

/** 6.5.2.8: IF 4, SW 5, FN 6, status data 63:32; status address 127:66. */
function wait(words: Int32Array, op: Operation): number {
  op.name = 'wait';
  // Bit 7 (page-request drain) is reserved without page requests.
  const reserved = (words[0]! & 0xfffff180) | (words[2]! & 3);
  if (reserved !== 0) return illegal(op, R.IQEI_RESERVED);
  op.kind = OP_FENCE;
  return 0;
}

function illegal(op: Operation, why: number): number {
  op.kind = OP_ILLEGAL;
  return why;
}

function clear(op: Operation): void {
  op.kind = OP_NONE;
  op.name = 'unknown';
  op.deviceId = -1;
  op.deviceMask = 0;
  op.pasid = -1;
  op.domain = -1;
  op.tag1 = -1;
  op.tag2 = -1;
  op.stage = 0;
  op.hasAddress = 0;
  op.hi = 0;
  op.lo = 0;
  op.order = 0;
  op.guestAddress = 0;
  op.includeGlobal = 1;
  op.leafOnly = 0;
  op.drainReads = 0;
  op.drainWrites = 0;
}
