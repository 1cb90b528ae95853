/**
 * Nodes of the area tree, as numbers that index typed arrays: a search touches only the keys that
 * it compares, not one object after the other. Arrays double when they are full.
 */

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

/** Leaves: areas in order, chained; entry `i` of a leaf is at `leaf * LEAF_FANOUT + i`. */
export class Leaves extends Nodes {
  /** First and last address of each area, and its row. */
  keys: Float64Array = new Float64Array(LEAF_FANOUT);
  ends: Float64Array = new Float64Array(LEAF_FANOUT);
  rows: Int32Array = new Int32Array(LEAF_FANOUT);
  previous: Int32Array = new Int32Array(1);
  next: Int32Array = new Int32Array(1);

  override make(): number {
    const leaf = super.make();
    this.previous[leaf] = NONE;
    this.next[leaf] = NONE;
    return leaf;
  }

  /** Puts an area at a place of a leaf that is not full. */
  insert(leaf: number, slot: number, key: number, end: number, row: number): void {
    const { keys, ends, rows } = this;
    const at = leaf * LEAF_FANOUT + slot;
    for (let to = leaf * LEAF_FANOUT + this.count[leaf]; to > at; to--) {
      keys[to] = keys[to - 1];
      ends[to] = ends[to - 1];
      rows[to] = rows[to - 1];
    }
    keys[at] = key;
    ends[at] = end;
    rows[at] = row;
    this.count[leaf]++;
  }

  remove(leaf: number, slot: number): void {
    const { keys, ends, rows } = this;
    this.count[leaf]--;
    const end = leaf * LEAF_FANOUT + this.count[leaf];
    for (let to = leaf * LEAF_FANOUT + slot; to < end; to++) {
      keys[to] = keys[to + 1];
      ends[to] = ends[to + 1];
      rows[to] = rows[to + 1];
    }
  }

  /** Moves the entries from `keep` on to another leaf, which is empty. */
  move(leaf: number, keep: number, to: number): void {
    const from = leaf * LEAF_FANOUT + keep;
    const end = leaf * LEAF_FANOUT + this.count[leaf];
    this.keys.copyWithin(to * LEAF_FANOUT, from, end);
    this.ends.copyWithin(to * LEAF_FANOUT, from, end);
    this.rows.copyWithin(to * LEAF_FANOUT, from, end);
    this.count[leaf] = keep;
    this.count[to] = end - from;
  }

  protected override grow(): void {
    super.grow();
    this.keys = longer(this.keys, this.capacity * LEAF_FANOUT);
    this.ends = longer(this.ends, this.capacity * LEAF_FANOUT);
    this.rows = longerInts(this.rows, this.capacity * LEAF_FANOUT);
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
