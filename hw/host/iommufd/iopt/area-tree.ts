/**
 * The areas of an IOAS in the order of their IOVA: a B+ tree which, for automatic placement, keeps
 * the size of the largest free gap below each node, so that the lowest gap of some size is found
 * without a walk over all areas. Keys, ends and gaps are doubles; where two are equal as doubles
 * (above 2^53) the exact addresses decide, and gaps are taken as a little larger than they may be.
 */
import type { Area } from './area.ts';
import { AreaRows } from './area-rows.ts';
import {
  END_KEY,
  EXACT,
  FANOUT,
  InnerNodes,
  LEAF_FANOUT,
  Leaves,
  NONE,
  SLACK,
} from './tree-nodes.ts';
import { U64_MAX } from './units.ts';

export class AreaTree {
  size = 0;
  /** The gap found last. */
  gapStart = 0n;
  gapLast = 0n;
  private readonly rows: AreaRows = new AreaRows();
  private readonly leaves: Leaves = new Leaves();
  private readonly inner: InnerNodes = new InnerNodes();
  private root: number = this.leaves.make();
  /** Levels of inner nodes above the leaves. */
  private height = 0;
  private head: number = this.root;
  private version = 0;
  /** Where the last search ended: the last area of the leaf that starts by the address. */
  private leaf: number = this.root;
  private slot: number = NONE;
  private soughtAt = -1;
  private sought = 0n;
  private gapBytes = 0;
  private gapLeaf: number = this.root;
  private gapSlot: number = NONE;

  get first(): Area | null {
    return this.size === 0 ? null : this.areaAt(this.head * LEAF_FANOUT);
  }

  /** Lowest area that has an address in [start, last]. */
  find(start: bigint, last: bigint): Area | null {
    this.seek(start);
    const { leaves, rows } = this;
    const before = this.entryBefore();
    if (before !== NONE) {
      const key = Number(start);
      const end = leaves.end(before);
      if (end > key || (end === key && key <= EXACT)) return this.areaAt(before);
      if (end === key && rows.last(leaves.row(before)) >= start) return this.areaAt(before);
    }
    const after = this.leaves.entryAfter(this.leaf, this.slot);
    if (after === NONE) return null;
    const key = leaves.key(after);
    const end = Number(last);
    const starts = key < end || (key === end && this.iovaAt(after) <= last);
    return starts ? this.areaAt(after) : null;
  }

  /** The area after one that is in the tree. */
  next(area: Area): Area | null {
    this.seekArea(area);
    const entry = this.leaves.entryAfter(this.leaf, this.slot);
    if (entry === NONE) return null;
    const after = this.areaAt(entry);
    this.leaf = Math.floor(entry / LEAF_FANOUT);
    this.slot = entry % LEAF_FANOUT;
    this.sought = after.iova;
    return after;
  }

  /** The tree answers for the area from now on: what was added need not be what is found. */
  insert(area: Area): void {
    this.seek(area.iova);
    const { leaves } = this;
    let { leaf } = this;
    let slot = this.slot + 1;
    if (leaves.count[leaf] === LEAF_FANOUT) {
      const right = this.split(leaf, slot);
      const kept = leaves.count[leaf];
      if (slot > kept || leaves.count[right] === 0) {
        slot -= kept;
        leaf = right;
      }
    }
    this.size++;
    this.version++;
    const parted = slot > 0 ? this.leaves.gapAfter(leaf, slot - 1) : 0;
    leaves.insert(leaf, slot, Number(area.iova), Number(area.last), this.rows.add(area));
    if (slot === 0) this.remeasureBefore(leaf);
    const gap = this.leaves.gapAfter(leaf, slot);
    if (gap > leaves.largest[leaf] || parted === leaves.largest[leaf]) this.remeasure(leaf);
  }

  remove(area: Area): void {
    this.seek(area.iova);
    const { leaves } = this;
    const { leaf, slot } = this;
    this.size--;
    this.version++;
    const lost = this.leaves.gapAfter(leaf, slot);
    this.rows.drop(leaves.row(leaf * LEAF_FANOUT + slot));
    leaves.remove(leaf, slot);
    if (slot > 0) {
      const merged = this.leaves.gapAfter(leaf, slot - 1);
      if (merged > leaves.largest[leaf] || lost === leaves.largest[leaf]) this.remeasure(leaf);
      return;
    }
    if (leaves.count[leaf] === 0) this.unlink(leaf);
    else if (lost === leaves.largest[leaf]) this.remeasure(leaf);
    this.remeasureBefore(leaf);
  }

