/**
 * An I/O page table in the AMD v1 format (AMD I/O Virtualization Technology Specification, 2.2.3):
 * three levels of 512 entries, leaves of any power of two at every level. A leaf larger than its
 * level's entry repeats itself in the entries that it spans; hardware sets the dirty bit in the one
 * it used, software reads the bits of all as one. Addresses are numbers of granules (the smallest
 * page): 27 bits of input, 40 of output. Tables go only when an unmap covers them whole.
 */
import { fail } from '../../../kernel/errno.ts';
import type { KernelMemory } from '../../../kernel/kernel-memory.ts';
import { PROT_READ, PROT_WRITE } from '../../driver.ts';

/** Input granules of a table: three levels of nine bits. */
export const INPUT_BITS = 27;
const INPUT_GRANULES = 2 ** INPUT_BITS;
const INDEX_BITS = 9;
const ENTRIES = 1 << INDEX_BITS;
const LEVELS = 3;
const TABLE_BYTES = 4096;
/** Output granules that an entry can hold. */
const OUTPUT_GRANULES = 2 ** 40;

/** Info word of an entry: 0 is empty, a table, or a leaf of 2^size granules. */
const SIZE = 0x1f;
const LEAF = 0x20;
const DIRTY = 0x40;
const TABLE = 0x80;
const READABLE = 0x100;
const WRITABLE = 0x200;

class TableNode {
  readonly level: number;
  readonly info: Uint16Array = new Uint16Array(ENTRIES);
  /** Output granule at which the leaf starts. */
  readonly frames: Float64Array = new Float64Array(ENTRIES);
  readonly children: (TableNode | null)[];
  parent: TableNode | null = null;
  parentIndex = 0;

  constructor(level: number) {
    this.level = level;
    this.children = level === 0 ? [] : new Array<TableNode | null>(ENTRIES).fill(null);
  }
}

export class AmdV1Table {
  /** Tables that exist, the root among them. */
  tables = 0;
  private readonly memory: KernelMemory;
  private readonly root: TableNode;
  /** Largest permitted leaf (log2 of granules) not above an index; -1: none. */
  private readonly largest: Int8Array = new Int8Array(INPUT_BITS + 1);
  /** Where the walk under way stands, and its end. */
  private cursor = 0;
  private end = 0;
  /** Tables made by the map call under way, to be undone with it. */
  private readonly created: TableNode[] = [];

  /** `pageSizes`: bit n for leaves of 2^n bytes, of which 2^granuleShift is the least possible. */
  constructor(memory: KernelMemory, granuleShift: number, pageSizes: bigint) {
    this.memory = memory;
    let best = -1;
    for (let size = 0; size <= INPUT_BITS; size++) {
      if ((pageSizes >> BigInt(size + granuleShift)) & 1n) best = size;
      this.largest[size] = best;
    }
    this.root = this.allocate(LEVELS - 1);
  }

  /** Maps `count` granules, each leaf as large as alignment, rest and format allow; or nothing. */
  map(first: number, frame: number, count: number, prot: number): void {
    const access = (prot & PROT_READ ? READABLE : 0) | (prot & PROT_WRITE ? WRITABLE : 0);
    if (access === 0) fail('EINVAL', 'a mapping must be readable or writable');
    if (frame + count > OUTPUT_GRANULES) fail('ERANGE', 'the physical address is too wide');
    if (first + count > INPUT_GRANULES) fail('ERANGE', 'the IOVA is outside the page table');
    const end = first + count;
    let at = first;
    this.created.length = 0;
    try {
      while (at < end) at += this.mapLeaf(at, frame + (at - first), end - at, access);
    } catch (error) {
      this.undoMap(first, at - first);
      throw error;
    }
  }

  /**
   * Clears whole leaves from `first` on until the range or what is mapped ends; returns granules
   * cleared. The last leaf goes whole though it reaches past the range; a range that starts inside
   * a leaf clears nothing.
   */
  unmap(first: number, count: number): number {
    this.cursor = first;
    this.end = Math.min(first + count, INPUT_GRANULES);
    if (first < this.end) this.unmapTable(this.root);
    return this.cursor - first;
  }

