/**
 * Translation cache: input page of an address space to system page, for any page size. One array
 * for all sizes, or arrays by size class; each with its own geometry. An array is probed once for
 * every page size that it holds at the moment. Also used as the nested TLB (guest to system page).
 */

import { clearHi, clearLo } from '../../address.ts';
import { type Operation, TAG_NONE } from '../architecture.ts';
import type { ReplacementPolicy } from '../spec.ts';
import {
  LEAF_GLOBAL,
  LEAF_ORDER_MASK,
  LEAF_ORDER_SHIFT,
  LEAF_SET_A,
  LEAF_SET_D,
} from '../walk/format.ts';
import { leafPermits, privilegePermits } from '../walk/permission.ts';
import type { Walk } from '../walk/walk.ts';
import { fillHi, fillLo } from '../walk/words.ts';
import { ORDER_MAX, ProbeList } from './probe-list.ts';
import { overlaps, tagCovers } from './ranges.ts';
import { type Geometry, SetAssociative, setIndex } from './set-associative.ts';

/** One array of the cache. */
export interface IotlbArray extends Geometry {
  /** Entries of pages of at least 2^minOrder x 4 KiB go here (the largest that fits wins). */
  readonly minOrder: number;
  /** Larger pages are held as a piece of 2^maxOrder x 4 KiB. */
  readonly maxOrder: number;
}

const ORDER_1G = 18;
const ORDER_2M = 9;

/** One array for all page sizes, or one of the same geometry for 4 KiB, 2 MiB and 1 GiB up. */
export function iotlbArrays(
  geometry: { readonly sets: number; readonly ways: number; readonly policy: ReplacementPolicy },
  pageSizes: 'unified' | 'separate',
): readonly IotlbArray[] {
  const { sets, ways, policy } = geometry;
  const array = (minOrder: number, maxOrder: number): IotlbArray => {
    return { sets, ways, policy, minOrder, maxOrder };
  };
  if (pageSizes === 'unified') return [array(0, ORDER_MAX)];
  return [array(0, ORDER_2M - 1), array(ORDER_2M, ORDER_1G - 1), array(ORDER_1G, ORDER_MAX)];
}

/** Words of an entry beside its key. */
const OUT_HI = 0;
const OUT_LO = 1;
const LEAF1 = 2;
const LEAF2 = 3;
const GUEST_HI = 4;
const GUEST_LO = 5;
const GENERATION = 6;
const REDIRECTED = 7;
const ENTRY_WORDS = 8;

/** Up to 2^this pages are looked up one by one when they are invalidated. */
const FIND_ORDER_MAX = 6;

/** Key word 2: high half of the page and, below it, the order. */
const ORDER_BITS = 6;
const ORDER_MASK = 0x3f;
const KEY_HI_MASK = 0x1ffffff;

export class Iotlb {
  readonly statistics: { hits: number; misses: number; fills: number; dropped: number } = {
    hits: 0,
    misses: 0,
    fills: 0,
    dropped: 0,
  };
  /** Result of {@link translate}. */
  outHi = 0;
  outLo = 0;
  /** Stored with entries made from now on; the owner gives it a meaning. */
  generation = 0;
  /** Total number of entries; 0: every lookup misses. */
  readonly entries: number;
  private readonly arrays: readonly IotlbArray[];
  private readonly tags: readonly SetAssociative[];
  /** First slot of each array. */
  private readonly bases: readonly number[];
  private readonly words: Int32Array;
  private readonly probes: ProbeList;
  /** Entries that hold only a piece of their leaf, and entries with a first tag. */
  private pieces = 0;
  private tagged = 0;

  constructor(arrays: readonly IotlbArray[]) {
    this.arrays = arrays;
    this.tags = arrays.map((array) => new SetAssociative(array));
    const bases: number[] = [];
    let entries = 0;
    for (const tags of this.tags) {
      bases.push(entries);
      entries += tags.entries;
    }
    this.bases = bases;
    this.entries = entries;
    this.words = new Int32Array(entries * ENTRY_WORDS);
    this.probes = new ProbeList(arrays.length);
  }

