/**
 * Nodes of the area tree, as numbers that index typed arrays: a search touches only the keys that
 * it compares, not one object after the other. Arrays double when they are full.
 */
import type { Area } from './area.ts';

export const FANOUT = 64;
export const NONE = -1;

/** What leaves and inner nodes have in common; entry `i` of a node is at `node * FANOUT + i`. */
class Nodes {
  protected capacity = 1;
  private made = 0;
  private readonly free: number[] = [];
  count: Int32Array = new Int32Array(1);
  parent: Int32Array = new Int32Array(1);
  /** Largest gap of a node. */
  largest: Float64Array = new Float64Array(1);
  keys: Float64Array = new Float64Array(FANOUT);
  gaps: Float64Array = new Float64Array(FANOUT);

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

  /** The largest of the gaps that a node has. */
  measure(node: number): number {
    const { gaps } = this;
    const from = node * FANOUT;
    const end = from + this.count[node];
    let largest = 0;
    for (let at = from; at < end; at++) if (gaps[at] > largest) largest = gaps[at];
    return largest;
  }

  protected grow(): void {
    this.capacity *= 2;
    this.count = longerInts(this.count, this.capacity);
    this.parent = longerInts(this.parent, this.capacity);
    this.largest = longer(this.largest, this.capacity);
    this.keys = longer(this.keys, this.capacity * FANOUT);
    this.gaps = longer(this.gaps, this.capacity * FANOUT);
  }
}

/** Leaves: areas in order, chained; a gap is that between an area and the next one. */
export class Leaves extends Nodes {
  /** Last address of each area. */
  ends: Float64Array = new Float64Array(FANOUT);
  previous: Int32Array = new Int32Array(1);
  next: Int32Array = new Int32Array(1);
  readonly areas: (Area | null)[] = [];

  override make(): number {
    const leaf = super.make();
    this.previous[leaf] = NONE;
    this.next[leaf] = NONE;
    while (this.areas.length < (leaf + 1) * FANOUT) this.areas.push(null);
    return leaf;
  }

  /** Puts an area at a place of a leaf that is not full; its gap is set by the caller. */
  insert(leaf: number, slot: number, area: Area): void {
    const { keys, ends, gaps, areas } = this;
    const at = leaf * FANOUT + slot;
    for (let to = leaf * FANOUT + this.count[leaf]; to > at; to--) {
      keys[to] = keys[to - 1];
      ends[to] = ends[to - 1];
      gaps[to] = gaps[to - 1];
      areas[to] = areas[to - 1];
    }
    keys[at] = Number(area.iova);
    ends[at] = Number(area.last);
    areas[at] = area;
    this.count[leaf]++;
  }

  remove(leaf: number, slot: number): void {
    const { keys, ends, gaps, areas } = this;
    this.count[leaf]--;
    const end = leaf * FANOUT + this.count[leaf];
    for (let to = leaf * FANOUT + slot; to < end; to++) {
      keys[to] = keys[to + 1];
      ends[to] = ends[to + 1];
      gaps[to] = gaps[to + 1];
      areas[to] = areas[to + 1];
    }
    areas[end] = null;
  }

  /** Moves the entries from `keep` on to another leaf, which is empty. */
  move(leaf: number, keep: number, to: number): void {
    const from = leaf * FANOUT + keep;
    const end = leaf * FANOUT + this.count[leaf];
    this.keys.copyWithin(to * FANOUT, from, end);
    this.ends.copyWithin(to * FANOUT, from, end);
    this.gaps.copyWithin(to * FANOUT, from, end);
    for (let at = from; at < end; at++) {
      this.areas[to * FANOUT + at - from] = this.areas[at];
      this.areas[at] = null;
    }
    this.count[leaf] = keep;
    this.count[to] = end - from;
  }

  protected override grow(): void {
    super.grow();
    this.ends = longer(this.ends, this.capacity * FANOUT);
    this.previous = longerInts(this.previous, this.capacity);
    this.next = longerInts(this.next, this.capacity);
  }
}

/** Inner nodes: a key is at most the least below the child; a gap is the largest below it. */
export class InnerNodes extends Nodes {
  children: Int32Array = new Int32Array(FANOUT);
  /** The keys as they are, for where doubles are too coarse. */
  readonly exact: bigint[] = [];

  override make(): number {
    const node = super.make();
    while (this.exact.length < (node + 1) * FANOUT) this.exact.push(0n);
    return node;
  }

  slotOf(node: number, child: number): number {
    const from = node * FANOUT;
    let at = from;
    while (this.children[at] !== child) at++;
    return at - from;
  }

  insert(node: number, slot: number, child: number, least: bigint, gap: number): void {
    const { keys, gaps, children, exact } = this;
    const at = node * FANOUT + slot;
    for (let to = node * FANOUT + this.count[node]; to > at; to--) {
      keys[to] = keys[to - 1];
      gaps[to] = gaps[to - 1];
      children[to] = children[to - 1];
      exact[to] = exact[to - 1];
    }
    keys[at] = Number(least);
    gaps[at] = gap;
    children[at] = child;
    exact[at] = least;
    this.count[node]++;
  }

  remove(node: number, slot: number): void {
    const { keys, gaps, children, exact } = this;
    this.count[node]--;
    const end = node * FANOUT + this.count[node];
    for (let to = node * FANOUT + slot; to < end; to++) {
      keys[to] = keys[to + 1];
      gaps[to] = gaps[to + 1];
      children[to] = children[to + 1];
      exact[to] = exact[to + 1];
    }
  }

  protected override grow(): void {
    super.grow();
    this.children = longerInts(this.children, this.capacity * FANOUT);
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
