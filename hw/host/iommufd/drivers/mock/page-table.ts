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

/** An entry is a pair of words: info, and what it refers to. */
const ENTRY_WORDS = 2;
const TABLE_WORDS = ENTRIES * ENTRY_WORDS;

/** Info: 0 is empty, a table, or a leaf of 2^size granules. */
const SIZE = 0x1f;
const LEAF = 0x20;
const DIRTY = 0x40;
const TABLE = 0x80;
const READABLE = 0x100;
const WRITABLE = 0x200;
/** Of a leaf: bits 32 and up of its first output granule; the other word has those below. */
const HIGH_SHIFT = 16;
const WORD = 2 ** 32;

const ROOT = 0;
const NONE = -1;

export class AmdV1Table {
  /** Tables that exist, the root among them. */
  tables = 0;
  private readonly memory: KernelMemory;
  /** The entries of all tables, one table behind the other. */
  private words: Uint32Array = new Uint32Array(TABLE_WORDS);
  /** Which word each table hangs from; none: the root, and what has been freed. */
  private parents: Int32Array = new Int32Array(1);
  private made = 0;
  private readonly unused: number[] = [];
  /** Largest permitted leaf (log2 of granules) not above an index; -1: none. */
  private readonly largest: Int8Array = new Int8Array(INPUT_BITS + 1);
  /** Where the walk under way stands, and its end. */
  private cursor = 0;
  private end = 0;
  /** Tables made by the map call under way, to be undone with it. */
  private created: number[] | null = null;

  /** `pageSizes`: bit n for leaves of 2^n bytes, of which 2^granuleShift is the least possible. */
  constructor(memory: KernelMemory, granuleShift: number, pageSizes: bigint) {
    this.memory = memory;
    let best = -1;
    for (let size = 0; size <= INPUT_BITS; size++) {
      if ((pageSizes >> BigInt(size + granuleShift)) & 1n) best = size;
      this.largest[size] = best;
    }
    this.allocate();
  }

  /** Maps `count` granules, each leaf as large as alignment, rest and format allow; or nothing. */
  map(first: number, frame: number, count: number, prot: number): void {
    const access = (prot & PROT_READ ? READABLE : 0) | (prot & PROT_WRITE ? WRITABLE : 0);
    if (access === 0) fail('EINVAL', 'a mapping must be readable or writable');
    if (frame + count > OUTPUT_GRANULES) fail('ERANGE', 'the physical address is too wide');
    if (first + count > INPUT_GRANULES) fail('ERANGE', 'the IOVA is outside the page table');
    const end = first + count;
    let at = first;
    this.created = null;
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
    if (first < this.end) this.unmapTable(ROOT, LEVELS - 1);
    return this.cursor - first;
  }

  /** Output granule of an input granule; -1 where nothing is mapped. */
  lookup(granule: number): number {
    const leaf = this.leafOf(granule);
    if (leaf === NONE) return -1;
    const info = this.words[leaf];
    const first = (info >>> HIGH_SHIFT) * WORD + this.words[leaf + 1];
    return first + (granule & ((1 << (info & SIZE)) - 1));
  }

  /** Granules of the leaf that maps a granule; 0 where nothing is mapped. */
  leafGranules(granule: number): number {
    const leaf = this.leafOf(granule);
    return leaf === NONE ? 0 : 1 << (this.words[leaf] & SIZE);
  }

  /** What hardware does for a write: sets the dirty bit of the entry. False: nothing is mapped. */
  setDirty(granule: number): boolean {
    const leaf = this.leafOf(granule);
    if (leaf === NONE) return false;
    this.words[leaf] |= DIRTY;
    return true;
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
    if (first < this.end) this.readDirtyTable(ROOT, LEVELS - 1, clear, found);
  }

  /** Gives all tables back. */
  free(): void {
    this.releaseTree(ROOT);
  }

  /** First word of a granule's entry in a table of some level. */
  private wordOf(table: number, level: number, granule: number): number {
    const index = (granule >>> (INDEX_BITS * level)) & (ENTRIES - 1);
    return table * TABLE_WORDS + index * ENTRY_WORDS;
  }

  /** First word of the leaf entry that maps a granule, or none. */
  private leafOf(granule: number): number {
    if (granule >= INPUT_GRANULES) return NONE;
    const { words } = this;
    let table = ROOT;
    for (let level = LEVELS - 1; ; level--) {
      const at = this.wordOf(table, level, granule);
      if (words[at] & LEAF) return at;
      if (words[at] === 0) return NONE;
      table = words[at + 1];
    }
  }

  private mapLeaf(at: number, frame: number, left: number, access: number): number {
    const bits = at | frame | INPUT_GRANULES;
    const aligned = 31 - Math.clz32(bits & -bits);
    const size = this.largest[Math.min(aligned, 31 - Math.clz32(left))];
    if (size < 0) fail('EINVAL', 'the range is not aligned to the smallest page size');
    const level = (size / INDEX_BITS) | 0;
    const table = this.descend(at, level);
    const start = this.wordOf(table, level, at);
    const end = start + (ENTRY_WORDS << (size - INDEX_BITS * level));
    this.vacate(start, end);
    const { words } = this;
    const info = LEAF | access | size | (Math.floor(frame / WORD) << HIGH_SHIFT);
    for (let word = start; word < end; word += ENTRY_WORDS) {
      words[word] = info;
      words[word + 1] = frame;
    }
    return 1 << size;
  }

  /** The table of a level that holds a granule's entry; makes those missing on the way. */
  private descend(granule: number, least: number): number {
    let table = ROOT;
    for (let level = LEVELS - 1; level > least; level--) {
      const at = this.wordOf(table, level, granule);
      const info = this.words[at];
      if (info & LEAF) fail('EADDRINUSE', 'the IOVA is mapped already');
      table = info === 0 ? this.addTable(at) : this.words[at + 1];
    }
    return table;
  }

