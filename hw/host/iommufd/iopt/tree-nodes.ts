/**
 * Nodes of the area tree, as numbers that index typed arrays: a search touches only the keys that
 * it compares, not one object after the other. Arrays double when they are full.
 */

import { U64_MAX } from './units.ts';

/** Above it doubles are rounded, by less than 2048 each below 2^64. */
export const EXACT = Number.MAX_SAFE_INTEGER;
export const SLACK = 4096;
/** 2^64: what follows the last area. */
export const END_KEY: number = Number(U64_MAX);

/** A leaf is small, so that what an area added or removed moves is little. */
export const LEAF_FANOUT = 16;
export const FANOUT = 64;
export const NONE = -1;

/** What leaves and inner nodes have in common. */
abstract class Nodes {
  protected capacity = 1;
  private made = 0;
  private readonly free: number[] = [];
  count: Int32Array = new Int32Array(1);
  parent: Int32Array = new Int32Array(1);
  /** Largest gap of a node. */
  largest: Float64Array = new Float64Array(1);

  /** An empty node. */
  make(): number {
    const node = this.free.pop() ?? this.made++;
    if (node === this.capacity) this.grow();
    this.count[node] = 0;
    this.parent[node] = NONE;
    this.largest[node] = 0;
    return node;
  }

  drop(node: number): void {
    this.free.push(node);
  }

  protected grow(): void {
    this.capacity *= 2;
    this.count = longerInts(this.count, this.capacity);
    this.parent = longerInts(this.parent, this.capacity);
    this.largest = longer(this.largest, this.capacity);
  }
}

/** Of a leaf's entry: first and last address of an area, and its row. */
const KEY = 0;
const END = 1;
const ROW = 2;
const ENTRY_WORDS = 3;
const LEAF_WORDS = LEAF_FANOUT * ENTRY_WORDS;

/** Leaves: areas in order, chained; entry `i` of a leaf is `leaf * LEAF_FANOUT + i`. */
export class Leaves extends Nodes {
  previous: Int32Array = new Int32Array(1);
  next: Int32Array = new Int32Array(1);
  private words: Float64Array = new Float64Array(LEAF_WORDS);

  key(entry: number): number {
    return this.words[entry * ENTRY_WORDS + KEY];
  }

  end(entry: number): number {
    return this.words[entry * ENTRY_WORDS + END];
  }

  row(entry: number): number {
    return this.words[entry * ENTRY_WORDS + ROW];
  }

  /** The entry behind one of a leaf, maybe in the next leaf, or none. */
  entryAfter(leaf: number, slot: number): number {
    if (slot + 1 < this.count[leaf]) return leaf * LEAF_FANOUT + slot + 1;
    const next = this.next[leaf];
    return next === NONE ? NONE : next * LEAF_FANOUT;
  }

  /** Free bytes between an area and the next, never too few. */
  gapAfter(leaf: number, slot: number): number {
    const after = this.entryAfter(leaf, slot);
    const bound = after === NONE ? END_KEY : this.key(after);
    return bound - this.end(leaf * LEAF_FANOUT + slot) - 1 + (bound > EXACT ? SLACK : 0);
  }

  /** The largest of the gaps behind the areas of a leaf. */
  measure(leaf: number): number {
    let largest = 0;
    for (let slot = this.count[leaf] - 1; slot >= 0; slot--) {
      const gap = this.gapAfter(leaf, slot);
      if (gap > largest) largest = gap;
    }
    return largest;
  }

  override make(): number {
    const leaf = super.make();
    this.previous[leaf] = NONE;
    this.next[leaf] = NONE;
    return leaf;
  }