  /** Figures count from now on. */
  resetStatistics(): void {
    Object.assign(this.statistics, { hits: 0, misses: 0, fills: 0, dropped: 0 });
    for (const tags of this.tags) tags.evictions = 0;
  }

  /** Number of entries in use. */
  get used(): number {
    return this.tags.reduce((sum, tags) => sum + tags.used, 0);
  }

  /** Entries that had to go to make room. */
  get evictions(): number {
    return this.tags.reduce((sum, tags) => sum + tags.evictions, 0);
  }

  /** Slot of the entry that translates page (hi, lo), or -1; counts as a use. */
  lookup(tag1: number, tag2: number, hi: number, lo: number): number {
    const probes = this.probes;
    for (let probe = 0; probe < probes.length; probe++) {
      const array = probes.arrays[probe];
      const order = probes.orders[probe];
      const tags = this.tags[array];
      const keyHi = (clearHi(hi, order) << ORDER_BITS) | order;
      const slot = tags.find(tag1, tag2, keyHi, clearLo(lo, order));
      if (slot >= 0) {
        tags.touch(slot);
        this.statistics.hits++;
        return this.bases[array] + slot;
      }
    }
    this.statistics.misses++;
    return -1;
  }

  /** Whether an entry is enough for the access (if not, the tables must be walked). */
  permits(slot: number, access: number): boolean {
    const at = slot * ENTRY_WORDS;
    const leaf1 = this.words[at + LEAF1];
    const leaf2 = this.words[at + LEAF2];
    if (leaf1 !== 0 && !(leafPermits(leaf1, access) && privilegePermits(leaf1, access))) {
      return false;
    }
    return leaf2 === 0 || leafPermits(leaf2, access);
  }

  /** Sets outHi/outLo to the translation of page (hi, lo) by an entry. */
  translate(slot: number, hi: number, lo: number): void {
    const at = slot * ENTRY_WORDS;
    const order = this.order(slot);
    this.outHi = fillHi(this.words[at + OUT_HI], hi, order);
    this.outLo = fillLo(this.words[at + OUT_LO], lo, order);
  }

  /** log2 of the number of 4 KiB pages that an entry translates. */
  order(slot: number): number {
    const array = this.arrayOf(slot);
    return this.tags[array].key(slot - this.bases[array], 2) & ORDER_MASK;
  }

  /** Decoded leaves of the stages that an entry was made from (LEAF_*; 0: bare). */
  leaf1(slot: number): number {
    return this.words[slot * ENTRY_WORDS + LEAF1];
  }

  leaf2(slot: number): number {
    return this.words[slot * ENTRY_WORDS + LEAF2];
  }

  /** Generation of the cache when the entry was made. */
  generationOf(slot: number): number {
    return this.words[slot * ENTRY_WORDS + GENERATION];
  }

  /** `redirected` of the walk that made the entry. */
  redirected(slot: number): number {
    return this.words[slot * ENTRY_WORDS + REDIRECTED];
  }

  /** Page halves of the guest address of an entry's first page. */
  guestHi(slot: number): number {
    return this.words[slot * ENTRY_WORDS + GUEST_HI];
  }

  guestLo(slot: number): number {
    return this.words[slot * ENTRY_WORDS + GUEST_LO];
  }

  /** Keeps the result of a walk of page (hi, lo). Returns the slot, or -1 without entries. */
  insertWalk(tag1: number, tag2: number, hi: number, lo: number, walk: Walk): number {
    const slot = this.insert(
      tag1,
      tag2,
      hi,
      lo,
      walk.order,
      walk.outHi,
      walk.outLo,
      walk.leaf1,
      walk.leaf2,
      walk.guestHi,
      walk.guestLo,
    );
    if (slot >= 0) this.words[slot * ENTRY_WORDS + REDIRECTED] = walk.redirected;
    return slot;
  }

