/**
 * Where areas may lie: what domains and devices reserve, and what the user limits automatic choice
 * to; with the kernel memory of both.
 */
import { InternalError } from '../../../../sim/errors.ts';
import { fail } from '../../kernel/errno.ts';
import type { KernelMemory } from '../../kernel/kernel-memory.ts';
import type { IommuDevice } from '../driver.ts';
import { type AllowedRanges, type IovaRange, intersects, ReservedRanges, union } from './ranges.ts';

const RANGE_BYTES = 64;

export class IovaLimits {
  private readonly memory: KernelMemory;
  private readonly fenced: ReservedRanges = new ReservedRanges();
  private permitted: readonly IovaRange[] = [];
  /** As `permitted`, but ranges that touch as one; empty: everything. */
  allowed: readonly IovaRange[] = [];

  constructor(memory: KernelMemory) {
    this.memory = memory;
  }

  /** Ascending, without overlap. */
  get reserved(): readonly IovaRange[] {
    return this.fenced.ranges;
  }

  holes(): IovaRange[] {
    return this.fenced.holes();
  }

  reserve(start: bigint, last: bigint, owner: object | null): void {
    if (intersects(this.permitted, start, last)) {
      const range = `0x${start.toString(16)}-0x${last.toString(16)}`;
      fail('EADDRINUSE', `${range} is to be reserved, but has allowed addresses`);
    }
    this.memory.take(RANGE_BYTES, 'reserved range');
    this.fenced.add(start, last, owner);
  }

  removeReserved(owner: object | null): void {
    giveRanges(this.memory, this.fenced.remove(owner));
  }

  /** Replaces the allowed ranges; whoever read them took the memory for them. */
  setAllowed({ ranges }: AllowedRanges): void {
    for (const { start, last } of ranges) {
      if (!intersects(this.reserved, start, last)) continue;
      const range = `0x${start.toString(16)}-0x${last.toString(16)}`;
      fail('EADDRINUSE', `the allowed range ${range} has reserved addresses`);
    }
    giveRanges(this.memory, this.permitted.length);
    this.permitted = ranges;
    this.allowed = union(ranges);
  }

  /** Only reservations without an owner may be left. */
  destroy(): void {
    this.removeReserved(null);
    giveRanges(this.memory, this.permitted.length);
    this.permitted = [];
    this.allowed = [];
    if (this.fenced.count !== 0) {
      throw new InternalError('iopt', 'an IOAS is destroyed in which somebody reserves addresses');
    }
  }
}

/** Memory of one allowed range that is being read. */
export function takeRange(memory: KernelMemory): void {
  memory.take(RANGE_BYTES, 'allowed range');
}

export function giveRanges(memory: KernelMemory, count: number): void {
  for (let at = 0; at < count; at++) memory.give(RANGE_BYTES);
}

/** Start of a device's software-managed MSI window; EINVAL where its MSI windows contradict. */
export function softwareMsiWindow(device: IommuDevice): bigint | null {
  const software = device.reserved.filter(({ kind }) => kind === 'sw-msi');
  const hardware = device.reserved.some(({ kind }) => kind === 'msi');
  if (software.length > 1 || (software.length > 0 && hardware)) {
    fail('EINVAL', `${device.name} offers MSI windows that exclude each other`);
  }
  return software.length > 0 ? software[0].start : null;
}
