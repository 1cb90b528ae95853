/**
 * What a VT-d unit is able to do: the capability registers, and the parameters that a scenario
 * gives for them. CAP and ECAP field positions: VT-d specification 11.4.2, 11.4.3.
 */
import { choice, count, flag, type Param, type Values } from '../../../sim/spec.ts';

export type VtdSpec = {
  readonly levels: Param<'3' | '4' | '5'>;
  readonly host_address_bits: Param<number>;
  readonly large_pages: Param<'4KiB' | '2MiB' | '1GiB'>;
  readonly domain_id_bits: Param<'8' | '10' | '12' | '14' | '16'>;
  readonly max_address_mask: Param<number>;
  readonly fault_records: Param<number>;
  readonly merge_faults: Param<boolean>;
  readonly device_tlb: Param<boolean>;
  readonly pass_through: Param<boolean>;
};

export const vtdSpec: VtdSpec = {
  levels: choice('5', ['3', '4', '5'], 'Deepest second-stage page table that the unit walks.'),
  host_address_bits: count(48, 'Width of a system physical address.', { min: 36, max: 52 }),
  large_pages: choice('1GiB', ['4KiB', '2MiB', '1GiB'], 'Largest page of the second stage.'),
  domain_id_bits: choice('16', ['8', '10', '12', '14', '16'], 'Width of a domain id.'),
  max_address_mask: count(18, 'log2 of the pages that one page-selective invalidation covers.', {
    min: 0,
    max: 35,
  }),
  fault_records: count(8, 'Fault recording registers.', { min: 1, max: 16 }),
  merge_faults: flag(true, 'A pending fault of the same requester absorbs further ones.'),
  device_tlb: flag(true, 'Device TLBs (ATS) are supported.'),
  pass_through: flag(true, 'Translation type "pass-through" is supported.'),
};

export type VtdValues = Values<VtdSpec>;

/** A unit's capabilities as software reads them. */
export interface VtdIdentity {
  readonly version: number;
  readonly cap: bigint;
  readonly ecap: bigint;
  /** Host address width, which the firmware tells software (8.1). */
  readonly hostAddressBits: number;
  readonly mergeFaults: boolean;
}

const FAULT_RECORD_OFFSET = 0x400;
const IOTLB_OFFSET = 0x500;
const LARGE_PAGES: Readonly<Record<string, number>> = { '4KiB': 0, '2MiB': 1, '1GiB': 3 };

/** Capability registers for scenario parameters. */
export function vtdIdentity(values: VtdValues): VtdIdentity {
  const levels = Number(values.levels);
  let sagaw = 0;
  for (let level = 3; level <= levels; level++) sagaw |= 1 << (level - 2);
  const guestBits = 12 + 9 * levels;
  const cap =
    BigInt((Number(values.domain_id_bits) - 4) / 2) |
    (BigInt(sagaw) << 8n) |
    (BigInt(guestBits - 1) << 16n) |
    (BigInt(FAULT_RECORD_OFFSET / 16) << 24n) |
    (BigInt(LARGE_PAGES[values.large_pages]!) << 34n) |
    (1n << 39n) | // PSI
    (BigInt(values.fault_records - 1) << 40n) |
    (BigInt(values.max_address_mask) << 48n) |
    (3n << 54n) | // DWD, DRD
    (1n << 63n); // ESRTPS
  const ecap =
    (1n << 0n) | // C: table accesses are coherent
    (1n << 1n) | // QI
    (values.device_tlb ? 1n << 2n : 0n) |
    (1n << 3n) | // IR
    (1n << 4n) | // EIM
    (values.pass_through ? 1n << 6n : 0n) |
    (BigInt(IOTLB_OFFSET / 16) << 8n) |
    (15n << 20n); // MHMV
  return {
    version: 0x10,
    cap,
    ecap,
    hostAddressBits: values.host_address_bits,
    mergeFaults: values.merge_faults,
  };
}

/** The fields of an identity that the unit uses, decoded once. */
export interface VtdFeatures {
  readonly domainBits: number;
  /** Bit n set: second stage of n + 2 levels (30 + 9 n address bits). */
  readonly sagaw: number;
  readonly guestBits: number;
  readonly faultOffset: number;
  readonly faultRecords: number;
  readonly superpages: number;
  readonly pageSelective: boolean;
  readonly maxAddressMask: number;
  readonly flushOnRootPointer: boolean;
  readonly protectedRegions: boolean;
  readonly deviceTlb: boolean;
  readonly interruptRemapping: boolean;
  readonly extendedInterrupts: boolean;
  readonly passThrough: boolean;
  readonly snoopControl: boolean;
  readonly iotlbOffset: number;
  readonly scalableMode: boolean;
}

export function vtdFeatures(identity: VtdIdentity): VtdFeatures {
  const cap = (shift: number, width: number): number => field(identity.cap, shift, width);
  const ecap = (shift: number, width: number): number => field(identity.ecap, shift, width);
  return {
    domainBits: 4 + 2 * cap(0, 3),
    sagaw: cap(8, 5),
    guestBits: cap(16, 6) + 1,
    faultOffset: cap(24, 10) * 16,
    faultRecords: cap(40, 8) + 1,
    superpages: cap(34, 4),
    pageSelective: cap(39, 1) === 1,
    maxAddressMask: cap(48, 6),
    flushOnRootPointer: cap(63, 1) === 1,
    protectedRegions: cap(5, 2) !== 0,
    deviceTlb: ecap(2, 1) === 1,
    interruptRemapping: ecap(3, 1) === 1,
    extendedInterrupts: ecap(4, 1) === 1,
    passThrough: ecap(6, 1) === 1,
    snoopControl: ecap(7, 1) === 1,
    iotlbOffset: ecap(8, 10) * 16,
    scalableMode: ecap(43, 1) === 1,
  };
}

function field(value: bigint, shift: number, width: number): number {
  return Number((value >> BigInt(shift)) & ((1n << BigInt(width)) - 1n));
}