  /**
   * Keeps a translation of 2^order pages around page (hi, lo), which itself goes to page out* by
   * way of guest page guest*. Returns the slot, or -1 when the cache has no entries.
   */
  insert(
    tag1: number,
    tag2: number,
    hi: number,
    lo: number,
    order: number,
    outHi: number,
    outLo: number,
    leaf1: number,
    leaf2: number,
    guestHi: number,
    guestLo: number,
  ): number {
    const array = this.arrayFor(order);
    if (array < 0) return -1;
    const held = Math.min(order, this.arrays[array].maxOrder);
    const tags = this.tags[array];
    const pageHi = clearHi(hi, held);
    const pageLo = clearLo(lo, held);
    const keyHi = (pageHi << ORDER_BITS) | held;
    let local = tags.find(tag1, tag2, keyHi, pageLo);
    if (local >= 0) {
      tags.touch(local);
      if (this.isPiece(array, local)) this.pieces--;
    } else local = this.allocate(array, tag1, tag2, keyHi, pageHi, pageLo, held);
    const slot = this.bases[array] + local;
    const at = slot * ENTRY_WORDS;
    const words = this.words;
    words[at + OUT_HI] = clearHi(outHi, held);
    words[at + OUT_LO] = clearLo(outLo, held);
    words[at + LEAF1] = leaf1 & ~(LEAF_SET_A | LEAF_SET_D);
    words[at + LEAF2] = leaf2 & ~(LEAF_SET_A | LEAF_SET_D);
    words[at + GUEST_HI] = clearHi(guestHi, held);
    words[at + GUEST_LO] = clearLo(guestLo, held);
    words[at + GENERATION] = this.generation;
    words[at + REDIRECTED] = 0;
    if (this.isPiece(array, local)) this.pieces++;
    this.statistics.fills++;
    return slot;
  }

  /** Drops what an operation covers; returns how many entries that were. */
  invalidate(op: Operation): number {
    const dropped = this.findable(op) ? this.dropPages(op) : this.sweep(op);
    this.statistics.dropped += dropped;
    return dropped;
  }

  /**
   * Whether the entries that an operation covers can be looked up instead of sought in all slots:
   * it names few pages and exact tags, and no entry holds only a piece of the leaf it came from.
   */
  private findable(op: Operation): boolean {
    if (op.hasAddress === 0 || op.guestAddress !== 0 || op.order > FIND_ORDER_MAX) return false;
    return op.tag2 !== -1 && (op.tag1 !== -1 || this.tagged === 0) && this.pieces === 0;
  }

  private dropPages(op: Operation): number {
    const tag1 = op.tag1 === TAG_NONE ? -1 : op.tag1;
    const tag2 = op.tag2 === TAG_NONE ? -1 : op.tag2;
    const firstHi = clearHi(op.hi, op.order);
    const firstLo = clearLo(op.lo, op.order);
    let dropped = 0;
    // Dropping the last entry of a size takes its probe off the list: go from the end.
    const probes = this.probes;
    for (let probe = probes.length - 1; probe >= 0; probe--) {
      const array = probes.arrays[probe];
      const order = probes.orders[probe];
      const step = 2 ** order;
      for (let page = 0; page < 2 ** op.order; page += step) {
        const keyHi = (clearHi(firstHi, order) << ORDER_BITS) | order;
        const slot = this.tags[array].find(tag1, tag2, keyHi, clearLo(firstLo + page, order));
        if (slot < 0 || !this.covered(array, slot, op)) continue;
        this.remove(array, slot);
        dropped++;
      }
    }
    return dropped;
  }

