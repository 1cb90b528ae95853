/**
 * The register file of a VT-d unit: one 32-bit word for each four bytes, with masks of the bits
 * that software may write and of those that it clears by writing 1. Plain data; what a write sets
 * in motion is in registers.ts.
 */

import * as R from './layout.ts';
import { FRCD_BYTES, FRCD_F } from './layout.ts';
import { type VtdFeatures, type VtdIdentity, vtdFeatures } from './spec.ts';

export interface VtdState {
  readonly identity: VtdIdentity;
  readonly features: VtdFeatures;
  /** Contents, write masks and write-1-to-clear masks, indexed by offset / 4. */
  readonly words: Int32Array;
  readonly writable: Int32Array;
  readonly clearable: Int32Array;
  /** Root table in use: RTADDR as of the last "set root table pointer". */
  rootHi: number;
  rootLo: number;
  /** Its table mode (RTADDR bits 11:10): 0 legacy. */
  tableMode: number;
  /** Fault recording register that the next fault goes to. */
  nextFault: number;
  /** Descriptors may be fetched: a tail was written (or the queue enabled) since the last error. */
  fetching: boolean;
}

/** A unit after reset. */
export function vtdState(identity: VtdIdentity): VtdState {
  const features = vtdFeatures(identity);
  const end = Math.max(
    0x100,
    features.iotlbOffset + 16,
    features.faultOffset + FRCD_BYTES * features.faultRecords,
  );
  const state: VtdState = {
    identity,
    features,
    words: new Int32Array(end / 4),
    writable: new Int32Array(end / 4),
    clearable: new Int32Array(end / 4),
    rootHi: 0,
    rootLo: 0,
    tableMode: 0,
    nextFault: 0,
    fetching: false,
  };
  defineMasks(state);
  reset(state);
  return state;
}

function reset(state: VtdState): void {
  put32(state, R.VER, state.identity.version);
  put64(state, R.CAP, state.identity.cap);
  put64(state, R.ECAP, state.identity.ecap);
  put32(state, R.FECTL, R.EVENT_IM);
  put32(state, R.IECTL, R.EVENT_IM);
}

function defineMasks(state: VtdState): void {
  const { features } = state;
  const address = (1n << BigInt(state.identity.hostAddressBits)) - 0x1000n;
  const write64 = (offset: number, mask: bigint): void => {
    state.writable[offset >> 2] = Number(BigInt.asIntN(32, mask));
    state.writable[(offset >> 2) + 1] = Number(BigInt.asIntN(32, mask >> 32n));
  };
  const write32 = (offset: number, mask: number): void => {
    state.writable[offset >> 2] = mask;
  };
  const clear32 = (offset: number, mask: number): void => {
    state.clearable[offset >> 2] = mask;
  };
  write64(R.RTADDR, address | (features.scalableMode ? 0xc00n : 0n));
  // ICC, CIRG, FM, SID, DID (11.4.8.1).
  write64(R.CCMD, 0xe0000003_ffffffffn);
  clear32(R.FSTS, R.FSTS_PFO | R.FSTS_IQE | (features.deviceTlb ? R.FSTS_ICE | R.FSTS_ITE : 0));
  for (const control of [R.FECTL, R.IECTL]) {
    write32(control, R.EVENT_IM);
    write32(control + 4, -1);
    write32(control + 8, ~3);
    write32(control + 12, -1);
  }
  if (features.protectedRegions) {
    write32(R.PMEN, R.PMEN_EPM);
    write32(R.PLMBASE, ~0xfff);
    write32(R.PLMLIMIT, ~0xfff);
    write64(R.PHMBASE, address);
    write64(R.PHMLIMIT, address);
  }
  write64(R.IQT, BigInt(R.IQT_QT_MASK));
  write64(R.IQA, address | 7n | (features.scalableMode ? BigInt(R.IQA_DW) : 0n));
  clear32(R.ICS, R.ICS_IWC);
  if (features.interruptRemapping) {
    write64(R.IRTA, address | 0xfn | (features.extendedInterrupts ? 0x800n : 0n));
  }
  // IVA: address, IH, AM; IOTLB: IVT, IIRG, DR, DW, DID (11.4.8.2, 11.4.8.3).
  write64(features.iotlbOffset, ~0xf80n);
  write64(features.iotlbOffset + 8, 0xb003ffff_00000000n);
  for (let i = 0; i < features.faultRecords; i++) {
    clear32(features.faultOffset + i * FRCD_BYTES + 12, FRCD_F);
  }
}

export function get32(state: VtdState, offset: number): number {
  return state.words[offset >> 2]!;
}

export function put32(state: VtdState, offset: number, value: number): void {
  state.words[offset >> 2] = value;
}

export function get64(state: VtdState, offset: number): bigint {
  const lo = BigInt(state.words[offset >> 2]! >>> 0);
  return (BigInt(state.words[(offset >> 2) + 1]! >>> 0) << 32n) | lo;
}

export function put64(state: VtdState, offset: number, value: bigint): void {
  state.words[offset >> 2] = Number(BigInt.asIntN(32, value));
  state.words[(offset >> 2) + 1] = Number(BigInt.asIntN(32, value >> 32n));
}

/** High half of the page number held in a 64-bit register. */
export function pageHi(state: VtdState, offset: number): number {
  return state.words[(offset >> 2) + 1]! >>> 7;
}

/** Low half of it. */
export function pageLo(state: VtdState, offset: number): number {
  const hi = state.words[(offset >> 2) + 1]!;
  return ((hi & 0x7f) << 20) | (state.words[offset >> 2]! >>> 12);
}

export function enabled(state: VtdState, gstsBit: number): boolean {
  return (get32(state, R.GSTS) & gstsBit) !== 0;
}