  /**
   * Puts the lowest gap that is as large as a length (or a little smaller, above 2^53) and does not
   * end before `from` into `gapStart` and `gapLast`; false where there is none.
   */
  firstGap(from: bigint, length: bigint): boolean {
    const bytes = Number(length);
    this.gapBytes = bytes > EXACT ? bytes - SLACK : bytes;
    this.seek(from);
    const before = this.entryBefore();
    if (before !== NONE) {
      return this.gapFrom(Math.floor(before / LEAF_FANOUT), before % LEAF_FANOUT);
    }
    const first = this.size === 0 ? NONE : this.head * LEAF_FANOUT;
    this.gapLeaf = this.head;
    this.gapSlot = NONE;
    const bound = first === NONE ? END_KEY : this.leaves.key(first);
    if (bound + (bound > EXACT ? SLACK : 0) < this.gapBytes) return this.nextGap();
    this.gapStart = 0n;
    this.gapLast = this.addressBefore(first);
    return true;
  }

  /** The next one above the last found. */
  nextGap(): boolean {
    return this.gapFrom(this.gapLeaf, this.gapSlot + 1);
  }

  /** Puts the cursor at an address. */
  private seek(address: bigint): void {
    if (this.soughtAt === this.version && this.sought === address) return;
    const key = Number(address);
    const exact = key <= EXACT;
    const { inner, leaves } = this;
    let node = this.root;
    for (let level = this.height; level > 0; level--) {
      const base = node * FANOUT;
      let low = base + 1;
      let high = base + inner.count[node];
      while (low < high) {
        const middle = (low + high) >>> 1;
        const at = inner.keys[middle];
        if (at < key || (at === key && (exact || inner.exact[middle] <= address))) low = middle + 1;
        else high = middle;
      }
      node = inner.children[low - 1];
    }
    const base = node * LEAF_FANOUT;
    let low = base;
    let high = base + leaves.count[node];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = leaves.key(middle);
      if (at < key || (at === key && (exact || this.iovaAt(middle) <= address))) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    this.leaf = node;
    this.slot = low - 1 - base;
    this.soughtAt = this.version;
    this.sought = address;
  }

  /** Puts the cursor at an area that is in the tree. */
  private seekArea(area: Area): void {
    const { leaf, slot } = this;
    const isValid = this.soughtAt === this.version && slot >= 0;
    if (isValid && this.iovaAt(leaf * LEAF_FANOUT + slot) === area.iova) return;
    this.seek(area.iova);
  }

  private areaAt(entry: number): Area {
    return this.rows.at(this.leaves.row(entry));
  }

  private iovaAt(entry: number): bigint {
    return this.rows.iova(this.leaves.row(entry));
  }

  /** The last address before an area, or of all where there is none. */
  private addressBefore(entry: number): bigint {
    return entry === NONE ? U64_MAX : this.iovaAt(entry) - 1n;
  }

  /** Entry of the last area that starts at the cursor or before it. */
  private entryBefore(): number {
    if (this.slot >= 0) return this.leaf * LEAF_FANOUT + this.slot;
    const before = this.leaves.previous[this.leaf];
    return before === NONE ? NONE : before * LEAF_FANOUT + this.leaves.count[before] - 1;
  }

  /** The first area of a leaf has changed: so has the last gap of the leaf before. */
  private remeasureBefore(leaf: number): void {
    const before = this.leaves.previous[leaf];
    if (before !== NONE) this.remeasure(before);
  }

  /** Gaps of a leaf have changed: so may the largest of it and of the nodes above. */
  private remeasure(leaf: number): void {
    const { leaves, inner } = this;
    let before = leaves.largest[leaf];
    let now = this.leaves.measure(leaf);
    leaves.largest[leaf] = now;
    let child = leaf;
    let node = leaves.parent[leaf];
    while (node !== NONE && now !== before) {
      inner.gaps[node * FANOUT + inner.slotOf(node, child)] = now;
      const largest = inner.largest[node];
      if (now < largest) {
        if (before !== largest) return;
        now = inner.measure(node);
      }
      before = largest;
      inner.largest[node] = now;
      child = node;
      node = inner.parent[node];
    }
  }

  /** A full leaf gives its upper half away; nothing where an area is added at the very end. */
  private split(leaf: number, slot: number): number {
    const { leaves } = this;
    const right = leaves.make();
    const after = leaves.next[leaf];
    leaves.next[right] = after;
    if (after !== NONE) leaves.previous[after] = right;
    leaves.next[leaf] = right;
    leaves.previous[right] = leaf;
    if (slot === LEAF_FANOUT && after === NONE) {
      const end = leaf * LEAF_FANOUT + LEAF_FANOUT - 1;
      this.adopt(leaf, right, this.iovaAt(end) + 1n);
      return right;
    }
    leaves.move(leaf, LEAF_FANOUT >> 1, right);
    leaves.largest[right] = this.leaves.measure(right);
    this.adopt(leaf, right, this.iovaAt(right * LEAF_FANOUT));
    this.remeasure(leaf);
    return right;
  }

