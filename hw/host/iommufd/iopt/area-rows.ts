/**
 * The areas of a tree by number: a row of words each, so that a million of them are one array and
 * not millions of objects. An area of a single page of a process's memory, as most are, is nothing
 * but its row from when it is added until somebody asks for it; then, as any other, it is an object
 * to which the row refers.
 */
import type { KernelServices, Process } from '../../kernel/api.ts';
import type { ChargeMode } from './accounting.ts';
import { Area } from './area.ts';
import { UserPages } from './pages.ts';
import { PAGE } from './units.ts';

/** 64-bit words of a row. */
const IOVA = 0;
const LENGTH = 1;
/** Address of the page in the process. */
const BASE = 2;
const ROW_WORDS = 6;
/** Behind them, halves of words. */
const OBJECT = 6;
const FRAME = 7;
const SOURCE = 8;
const PROT = 9;
const OFFSET = 10;
const ROW_HALVES = 12;

const NONE = -1;
const MAX_FRAME = 0x7fff_ffff;

/** Whose memory it is, and how it is charged: the same for very many areas. */
interface Source {
  readonly services: KernelServices;
  readonly owner: Process;
  readonly mode: ChargeMode;
  readonly writable: boolean;
}

export class AreaRows {
  private words: BigUint64Array = new BigUint64Array(ROW_WORDS);
  private halves: Int32Array = new Int32Array(this.words.buffer);
  private made = 0;
  private readonly free: number[] = [];
  private readonly objects: (Area | null)[] = [];
  private readonly freeObjects: number[] = [];
  private readonly sources: Source[] = [];

  iova(row: number): bigint {
    return this.words[row * ROW_WORDS + IOVA];
  }

  last(row: number): bigint {
    return this.iova(row) + this.words[row * ROW_WORDS + LENGTH] - 1n;
  }

  /** The number of a new area; who wants the area later asks for it by `at`. */
  add(area: Area): number {
    const row = this.free.pop() ?? this.made++;
    if ((row + 1) * ROW_WORDS > this.words.length) this.grow();
    this.words[row * ROW_WORDS + IOVA] = area.iova;
    this.words[row * ROW_WORDS + LENGTH] = area.length;
    const { pages } = area;
    if (pages instanceof UserPages && pages.isSinglePage && pages.frame(0) <= MAX_FRAME) {
      this.pack(row, area, pages);
    } else {
      this.halves[row * ROW_HALVES + OBJECT] = this.addObject(area);
    }
    return row;
  }

  at(row: number): Area {
    const object = this.halves[row * ROW_HALVES + OBJECT];
    return object === NONE ? this.unpack(row) : (this.objects[object] as Area);
  }

  drop(row: number): void {
    const object = this.halves[row * ROW_HALVES + OBJECT];
    if (object !== NONE) {
      this.objects[object] = null;
      this.freeObjects.push(object);
    }
    this.free.push(row);
  }

  private addObject(area: Area): number {
    const object = this.freeObjects.pop() ?? this.objects.length;
    this.objects[object] = area;
    return object;
  }

  private pack(row: number, area: Area, pages: UserPages): void {
    const { halves } = this;
    const at = row * ROW_HALVES;
    this.words[row * ROW_WORDS + BASE] = pages.base;
    halves[at + OBJECT] = NONE;
    halves[at + FRAME] = pages.frame(0);
    halves[at + SOURCE] = this.sourceOf(pages);
    halves[at + PROT] = area.prot;
    halves[at + OFFSET] = area.pageOffset;
  }

  private unpack(row: number): Area {
    const { words, halves } = this;
    const at = row * ROW_HALVES;
    const { services, owner, mode, writable } = this.sources[halves[at + SOURCE]];
    const base = words[row * ROW_WORDS + BASE];
    const pages = new UserPages(services, owner, mode, base, PAGE, writable);
    const iova = words[row * ROW_WORDS + IOVA];
    const length = words[row * ROW_WORDS + LENGTH];
    const area = new Area(iova, length, pages, BigInt(halves[at + OFFSET]), halves[at + PROT]);
    const frame = halves[at + FRAME];
    if (frame !== NONE) {
      pages.holdSinglePage(frame);
      area.filled = true;
    }
    halves[at + OBJECT] = this.addObject(area);
    return area;
  }

  private sourceOf(pages: UserPages): number {
    const { sources } = this;
    for (let at = sources.length - 1; at >= 0; at--) {
      const { owner, mode, writable, services } = sources[at];
      if (owner !== pages.owner || mode !== pages.mode) continue;
      if (writable === pages.writable && services === pages.services) return at;
    }
    const { services, owner, mode, writable } = pages;
    return sources.push({ services, owner, mode, writable }) - 1;
  }

  private grow(): void {
    const grown = new BigUint64Array(this.words.length * 2);
    grown.set(this.words);
    this.words = grown;
    this.halves = new Int32Array(grown.buffer);
  }
}
