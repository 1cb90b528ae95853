/**
 * The areas of an IOAS in the order of their IOVA: a B+ tree whose nodes keep their keys in typed
 * arrays (one cache line or two each search step), and, for automatic placement, the size of the
 * largest free gap below each node, so that the lowest gap of some size is found without a walk over
 * all areas. Keys and gaps are doubles; where two keys are equal as doubles (above 2^53) the exact
 * addresses decide, and gaps are taken as a little larger than they may be.
 */
import { type Area, U64_MAX } from './area.ts';

const FANOUT = 64;
/** Above it doubles are rounded, by less than 2048 each below 2^64. */
const EXACT = Number.MAX_SAFE_INTEGER;
const SLACK = 4096;
const END_KEY = Number(U64_MAX);

class Leaf {
  count = 0;
  readonly keys: Float64Array = new Float64Array(FANOUT);
  /** Free bytes between an area and the one after it. */
  readonly gaps: Float64Array = new Float64Array(FANOUT);
  readonly areas: Area[] = [];
  largest = 0;
  parent: Inner | null = null;
  previous: Leaf | null = null;
  next: Leaf | null = null;
}

class Inner {
  count = 0;
  /** Least key of each child, or below it. */
  readonly keys: Float64Array = new Float64Array(FANOUT);
  readonly exact: bigint[] = [];
  /** Largest gap below each child. */
  readonly gaps: Float64Array = new Float64Array(FANOUT);
  readonly children: (Inner | Leaf)[] = [];
  largest = 0;
  parent: Inner | null = null;
}

export class AreaTree {
  size = 0;
  first: Area | null = null;
  private root: Inner | Leaf = new Leaf();
  private version = 0;
  /** Where the last search ended: the last area that starts at its address or before it. */
  private leaf: Leaf = this.root as Leaf;
  private slot = -1;
  private soughtAt = -1;
  private sought = 0n;
  /** The gap found last, and what was asked for. */
  gapStart = 0n;
  gapLast = 0n;
  private gapBytes = 0;
  private gapLeaf: Leaf = this.leaf;
  private gapSlot = -1;

  /** Lowest area that has an address in [start, last]. */
  find(start: bigint, last: bigint): Area | null {
    const before = this.floor(start);
    if (before !== null && before.last >= start) return before;
    const after = before === null ? this.first : before.next;
    return after !== null && after.iova <= last ? after : null;
  }

  insert(area: Area): void {
    const before = this.floor(area.iova);
    const after = before === null ? this.first : before.next;
    area.previous = before;
    area.next = after;
    if (before === null) this.first = area;
    else before.next = area;
    if (after !== null) after.previous = area;
    let leaf = this.leaf;
    let slot = this.slot + 1;
    if (leaf.count === FANOUT) {
      const right = this.split(leaf, slot);
      if (slot > leaf.count || (slot === leaf.count && right.count === 0)) {
        slot -= leaf.count;
        leaf = right;
      }
    }
    this.size++;
    this.version++;
    this.place(leaf, slot, area);
  }

  remove(area: Area): void {
    let leaf = this.leaf;
    let slot = this.slot;
    if (this.soughtAt !== this.version || slot < 0 || leaf.areas[slot] !== area) {
      this.floor(area.iova);
      leaf = this.leaf;
      slot = this.slot;
    }
    const { previous, next } = area;
    if (previous === null) this.first = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    area.previous = null;
    area.next = null;
    this.size--;
    this.version++;
    const lost = leaf.gaps[slot];
    takeOut(leaf, slot);
    if (slot > 0) {
      const merged = gapAfter(previous as Area);
      leaf.gaps[slot - 1] = merged;
      if (merged > leaf.largest) grown(leaf, merged);
      else if (lost === leaf.largest) refresh(leaf);
      return;
    }
    if (leaf.previous !== null) {
      const neighbour = leaf.previous;
      neighbour.gaps[neighbour.count - 1] = gapAfter(previous as Area);
      refresh(neighbour);
    }
    if (leaf.count === 0) this.unlink(leaf);
    else if (lost === leaf.largest) refresh(leaf);
  }

  /**
   * Puts the lowest gap that is as large as a length (or a little smaller, above 2^53) and does not
   * end before `from` into `gapStart` and `gapLast`; false where there is none.
   */
  firstGap(from: bigint, length: bigint): boolean {
    const bytes = Number(length);
    this.gapBytes = bytes > EXACT ? bytes - SLACK : bytes;
    const before = this.floor(from);
    if (before === null) {
      const head = this.first === null ? END_KEY : Number(this.first.iova);
      this.gapLeaf = this.leaf;
      this.gapSlot = -1;
      if (head + (head > EXACT ? SLACK : 0) < this.gapBytes) return this.nextGap();
      this.gapStart = 0n;
      this.gapLast = this.first === null ? U64_MAX : this.first.iova - 1n;
      return true;
    }
    const inLeaf = this.slot >= 0;
    const leaf = inLeaf ? this.leaf : (this.leaf.previous as Leaf);
    return this.gapFrom(leaf, inLeaf ? this.slot : leaf.count - 1);
  }