  /** Gives a new leaf its place behind another. */
  private adopt(left: number, right: number, least: bigint): void {
    const { leaves, inner } = this;
    let parent = leaves.parent[left];
    if (parent === NONE) {
      parent = this.newRoot(left, leaves.largest[left]);
      leaves.parent[left] = parent;
    } else if (inner.count[parent] === FANOUT) {
      this.splitInner(parent, 1);
      parent = leaves.parent[left];
    }
    inner.insert(parent, inner.slotOf(parent, left) + 1, right, least, leaves.largest[right]);
    leaves.parent[right] = parent;
  }

  private newRoot(child: number, largest: number): number {
    const { inner } = this;
    const node = inner.make();
    inner.insert(node, 0, child, 0n, largest);
    inner.largest[node] = largest;
    this.root = node;
    this.height++;
    return node;
  }

  /** Halves a full inner node, `level` above the leaves. */
  private splitInner(node: number, level: number): void {
    const { inner } = this;
    const right = inner.make();
    const keep = FANOUT >> 1;
    const parents = level === 1 ? this.leaves.parent : inner.parent;
    for (let at = keep; at < FANOUT; at++) {
      const entry = node * FANOUT + at;
      const child = inner.children[entry];
      inner.insert(right, at - keep, child, inner.exact[entry], inner.gaps[entry]);
      parents[child] = right;
    }
    inner.count[node] = keep;
    inner.largest[node] = inner.measure(node);
    inner.largest[right] = inner.measure(right);
    let parent = inner.parent[node];
    if (parent === NONE) {
      parent = this.newRoot(node, inner.largest[node]);
      inner.largest[parent] = Math.max(inner.largest[node], inner.largest[right]);
      inner.parent[node] = parent;
    } else if (inner.count[parent] === FANOUT) {
      this.splitInner(parent, level + 1);
      parent = inner.parent[node];
    }
    const slot = inner.slotOf(parent, node);
    // What is the largest below the parent is so still: it only has two children for one.
    inner.gaps[parent * FANOUT + slot] = inner.largest[node];
    inner.insert(parent, slot + 1, right, inner.exact[right * FANOUT], inner.largest[right]);
    inner.parent[right] = parent;
  }

  /** Takes an empty leaf out, with the nodes that become empty by it. */
  private unlink(leaf: number): void {
    const { leaves, inner } = this;
    this.remeasure(leaf);
    if (this.height === 0) return;
    const before = leaves.previous[leaf];
    const after = leaves.next[leaf];
    if (before !== NONE) leaves.next[before] = after;
    else this.head = after;
    if (after !== NONE) leaves.previous[after] = before;
    let gone = leaf;
    let node = leaves.parent[leaf];
    leaves.drop(leaf);
    while (inner.count[node] === 1) {
      gone = node;
      node = inner.parent[node];
      inner.drop(gone);
    }
    inner.remove(node, inner.slotOf(node, gone));
    while (this.height > 0 && inner.count[this.root] === 1) {
      const child = inner.children[this.root * FANOUT];
      inner.drop(this.root);
      this.root = child;
      this.height--;
      if (this.height > 0) inner.parent[child] = NONE;
      else leaves.parent[child] = NONE;
    }
  }

  private gapFrom(leaf: number, slot: number): boolean {
    const { leaves, inner, gapBytes } = this;
    const end = leaves.count[leaf];
    for (let at = slot; at < end; at++) {
      if (this.leaves.gapAfter(leaf, at) >= gapBytes) return this.foundGap(leaf, at);
    }
    let child = leaf;
    let node = leaves.parent[leaf];
    for (let level = 1; node !== NONE; level++) {
      for (let at = inner.slotOf(node, child) + 1; at < inner.count[node]; at++) {
        const entry = node * FANOUT + at;
        if (inner.gaps[entry] >= gapBytes) return this.lowestGap(inner.children[entry], level - 1);
      }
      child = node;
      node = inner.parent[node];
    }
    return false;
  }

  /** The lowest gap below a node, `level` above the leaves, that has one. */
  private lowestGap(from: number, level: number): boolean {
    const { inner, gapBytes } = this;
    let node = from;
    for (let left = level; left > 0; left--) {
      let entry = node * FANOUT;
      while (inner.gaps[entry] < gapBytes) entry++;
      node = inner.children[entry];
    }
    let slot = 0;
    while (this.leaves.gapAfter(node, slot) < gapBytes) slot++;
    return this.foundGap(node, slot);
  }

  private foundGap(leaf: number, slot: number): boolean {
    this.gapLeaf = leaf;
    this.gapSlot = slot;
    this.gapStart = this.rows.last(this.leaves.row(leaf * LEAF_FANOUT + slot)) + 1n;
    this.gapLast = this.addressBefore(this.leaves.entryAfter(leaf, slot));
    return true;
  }
}