  /** Output granule of an input granule; -1 where nothing is mapped. */
  lookup(granule: number): number {
    if (granule >= INPUT_GRANULES) return -1;
    let table = this.root;
    for (;;) {
      const index = (granule >>> (INDEX_BITS * table.level)) & (ENTRIES - 1);
      const info = table.info[index];
      if (info & LEAF) return table.frames[index] + (granule & ((1 << (info & SIZE)) - 1));
      if (info === 0) return -1;
      table = table.children[index]!;
    }
  }

  /** Granules of the leaf that maps a granule; 0 where nothing is mapped. */
  leafGranules(granule: number): number {
    let table = this.root;
    for (;;) {
      const index = (granule >>> (INDEX_BITS * table.level)) & (ENTRIES - 1);
      const info = table.info[index];
      if (info & LEAF) return 1 << (info & SIZE);
      if (info === 0) return 0;
      table = table.children[index]!;
    }
  }

  /** What hardware does for a write: sets the dirty bit of the entry. False: nothing is mapped. */
  setDirty(granule: number): boolean {
    if (granule >= INPUT_GRANULES) return false;
    let table = this.root;
    for (;;) {
      const index = (granule >>> (INDEX_BITS * table.level)) & (ENTRIES - 1);
      const info = table.info[index];
      if (info & LEAF) {
        table.info[index] = info | DIRTY;
        return true;
      }
      if (info === 0) return false;
      table = table.children[index]!;
    }
  }

  /**
   * Calls `found` for each dirty leaf that meets the range, with where both begin to overlap and the
   * granules from there, in entries of its level, as Linux's generic page table counts them: a leaf
   * of several entries is told without its last one, and one entry is told whole, though the range
   * begin in the middle of it.
   */
  readDirty(
    first: number,
    count: number,
    clear: boolean,
    found: (first: number, granules: number) => void,
  ): void {
    this.cursor = first;
    this.end = Math.min(first + count, INPUT_GRANULES);
    if (first < this.end) this.readDirtyTable(this.root, clear, found);
  }

  /** Gives all tables back. */
  free(): void {
    this.releaseTree(this.root);
  }

  private mapLeaf(at: number, frame: number, left: number, access: number): number {
    const bits = at | (frame % INPUT_GRANULES) | INPUT_GRANULES;
    const aligned = 31 - Math.clz32(bits & -bits);
    const size = this.largest[Math.min(aligned, 31 - Math.clz32(left))];
    if (size < 0) fail('EINVAL', 'the range is not aligned to the smallest page size');
    const level = (size / INDEX_BITS) | 0;
    const table = this.descend(at, level);
    const index = (at >>> (INDEX_BITS * level)) & (ENTRIES - 1);
    const last = index + (1 << (size - INDEX_BITS * level));
    this.vacate(table, index, last);
    const info = LEAF | access | size;
    for (let slot = index; slot < last; slot++) {
      table.info[slot] = info;
      table.frames[slot] = frame;
    }
    return 1 << size;
  }

  /** The table of a level that holds a granule's entry; makes those missing on the way. */
  private descend(at: number, level: number): TableNode {
    let table = this.root;
    while (table.level > level) {
      const index = (at >>> (INDEX_BITS * table.level)) & (ENTRIES - 1);
      const info = table.info[index];
      if (info & LEAF) fail('EADDRINUSE', 'the IOVA is mapped already');
      table = info === 0 ? this.addTable(table, index) : table.children[index]!;
    }
    return table;
  }

  private addTable(parent: TableNode, index: number): TableNode {
    const table = this.allocate(parent.level - 1);
    table.parent = parent;
    table.parentIndex = index;
    parent.children[index] = table;
    parent.info[index] = TABLE;
    this.created.push(table);
    return table;
  }