  /** The next one above the last found. */
  nextGap(): boolean {
    return this.gapFrom(this.gapLeaf, this.gapSlot + 1);
  }

  /** Last area that starts at the address or before it; leaves the cursor there. */
  private floor(address: bigint): Area | null {
    if (this.soughtAt === this.version && this.sought === address) return this.atCursor();
    const key = Number(address);
    let node = this.root;
    while (node instanceof Inner) {
      let low = 1;
      let high = node.count;
      while (low < high) {
        const middle = (low + high) >>> 1;
        const at = node.keys[middle];
        if (at < key || (at === key && node.exact[middle] <= address)) low = middle + 1;
        else high = middle;
      }
      node = node.children[low - 1];
    }
    let low = 0;
    let high = node.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = node.keys[middle];
      if (at < key || (at === key && node.areas[middle].iova <= address)) low = middle + 1;
      else high = middle;
    }
    this.leaf = node;
    this.slot = low - 1;
    this.soughtAt = this.version;
    this.sought = address;
    return this.atCursor();
  }

  private atCursor(): Area | null {
    if (this.slot >= 0) return this.leaf.areas[this.slot];
    const before = this.leaf.previous;
    return before === null ? null : before.areas[before.count - 1];
  }

  private place(leaf: Leaf, slot: number, area: Area): void {
    const gap = gapAfter(area);
    putIn(leaf, slot, area, gap);
    if (slot > 0) {
      const parted = leaf.gaps[slot - 1];
      leaf.gaps[slot - 1] = gapAfter(leaf.areas[slot - 1]);
      if (parted === leaf.largest) refresh(leaf);
      else if (gap > leaf.largest) grown(leaf, gap);
      return;
    }
    const neighbour = leaf.previous;
    if (neighbour !== null) {
      neighbour.gaps[neighbour.count - 1] = gapAfter(area.previous as Area);
      refresh(neighbour);
    }
    if (gap > leaf.largest) grown(leaf, gap);
  }

  /** A full leaf gives its upper half away; nothing where an area is added at the very end. */
  private split(leaf: Leaf, slot: number): Leaf {
    const right = new Leaf();
    const keep = slot === FANOUT && leaf.next === null ? FANOUT : FANOUT >> 1;
    right.count = FANOUT - keep;
    if (right.count > 0) {
      right.keys.set(leaf.keys.subarray(keep));
      right.gaps.set(leaf.gaps.subarray(keep));
      right.areas.push(...leaf.areas.splice(keep));
      leaf.count = keep;
      refresh(leaf);
      right.largest = largestOf(right.gaps, right.count);
    }
    right.next = leaf.next;
    if (leaf.next !== null) leaf.next.previous = right;
    leaf.next = right;
    right.previous = leaf;
    const least = right.count > 0 ? right.areas[0].iova : leaf.areas[keep - 1].iova + 1n;
    this.adopt(leaf, right, least);
    return right;
  }

  /** Makes a new node the right neighbour of one that has a place in the tree. */
  private adopt(left: Inner | Leaf, right: Inner | Leaf, least: bigint): void {
    let parent = left.parent;
    if (parent === null) {
      parent = new Inner();
      parent.count = 1;
      parent.children.push(left);
      parent.exact.push(0n);
      parent.gaps[0] = left.largest;
      parent.largest = left.largest;
      left.parent = parent;
      this.root = parent;
    } else if (parent.count === FANOUT) {
      this.splitInner(parent);
      parent = left.parent as Inner;
    }
    const at = parent.children.indexOf(left) + 1;
    parent.keys.copyWithin(at + 1, at, parent.count);
    parent.gaps.copyWithin(at + 1, at, parent.count);
    parent.children.splice(at, 0, right);
    parent.exact.splice(at, 0, least);
    parent.keys[at] = Number(least);
    parent.gaps[at] = right.largest;
    parent.count++;
    right.parent = parent;
    if (right.largest > parent.largest) grown(parent, right.largest);
  }

  private splitInner(node: Inner): void {
    const right = new Inner();
    const keep = FANOUT >> 1;
    right.count = FANOUT - keep;
    right.keys.set(node.keys.subarray(keep));
    right.gaps.set(node.gaps.subarray(keep));
    right.children.push(...node.children.splice(keep));
    right.exact.push(...node.exact.splice(keep));
    for (const child of right.children) child.parent = right;
    node.count = keep;
    right.largest = largestOf(right.gaps, right.count);
    refresh(node);
    this.adopt(node, right, right.exact[0]);
  }

  /** Takes an empty leaf out, with the nodes that become empty by it. */
  private unlink(leaf: Leaf): void {
    if (leaf.parent === null) {
      leaf.largest = 0;
      return;
    }
    if (leaf.previous !== null) leaf.previous.next = leaf.next;
    if (leaf.next !== null) leaf.next.previous = leaf.previous;
    let gone: Inner | Leaf = leaf;
    let parent: Inner = leaf.parent;
    while (parent.count === 1 && parent.parent !== null) {
      gone = parent;
      parent = parent.parent;
    }
    const at = parent.children.indexOf(gone);
    parent.keys.copyWithin(at, at + 1, parent.count);
    parent.gaps.copyWithin(at, at + 1, parent.count);
    parent.children.splice(at, 1);
    parent.exact.splice(at, 1);
    parent.count--;
    refresh(parent);
    while (this.root instanceof Inner && this.root.count === 1) {
      this.root = this.root.children[0];
      this.root.parent = null;
    }
  }

  private gapFrom(from: Leaf, slot: number): boolean {
    const bytes = this.gapBytes;
    for (let at = slot; at < from.count; at++) {
      if (from.gaps[at] >= bytes) return this.foundGap(from, at);
    }
    let node: Inner | Leaf = from;
    for (let parent = node.parent; parent !== null; parent = node.parent) {
      for (let at = parent.children.indexOf(node) + 1; at < parent.count; at++) {
        if (parent.gaps[at] >= bytes) return this.lowestGap(parent.children[at]);
      }
      node = parent;
    }
    return false;
  }

  private lowestGap(from: Inner | Leaf): boolean {
    let node = from;
    for (;;) {
      let at = 0;
      while (node.gaps[at] < this.gapBytes) at++;
      if (node instanceof Leaf) return this.foundGap(node, at);
      node = node.children[at];
    }
  }

  private foundGap(leaf: Leaf, slot: number): boolean {
    const { last, next } = leaf.areas[slot];
    this.gapLeaf = leaf;
    this.gapSlot = slot;
    this.gapStart = last + 1n;
    this.gapLast = next === null ? U64_MAX : next.iova - 1n;
    return true;
  }
}

