/**
 * Cache of decoded device and process contexts, by device and process address space (or one of the
 * KEY_* of architecture.ts).
 */
import type { Operation, TranslationContext } from '../architecture.ts';
import { type Geometry, SetAssociative } from './set-associative.ts';

export class ContextCache {
  readonly statistics: { hits: number; misses: number; dropped: number } = {
    hits: 0,
    misses: 0,
    dropped: 0,
  };
  private readonly tags: SetAssociative;
  private readonly contexts: (TranslationContext | null)[];

  constructor(geometry: Geometry) {
    this.tags = new SetAssociative(geometry);
    this.contexts = new Array<TranslationContext | null>(this.tags.entries).fill(null);
  }

  /** Figures count from now on. */
  resetStatistics(): void {
    Object.assign(this.statistics, { hits: 0, misses: 0, dropped: 0 });
    this.tags.evictions = 0;
  }

  /** Entries that had to go to make room. */
  get evictions(): number {
    return this.tags.evictions;
  }

  /** The context of a device under a key (a pasid, -1, KEY_*), or null; counts as a use. */
  lookup(deviceId: number, key: number): TranslationContext | null {
    const slot = this.tags.find(deviceId, key, 0, 0);
    if (slot < 0) {
      this.statistics.misses++;
      return null;
    }
    this.statistics.hits++;
    this.tags.touch(slot);
    return this.contexts[slot];
  }

  insert(context: TranslationContext, key: number = context.pasid): void {
    const tags = this.tags;
    if (tags.entries === 0) return;
    const { deviceId } = context;
    let slot = tags.find(deviceId, key, 0, 0);
    if (slot < 0) {
      // Neighbouring devices, and neighbouring processes of a device, fall into different sets.
      slot = tags.victim((deviceId + key) & 0x3fffffff);
      tags.place(slot, deviceId, key, 0, 0);
    } else {
      tags.touch(slot);
    }
    this.contexts[slot] = context;
  }

  /** Drops what an OP_INVALIDATE_CONTEXT covers; returns how many contexts that were. */
  invalidate(op: Operation): number {
    const tags = this.tags;
    let dropped = 0;
    for (let slot = 0; slot < tags.entries && tags.used > 0; slot++) {
      if (tags.live[slot] === 0 || !this.covered(slot, op)) continue;
      tags.remove(slot);
      this.contexts[slot] = null;
      dropped++;
    }
    this.statistics.dropped += dropped;
    return dropped;
  }

  clear(): void {
    this.tags.clear();
    this.contexts.fill(null);
  }

  private covered(slot: number, op: Operation): boolean {
    const deviceId = this.tags.key(slot, 0);
    if (op.deviceId >= 0 && ((deviceId ^ op.deviceId) & ~op.deviceMask) !== 0) return false;
    if (op.pasid !== -1 && op.pasid !== this.tags.key(slot, 1)) return false;
    return op.domain === -1 || op.domain === this.contexts[slot]?.tag2;
  }
}