  private addTable(parent: number): number {
    const table = this.allocate();
    this.parents[table] = parent;
    this.words[parent] = TABLE;
    this.words[parent + 1] = table;
    this.created ??= [];
    this.created.push(table);
    return table;
  }

  /** Entries that a leaf is to take must be empty; tables without a leaf below are freed. */
  private vacate(start: number, end: number): void {
    for (let at = start; at < end; at += ENTRY_WORDS) {
      const info = this.words[at];
      if (info === 0) continue;
      if (info & LEAF || this.hasLeaf(this.words[at + 1])) {
        fail('EADDRINUSE', 'the IOVA is mapped already');
      }
      this.releaseTree(this.words[at + 1]);
    }
  }

  private hasLeaf(table: number): boolean {
    const from = table * TABLE_WORDS;
    for (let at = from; at < from + TABLE_WORDS; at += ENTRY_WORDS) {
      const info = this.words[at];
      if (info & LEAF || (info !== 0 && this.hasLeaf(this.words[at + 1]))) return true;
    }
    return false;
  }

  private undoMap(first: number, granules: number): void {
    if (granules > 0) this.unmap(first, granules);
    const created = this.created ?? [];
    for (let i = created.length - 1; i >= 0; i--) {
      if (this.parents[created[i]] !== NONE) this.release(created[i]);
    }
    this.created = null;
  }

  private unmapTable(table: number, level: number): boolean {
    const { words } = this;
    const shift = INDEX_BITS * level;
    const span = 1 << shift;
    const tableLast = this.cursor | (span * ENTRIES - 1);
    const last = this.wordOf(table, level, Math.min(this.end - 1, tableLast));
    let at = this.wordOf(table, level, this.cursor);
    while (at <= last) {
      const info = words[at];
      if (info & LEAF) {
        const granules = 1 << (info & SIZE);
        if ((this.cursor & (granules - 1)) !== 0) return false;
        const after = at + (granules >>> shift) * ENTRY_WORDS;
        for (; at < after; at += ENTRY_WORDS) words[at] = 0;
        this.cursor += granules;
      } else if (info === 0) {
        return false;
      } else {
        const from = this.cursor;
        const child = words[at + 1];
        if (!this.unmapTable(child, level - 1)) return false;
        if ((from & (span - 1)) === 0 && from + span <= this.end) this.release(child);
        at += ENTRY_WORDS;
      }
    }
    return true;
  }

  private readDirtyTable(
    table: number,
    level: number,
    clear: boolean,
    found: (first: number, granules: number) => void,
  ): void {
    const shift = INDEX_BITS * level;
    const tableLast = this.cursor | ((ENTRIES << shift) - 1);
    const lastIndex = (Math.min(this.end - 1, tableLast) >>> shift) & (ENTRIES - 1);
    const base = tableLast - ((ENTRIES << shift) - 1);
    let index = (this.cursor >>> shift) & (ENTRIES - 1);
    while (index <= lastIndex) {
      const at = table * TABLE_WORDS + index * ENTRY_WORDS;
      const info = this.words[at];
      let after = index + 1;
      if (info & LEAF) {
        const slots = 1 << ((info & SIZE) - shift);
        const start = index & -slots;
        after = start + slots;
        if (this.anyDirty(at - (index - start) * ENTRY_WORDS, slots, clear)) {
          const last = slots === 1 ? after : Math.min(after - 1, lastIndex + 1);
          found(this.cursor, (last - index) << shift);
        }
      } else if (info !== 0) {
        this.readDirtyTable(this.words[at + 1], level - 1, clear, found);
      }
      index = after;
      this.cursor = base + (index << shift);
    }
  }

  /** Whether one of a leaf's entries is dirty; all are clean afterwards where `clear`. */
  private anyDirty(start: number, entries: number, clear: boolean): boolean {
    const { words } = this;
    const end = start + entries * ENTRY_WORDS;
    let dirty = 0;
    for (let at = start; at < end; at += ENTRY_WORDS) dirty |= words[at] & DIRTY;
    if (dirty !== 0 && clear) {
      for (let at = start; at < end; at += ENTRY_WORDS) words[at] &= ~DIRTY;
    }
    return dirty !== 0;
  }

  /** The number of an empty table, which hangs from nothing yet. */
  private allocate(): number {
    this.memory.take(TABLE_BYTES, 'I/O page table');
    this.tables++;
    const table = this.unused.pop() ?? this.made++;
    if (table === this.parents.length) this.grow();
    this.words.fill(0, table * TABLE_WORDS, (table + 1) * TABLE_WORDS);
    this.parents[table] = NONE;
    return table;
  }

  private grow(): void {
    const words = new Uint32Array(this.words.length * 2);
    words.set(this.words);
    this.words = words;
    const parents = new Int32Array(this.parents.length * 2);
    parents.set(this.parents);
    this.parents = parents;
  }

  private releaseTree(table: number): void {
    const from = table * TABLE_WORDS;
    for (let at = from; at < from + TABLE_WORDS; at += ENTRY_WORDS) {
      if (this.words[at] & TABLE) this.releaseTree(this.words[at + 1]);
    }
    this.release(table);
  }

  /** Frees a table without leaves; what points to it becomes empty. */
  private release(table: number): void {
    const parent = this.parents[table];
    if (parent !== NONE) this.words[parent] = 0;
    this.parents[table] = NONE;
    this.unused.push(table);
    this.tables--;
    this.memory.give(TABLE_BYTES);
  }
}