  /** Puts an area at a place of a leaf that is not full. */
  insert(leaf: number, slot: number, key: number, end: number, row: number): void {
    const { words } = this;
    const at = leaf * LEAF_WORDS + slot * ENTRY_WORDS;
    let to = leaf * LEAF_WORDS + this.count[leaf] * ENTRY_WORDS + ENTRY_WORDS - 1;
    for (; to >= at + ENTRY_WORDS; to--) words[to] = words[to - ENTRY_WORDS];
    words[at + KEY] = key;
    words[at + END] = end;
    words[at + ROW] = row;
    this.count[leaf]++;
  }

  remove(leaf: number, slot: number): void {
    const { words } = this;
    this.count[leaf]--;
    const end = leaf * LEAF_WORDS + this.count[leaf] * ENTRY_WORDS;
    let to = leaf * LEAF_WORDS + slot * ENTRY_WORDS;
    for (; to < end; to++) words[to] = words[to + ENTRY_WORDS];
  }

  /** Moves the entries from `keep` on to another leaf, which is empty. */
  move(leaf: number, keep: number, to: number): void {
    const from = leaf * LEAF_WORDS + keep * ENTRY_WORDS;
    const end = leaf * LEAF_WORDS + this.count[leaf] * ENTRY_WORDS;
    this.words.copyWithin(to * LEAF_WORDS, from, end);
    this.count[to] = this.count[leaf] - keep;
    this.count[leaf] = keep;
  }

  protected override grow(): void {
    super.grow();
    this.words = longer(this.words, this.capacity * LEAF_WORDS);
    this.previous = longerInts(this.previous, this.capacity);
    this.next = longerInts(this.next, this.capacity);
  }
}

/**
 * Inner nodes: a key is at most the least below the child; a gap is the largest below it. Entry `i`
 * of a node is at `node * FANOUT + i`.
 */
export class InnerNodes extends Nodes {
  keys: Float64Array = new Float64Array(FANOUT);
  gaps: Float64Array = new Float64Array(FANOUT);
  children: Int32Array = new Int32Array(FANOUT);
  /** The keys as they are, for where doubles are too coarse. */
  exact: BigUint64Array = new BigUint64Array(FANOUT);

  /** The largest of the gaps that a node has. */
  measure(node: number): number {
    const { gaps } = this;
    const from = node * FANOUT;
    const end = from + this.count[node];
    let largest = 0;
    for (let at = from; at < end; at++) if (gaps[at] > largest) largest = gaps[at];
    return largest;
  }

  slotOf(node: number, child: number): number {
    const from = node * FANOUT;
    let at = from;
    while (this.children[at] !== child) at++;
    return at - from;
  }

  insert(node: number, slot: number, child: number, least: bigint, gap: number): void {
    const at = node * FANOUT + slot;
    this.shift(at, at + 1, node * FANOUT + this.count[node]);
    this.keys[at] = Number(least);
    this.gaps[at] = gap;
    this.children[at] = child;
    this.exact[at] = least;
    this.count[node]++;
  }

  remove(node: number, slot: number): void {
    const at = node * FANOUT + slot;
    this.shift(at + 1, at, node * FANOUT + this.count[node]);
    this.count[node]--;
  }

  /** Moves the entries between `from` and `end`. */
  private shift(from: number, to: number, end: number): void {
    this.keys.copyWithin(to, from, end);
    this.gaps.copyWithin(to, from, end);
    this.children.copyWithin(to, from, end);
    this.exact.copyWithin(to, from, end);
  }

  protected override grow(): void {
    super.grow();
    this.keys = longer(this.keys, this.capacity * FANOUT);
    this.gaps = longer(this.gaps, this.capacity * FANOUT);
    this.children = longerInts(this.children, this.capacity * FANOUT);
    const exact = new BigUint64Array(this.capacity * FANOUT);
    exact.set(this.exact);
    this.exact = exact;
  }
}

function longer(array: Float64Array, length: number): Float64Array {
  const grown = new Float64Array(length);
  grown.set(array);
  return grown;
}

function longerInts(array: Int32Array, length: number): Int32Array {
  const grown = new Int32Array(length);
  grown.set(array);
  return grown;
}
