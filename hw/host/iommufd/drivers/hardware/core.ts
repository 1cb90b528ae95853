/**
 * What the drivers of simulated hardware share: the kernel's memory for tables, numbers of address
 * spaces, the way invalidations take, and figures that show what sharing a domain between units
 * saves and costs.
 */

import { SimError } from '../../../../../sim/errors.ts';
import type { MemoryPort } from '../../../../memory/port.ts';
import type { TableFrames } from '../../../frames.ts';
import type { KernelServices } from '../../../kernel/api.ts';
import { Errno } from '../../../kernel/errno.ts';
import type { KernelMemory } from '../../../kernel/kernel-memory.ts';
import type { MappingObserver } from '../../../observer.ts';
import type { HardwareSync } from '../../hardware-sync.ts';
import { countTables, type DriverFigures, noFigures } from '../figures.ts';

export interface HardwarePorts {
  readonly services: KernelServices;
  /** The host's view of memory, in which tables stand. */
  readonly memory: MemoryPort;
  readonly frames: TableFrames;
  readonly sync: HardwareSync;
  /** The next unused number of an address space; the same counter as the units' drivers have. */
  nextDomain(): number;
  readonly observer?: MappingObserver;
  /** Cycle of the simulation, for the observer. */
  now?(): number;
  /** Units share a domain where they can; false: a domain belongs to one unit (default true). */
  readonly shareAcrossInstances?: boolean;
}

const FRAME_BYTES = 4096;

export class HardwareCore {
  readonly ports: HardwarePorts;
  readonly frames: ChargedFrames;
  readonly shareAcrossInstances: boolean;
  /** Changed by whoever knows how the call under way is to reach the hardware. */
  sync: HardwareSync;
  readonly figures: DriverFigures = noFigures();
  private readonly freeIndexes: number[] = [];

  constructor(ports: HardwarePorts) {
    this.ports = ports;
    this.sync = ports.sync;
    this.shareAcrossInstances = ports.shareAcrossInstances ?? true;
    this.frames = new ChargedFrames(ports.services.memory, ports.frames, this.figures);
  }

  get memory(): KernelMemory {
    return this.ports.services.memory;
  }

  get observer(): MappingObserver | null {
    return this.ports.observer ?? null;
  }

  now(): number {
    return this.ports.now?.() ?? 0;
  }

  /** Number of a new address space. */
  takeIndex(): number {
    return this.freeIndexes.pop() ?? this.ports.nextDomain();
  }

  giveIndex(index: number): void {
    this.freeIndexes.push(index);
  }
}

/** Frames for tables, charged as kernel memory. */
export class ChargedFrames implements TableFrames {
  private readonly memory: KernelMemory;
  private readonly frames: TableFrames;
  private readonly figures: DriverFigures;

  constructor(memory: KernelMemory, frames: TableFrames, figures: DriverFigures) {
    this.memory = memory;
    this.frames = frames;
    this.figures = figures;
  }

  /** Frames in use. */
  get inUse(): number {
    return this.figures.tablesInUse;
  }

  alloc(): number {
    return this.charged(1, () => this.frames.alloc());
  }

  allocRun(count: number, align?: number): number {
    return this.charged(count, () => this.frames.allocRun(count, align));
  }

  release(frame: number): void {
    this.frames.release(frame);
    this.memory.give(FRAME_BYTES);
    countTables(this.figures, -1);
  }

  releaseRun(first: number, count: number): void {
    this.frames.releaseRun(first, count);
    this.memory.give(FRAME_BYTES * count);
    countTables(this.figures, -count);
  }

  private charged(count: number, alloc: () => number): number {
    this.memory.take(FRAME_BYTES * count, 'I/O page table');
    try {
      const first = alloc();
      countTables(this.figures, count);
      return first;
    } catch (error) {
      this.memory.give(FRAME_BYTES * count);
      throw outOfMemory(error);
    }
  }
}

function outOfMemory(error: unknown): unknown {
  if (!(error instanceof SimError) || error.code !== 'out-of-frames') return error;
  return new Errno('ENOMEM', 'no free frame of physical memory for an I/O page table');
}
