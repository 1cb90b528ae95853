/**
 * Cache of the table pointers found in entries of one level of one stage: prefix of the input
 * address to the system address of the next lower table.
 */

import { clearHi, clearLo } from '../../address.ts';
import type { Operation } from '../architecture.ts';
import { LEAF_GLOBAL, LEAF_ORDER_MASK, LEAF_ORDER_SHIFT } from '../walk/format.ts';
import { overlaps, tagCovers } from './ranges.ts';
import { type Geometry, SetAssociative, setIndex } from './set-associative.ts';

const NEXT_HI = 0;
const NEXT_LO = 1;
const UPPER = 2;
const GUEST_HI = 3;
const GUEST_LO = 4;
const LEAF2 = 5;
const ENTRY_WORDS = 6;

/** Key word 2: high half of the prefix and, below it, the number of input bits left out. */
const SHIFT_BITS = 6;
const SHIFT_MASK = 0x3f;
const KEY_HI_MASK = 0x1ffffff;

export class PointerCache {
  readonly tags: SetAssociative;
  private readonly words: Int32Array;

  constructor(geometry: Geometry) {
    this.tags = new SetAssociative(geometry);
    this.words = new Int32Array(this.tags.entries * ENTRY_WORDS);
  }

  /** Slot of the pointer for page (hi, lo) with `shift` low bits left out, or -1. */
  find(tag1: number, tag2: number, hi: number, lo: number, shift: number): number {
    const keyHi = (clearHi(hi, shift) << SHIFT_BITS) | shift;
    return this.tags.find(tag1, tag2, keyHi, clearLo(lo, shift));
  }

  /** Slot for that pointer, made if need be; the caller sets its words by {@link set}. */
  take(tag1: number, tag2: number, hi: number, lo: number, shift: number): number {
    const found = this.find(tag1, tag2, hi, lo, shift);
    if (found >= 0) return found;
    const slot = this.tags.victim(setIndex(tag1, tag2, hi, lo, shift));
    const keyHi = (clearHi(hi, shift) << SHIFT_BITS) | shift;
    this.tags.place(slot, tag1, tag2, keyHi, clearLo(lo, shift));
    return slot;
  }

  /**
   * @param nextHi,nextLo system page of the next table
   * @param upper what the entries so far leave (LEAF_R/W/X/USER) and LEAF_GLOBAL
   * @param guestHi,guestLo guest page of the next table
   * @param leaf2 second-stage leaf that maps it (0: second stage bare, or a second-stage table)
   */
  set(
    slot: number,
    nextHi: number,
    nextLo: number,
    upper: number,
    guestHi: number,
    guestLo: number,
    leaf2: number,
  ): void {
    const at = slot * ENTRY_WORDS;
    const words = this.words;
    words[at + NEXT_HI] = nextHi;
    words[at + NEXT_LO] = nextLo;
    words[at + UPPER] = upper;
    words[at + GUEST_HI] = guestHi;
    words[at + GUEST_LO] = guestLo;
    words[at + LEAF2] = leaf2;
  }

  nextHi(slot: number): number {
    return this.words[slot * ENTRY_WORDS + NEXT_HI];
  }

  nextLo(slot: number): number {
    return this.words[slot * ENTRY_WORDS + NEXT_LO];
  }

  upper(slot: number): number {
    return this.words[slot * ENTRY_WORDS + UPPER];
  }

  guestHi(slot: number): number {
    return this.words[slot * ENTRY_WORDS + GUEST_HI];
  }

  guestLo(slot: number): number {
    return this.words[slot * ENTRY_WORDS + GUEST_LO];
  }

  leaf2(slot: number): number {
    return this.words[slot * ENTRY_WORDS + LEAF2];
  }

  /** Drops the stage 1 pointers that an operation covers; returns how many. */
  invalidateStage1(op: Operation): number {
    // Pointers are no leaves: an invalidation of the leaves of input pages leaves them alone.
    if (op.hasAddress !== 0 && op.leafOnly !== 0 && op.guestAddress === 0) return 0;
    return this.drop((slot) => this.covered1(slot, op));
  }

  /** Likewise for pointers of stage 2, which know no first-stage tag and no global bit. */
  invalidateStage2(op: Operation): number {
    if (op.stage === 1 || (op.hasAddress !== 0 && op.leafOnly !== 0)) return 0;
    return this.drop((slot) => {
      if (!tagCovers(op.tag2, this.tags.key(slot, 1))) return false;
      return op.hasAddress === 0 || this.prefixCovered(slot, op);
    });
  }

  private covered1(slot: number, op: Operation): boolean {
    if (!tagCovers(op.tag1, this.tags.key(slot, 0))) return false;
    if (!tagCovers(op.tag2, this.tags.key(slot, 1))) return false;
    if (op.includeGlobal === 0 && (this.upper(slot) & LEAF_GLOBAL) !== 0) return false;
    if (op.guestAddress !== 0) {
      // The table itself lies at a guest address: the pointer ends with that page's mapping.
      const leaf2 = this.leaf2(slot);
      if (leaf2 === 0) return false;
      if (op.hasAddress === 0) return true;
      const order = (leaf2 >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK;
      return overlaps(op.hi, op.lo, op.order, this.guestHi(slot), this.guestLo(slot), order);
    }
    return op.hasAddress === 0 || this.prefixCovered(slot, op);
  }

  private prefixCovered(slot: number, op: Operation): boolean {
    const key = this.tags.key(slot, 2);
    const hi = (key >>> SHIFT_BITS) & KEY_HI_MASK;
    return overlaps(op.hi, op.lo, op.order, hi, this.tags.key(slot, 3), key & SHIFT_MASK);
  }

  private drop(covered: (slot: number) => boolean): number {
    let dropped = 0;
    const tags = this.tags;
    for (let at = tags.used - 1; at >= 0; at--) {
      const slot = tags.inUse[at];
      if (!covered(slot)) continue;
      tags.remove(slot);
      dropped++;
    }
    return dropped;
  }
}