  private sweep(op: Operation): number {
    let dropped = 0;
    for (let array = 0; array < this.tags.length; array++) {
      const tags = this.tags[array];
      for (let at = tags.used - 1; at >= 0; at--) {
        const slot = tags.inUse[at];
        if (!this.covered(array, slot, op)) continue;
        this.remove(array, slot);
        dropped++;
      }
    }
    return dropped;
  }

  private remove(array: number, slot: number): void {
    this.discount(array, slot);
    this.tags[array].remove(slot);
  }

  /** Drops everything. */
  clear(): void {
    for (const tags of this.tags) tags.clear();
    this.probes.clear();
    this.pieces = 0;
    this.tagged = 0;
  }

  private covered(array: number, slot: number, op: Operation): boolean {
    const tags = this.tags[array];
    if (!tagCovers(op.tag2, tags.key(slot, 1)) || !tagCovers(op.tag1, tags.key(slot, 0))) {
      return false;
    }
    const at = (this.bases[array] + slot) * ENTRY_WORDS;
    const leaf1 = this.words[at + LEAF1];
    const leaf2 = this.words[at + LEAF2];
    if (op.stage === 1 && leaf1 === 0) return false;
    if (op.includeGlobal === 0 && (leaf1 & LEAF_GLOBAL) !== 0) return false;
    if (op.guestAddress !== 0 && leaf2 === 0) return false;
    if (op.hasAddress === 0) return true;
    // The entry goes with any page of the leaf it was made from, also where it holds only a piece.
    const leaf = op.guestAddress !== 0 || leaf1 === 0 ? leaf2 : leaf1;
    const key = tags.key(slot, 2);
    const order = Math.max((leaf >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK, key & ORDER_MASK);
    const hi = op.guestAddress !== 0 ? this.words[at + GUEST_HI] : key >>> ORDER_BITS;
    const lo = op.guestAddress !== 0 ? this.words[at + GUEST_LO] : tags.key(slot, 3);
    return overlaps(op.hi, op.lo, op.order, hi & KEY_HI_MASK, lo, order);
  }

  private allocate(
    array: number,
    tag1: number,
    tag2: number,
    keyHi: number,
    pageHi: number,
    pageLo: number,
    order: number,
  ): number {
    const tags = this.tags[array];
    const victim = tags.victim(setIndex(tag1, tag2, pageHi, pageLo, order));
    if (tags.live[victim] !== 0) this.discount(array, victim);
    tags.place(victim, tag1, tag2, keyHi, pageLo);
    if (tag1 !== -1) this.tagged++;
    this.probes.add(array, order);
    return victim;
  }

  /** Whether an entry holds less than the leaf that an invalidation of its page would name. */
  private isPiece(array: number, slot: number): boolean {
    const at = (this.bases[array] + slot) * ENTRY_WORDS;
    const leaf1 = this.words[at + LEAF1];
    const leaf = leaf1 === 0 ? this.words[at + LEAF2] : leaf1;
    const order = this.tags[array].key(slot, 2) & ORDER_MASK;
    return ((leaf >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK) > order;
  }

  private discount(array: number, slot: number): void {
    if (this.isPiece(array, slot)) this.pieces--;
    if (this.tags[array].key(slot, 0) !== -1) this.tagged--;
    this.probes.remove(array, this.tags[array].key(slot, 2) & ORDER_MASK);
  }

  private arrayOf(slot: number): number {
    let array = this.bases.length - 1;
    while (this.bases[array] > slot || this.tags[array].entries === 0) array--;
    return array;
  }

  /** Array for a page of 2^order: that of the largest pages not larger; -1 if none has entries. */
  private arrayFor(order: number): number {
    let best = -1;
    for (let array = 0; array < this.arrays.length; array++) {
      const { minOrder } = this.arrays[array];
      if (minOrder > order || this.tags[array].entries === 0) continue;
      if (best < 0 || minOrder > this.arrays[best].minOrder) best = array;
    }
    return best;
  }
}
