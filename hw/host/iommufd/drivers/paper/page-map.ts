/**
 * A page table without hardware: leaves by their first page, one map for each leaf size, and the
 * tables that a radix tree of 512 entries would need for them, charged to kernel memory.
 */
import { fail } from '../../../kernel/errno.ts';
import type { KernelMemory } from '../../../kernel/kernel-memory.ts';
import { countTables, type DriverFigures } from '../figures.ts';

export interface Leaf {
  /** First frame of the leaf. */
  readonly frame: number;
  readonly prot: number;
  /** Written by a device since the flag was last cleared. */
  dirty: boolean;
}

/** A leaf as it is found: where it starts and how many pages it maps. */
export interface Found {
  readonly leaf: Leaf;
  readonly first: number;
  readonly pages: number;
}

const LEVEL_BITS = 9;
const FAN_OUT = 2 ** LEVEL_BITS;
const TABLE_BYTES = 4096;
/** Table keys are (index, level) in one number. */
const LEVELS_MAX = 8;

export class PageMap {
  /** Tables in use, the root among them. */
  tables = 1;
  private readonly memory: KernelMemory;
  private readonly figures: DriverFigures;
  /** Leaf sizes in levels, largest first: 0 is a page, 1 is 512 of them. */
  private readonly leafLevels: readonly number[];
  private readonly topLevel: number;
  private readonly leaves: Map<number, Leaf>[] = [];
  private readonly present: Set<number> = new Set();

  constructor(
    memory: KernelMemory,
    leafLevels: readonly number[],
    topLevel: number,
    figures: DriverFigures,
  ) {
    this.memory = memory;
    this.figures = figures;
    this.leafLevels = [...leafLevels].sort((a, b) => b - a);
    this.topLevel = topLevel;
    for (let level = 0; level <= topLevel; level++) this.leaves.push(new Map());
    memory.take(TABLE_BYTES, 'root page table');
    countTables(figures, 1);
  }

  /** Maps pages to frames with the largest leaves that fit; EADDRINUSE undoes all of it. */
  map(first: number, frame: number, pages: number, prot: number): void {
    const tablesBefore: number[] = [];
    let done = 0;
    try {
      while (done < pages) {
        done += this.mapLeaf(first + done, frame + done, pages - done, prot, tablesBefore);
      }
    } catch (error) {
      this.unmap(first, done);
      for (const key of tablesBefore) this.dropTable(key);
      throw error;
    }
  }

  /** Clears leaves from a page on, up to the first hole or leaf that reaches further. */
  unmap(first: number, pages: number): number {
    let done = 0;
    while (done < pages) {
      const found = this.find(first + done);
      if (found === null || found.first !== first + done || found.pages > pages - done) break;
      this.leaves[levelOf(found.pages)]?.delete(found.first);
      this.figures.entriesWritten++;
      done += found.pages;
    }
    return done;
  }

  find(page: number): Found | null {
    for (const level of this.leafLevels) {
      const pages = FAN_OUT ** level;
      const first = page - (page % pages);
      const leaf = this.leaves[level]?.get(first);
      if (leaf !== undefined) return { leaf, first, pages };
    }
    return null;
  }

  /** Gives back the memory of all tables. */
  free(): void {
    countTables(this.figures, -this.tables);
    for (; this.tables > 0; this.tables--) this.memory.give(TABLE_BYTES);
    this.present.clear();
    for (const map of this.leaves) map.clear();
  }

  private mapLeaf(
    page: number,
    frame: number,
    pages: number,
    prot: number,
    added: number[],
  ): number {
    if (this.find(page) !== null) fail('EADDRINUSE', `page 0x${page.toString(16)} is mapped`);
    const level = this.leafLevels.find(
      (candidate) =>
        pages >= FAN_OUT ** candidate &&
        page % FAN_OUT ** candidate === 0 &&
        frame % FAN_OUT ** candidate === 0 &&
        !this.present.has(tableKey(page, candidate)),
    );
    if (level === undefined) fail('EINVAL', 'no leaf of the table is small enough');
    this.addTables(page, level + 1, added);
    this.leaves[level]?.set(page, { frame, prot, dirty: false });
    this.figures.entriesWritten++;
    return FAN_OUT ** level;
  }

  /** Tables from the one that holds the leaf up to the root. */
  private addTables(page: number, from: number, added: number[]): void {
    for (let level = from; level < this.topLevel; level++) {
      const key = tableKey(page, level);
      if (this.present.has(key)) return;
      this.memory.take(TABLE_BYTES, 'page table');
      countTables(this.figures, 1);
      // The entry of the table above.
      this.figures.entriesWritten++;
      this.tables++;
      this.present.add(key);
      added.push(key);
    }
  }

  private dropTable(key: number): void {
    this.present.delete(key);
    this.tables--;
    countTables(this.figures, -1);
    this.figures.entriesWritten++;
    this.memory.give(TABLE_BYTES);
  }
}

function levelOf(pages: number): number {
  return Math.round(Math.log2(pages)) / LEVEL_BITS;
}

/** The table whose leaves have `level - 1`, below one entry of its parent. */
function tableKey(page: number, level: number): number {
  return Math.floor(page / FAN_OUT ** level) * LEVELS_MAX + level;
}