function putIn(leaf: Leaf, slot: number, area: Area, gap: number): void {
  const { keys, gaps, areas } = leaf;
  for (let at = leaf.count; at > slot; at--) {
    keys[at] = keys[at - 1];
    gaps[at] = gaps[at - 1];
    areas[at] = areas[at - 1];
  }
  keys[slot] = Number(area.iova);
  gaps[slot] = gap;
  areas[slot] = area;
  leaf.count++;
}

function takeOut(leaf: Leaf, slot: number): void {
  const { keys, gaps, areas } = leaf;
  leaf.count--;
  for (let at = slot; at < leaf.count; at++) {
    keys[at] = keys[at + 1];
    gaps[at] = gaps[at + 1];
    areas[at] = areas[at + 1];
  }
  areas.pop();
}

/** Free bytes after an area, never too few. */
function gapAfter(area: Area): number {
  const end = area.next === null ? END_KEY + 1 : Number(area.next.iova);
  return end - Number(area.last) - 1 + (end > EXACT ? SLACK : 0);
}

function largestOf(gaps: Float64Array, count: number): number {
  let largest = 0;
  for (let at = 0; at < count; at++) if (gaps[at] > largest) largest = gaps[at];
  return largest;
}

/** A node has a larger gap than before: so may the nodes above it. */
function grown(start: Inner | Leaf, gap: number): void {
  start.largest = gap;
  let node = start;
  for (let parent = node.parent; parent !== null; parent = node.parent) {
    parent.gaps[parent.children.indexOf(node)] = gap;
    if (parent.largest >= gap) return;
    parent.largest = gap;
    node = parent;
  }
}

/** A node's largest gap may have become smaller. */
function refresh(start: Inner | Leaf): void {
  let node = start;
  for (;;) {
    const largest = largestOf(node.gaps, node.count);
    if (largest === node.largest) return;
    const before = node.largest;
    node.largest = largest;
    const parent = node.parent;
    if (parent === null) return;
    parent.gaps[parent.children.indexOf(node)] = largest;
    if (largest < before && before < parent.largest) return;
    node = parent;
  }
}