  /** Entries that a leaf is to take must be empty; tables without a leaf below are freed. */
  private vacate(table: TableNode, index: number, last: number): void {
    for (let slot = index; slot < last; slot++) {
      const info = table.info[slot];
      if (info === 0) continue;
      const child = table.children[slot];
      if (info & LEAF || hasLeaf(child!)) fail('EADDRINUSE', 'the IOVA is mapped already');
      this.releaseTree(child!);
    }
  }

  private undoMap(first: number, granules: number): void {
    if (granules > 0) this.unmap(first, granules);
    for (let i = this.created.length - 1; i >= 0; i--) {
      if (this.created[i].parent !== null) this.release(this.created[i]);
    }
    this.created.length = 0;
  }

  private unmapTable(table: TableNode): boolean {
    const shift = INDEX_BITS * table.level;
    const span = 1 << shift;
    const tableLast = this.cursor | (span * ENTRIES - 1);
    const lastIndex = (Math.min(this.end - 1, tableLast) >>> shift) & (ENTRIES - 1);
    let index = (this.cursor >>> shift) & (ENTRIES - 1);
    while (index <= lastIndex) {
      const info = table.info[index];
      if (info & LEAF) {
        const granules = 1 << (info & SIZE);
        if ((this.cursor & (granules - 1)) !== 0) return false;
        const after = index + (granules >>> shift);
        while (index < after) table.info[index++] = 0;
        this.cursor += granules;
      } else if (info === 0) {
        return false;
      } else {
        const from = this.cursor;
        const child = table.children[index]!;
        if (!this.unmapTable(child)) return false;
        if ((from & (span - 1)) === 0 && from + span <= this.end) this.release(child);
        index++;
      }
    }
    return true;
  }

  private readDirtyTable(
    table: TableNode,
    clear: boolean,
    found: (first: number, granules: number) => void,
  ): void {
    const shift = INDEX_BITS * table.level;
    const tableLast = this.cursor | ((ENTRIES << shift) - 1);
    const lastIndex = (Math.min(this.end - 1, tableLast) >>> shift) & (ENTRIES - 1);
    const base = tableLast - ((ENTRIES << shift) - 1);
    let index = (this.cursor >>> shift) & (ENTRIES - 1);
    while (index <= lastIndex) {
      const info = table.info[index];
      let after = index + 1;
      if (info & LEAF) {
        const slots = 1 << ((info & SIZE) - shift);
        const start = index & -slots;
        after = start + slots;
        if (anyDirty(table.info, start, after, clear)) {
          const last = slots === 1 ? after : Math.min(after - 1, lastIndex + 1);
          found(this.cursor, (last - index) << shift);
        }
      } else if (info !== 0) {
        this.readDirtyTable(table.children[index]!, clear, found);
      }
      index = after;
      this.cursor = base + (index << shift);
    }
  }

  private allocate(level: number): TableNode {
    this.memory.take(TABLE_BYTES, 'I/O page table');
    this.tables++;
    return new TableNode(level);
  }

  private releaseTree(table: TableNode): void {
    for (const child of table.children) if (child !== null) this.releaseTree(child);
    this.release(table);
  }

  /** Frees a table without leaves; what points to it becomes empty. */
  private release(table: TableNode): void {
    const parent = table.parent;
    if (parent !== null) {
      parent.info[table.parentIndex] = 0;
      parent.children[table.parentIndex] = null;
      table.parent = null;
    }
    this.tables--;
    this.memory.give(TABLE_BYTES);
  }
}

function hasLeaf(table: TableNode): boolean {
  return (
    table.info.some((info) => (info & LEAF) !== 0) ||
    table.children.some((child) => child !== null && hasLeaf(child))
  );
}

/** Whether one of a leaf's entries is dirty; all are clean afterwards where `clear`. */
function anyDirty(info: Uint16Array, start: number, end: number, clear: boolean): boolean {
  let dirty = 0;
  for (let slot = start; slot < end; slot++) dirty |= info[slot] & DIRTY;
  if (dirty !== 0 && clear) {
    for (let slot = start; slot < end; slot++) info[slot] &= ~DIRTY;
  }
  return dirty !== 0;
}
