/**
 * All that a kernel remembers, as lines of text: every object that can be reached from its
 * processes and counters, field by field, private ones too. Two kernels with equal lines answer
 * equally from then on. Left out is what only speeds a search up, or is filled anew by each call;
 * nothing (null, an empty list) counts as one thing. Tables of a page table that have become empty
 * do not count: a mapping that is undone leaves them for the next one.
 */
import type { Kernel } from '../../kernel/kernel.ts';

const TABLE_BYTES = 4096;

type Fields = Readonly<Record<string, unknown>>;
type Any = Record<string, unknown>;

/** Classes without a state of their own that matters. */
const SKIPPED: ReadonlySet<string> = new Set([
  'PhysicalMemory',
  'FrameAllocator',
  'KernelMemory',
  'PhysicalBytes',
  'CallWork',
  'Dispatcher',
  'IoctlCall',
  'MemoryInode',
  'DataView',
]);

/** Hints for searches, neighbours in an order told elsewhere, buffers of one call, statistics. */
const HIDDEN: ReadonlySet<string> = new Set([
  'firstFree',
  'merged',
  'faultedAt',
  'next',
  'previous',
  'unmappedBytes',
  'message',
  'response',
  'header',
  'nextPid',
  'attaching',
  'figures',
]);

/** Classes whose content is told in another way than field by field. */
const VIEWS: Readonly<Record<string, (object: Any) => Fields>> = {
  UserSpace: ({ pinnedVm, lockedVm, users }) => ({ pinnedVm, lockedVm, users }),
  FrameTable: frames,
  AmdV1Table: ({ words }) => ({ leaves: leaves(words as Uint32Array, 0, '') }),
  PageStore: store,
  AreaTree: (tree) => ({ areas: areas(tree as unknown as AreaList) }),
  Backlog: ({ items, head }) => ({ items: (items as unknown[]).slice(head as number) }),
};

export function snapshot(kernel: Kernel): string[] {
  const { memory, pins, processes } = kernel;
  const users = (kernel as unknown as Any).users;
  const writer = new Writer();
  const lines = writer.write({ pins, processes, users });
  lines.push(`bytes = ${memory.bytes - writer.emptyTables * TABLE_BYTES}`);
  lines.push(`allocations = ${memory.allocations - writer.emptyTables}`);
  return lines;
}

/** The first line in which two states differ; empty when they are equal. */
export function firstDifference(before: readonly string[], after: readonly string[]): string {
  const count = Math.max(before.length, after.length);
  for (let i = 0; i < count; i++) {
    if (before[i] !== after[i]) return `before ${before[i]}, after ${after[i]}`;
  }
  return '';
}

class Writer {
  emptyTables = 0;
  private readonly lines: string[] = [];
  private readonly seen = new Map<object, number>();

  write(root: Fields): string[] {
    for (const [name, value] of Object.entries(root)) this.put(name, value);
    return this.lines;
  }

  private put(path: string, value: unknown): void {
    if (value === null || value === undefined || typeof value === 'function') return;
    if (typeof value !== 'object') {
      this.lines.push(`${path} = ${String(value)}`);
      return;
    }
    const { name } = value.constructor;
    if (SKIPPED.has(name)) return;
    if (ArrayBuffer.isView(value)) {
      this.lines.push(`${path} = ${String(value)}`);
      return;
    }
    const number = this.seen.get(value);
    if (number !== undefined) {
      this.lines.push(`${path} = #${number}`);
      return;
    }
    if (isEmpty(value)) return;
    this.seen.set(value, this.seen.size);
    if (name === 'AmdV1Table') {
      this.emptyTables += emptyTables((value as { words: Uint32Array }).words, 0);
    }
    if (name !== 'Object' && name !== 'Array') {
      this.lines.push(`${path} = #${this.seen.size - 1} ${name}`);
    }
    this.putContent(path, value, name);
  }

  private putContent(path: string, value: object, name: string): void {
    if (Array.isArray(value)) {
      for (const [i, element] of value.entries()) this.put(`${path}[${i}]`, element);
    } else if (value instanceof Set) {
      let i = 0;
      for (const element of value) this.put(`${path}{${i++}}`, element);
    } else if (value instanceof Map) {
      this.putMap(path, value);
    } else {
      const view = VIEWS[name];
      const fields = view === undefined ? value : view(value as Any);
      for (const [field, content] of Object.entries(fields)) {
        if (view !== undefined || !HIDDEN.has(field)) this.put(`${path}.${field}`, content);
      }
    }
  }

  private putMap(path: string, map: ReadonlyMap<unknown, unknown>): void {
    const entries = [...map];
    if (typeof entries[0][0] !== 'object') {
      entries.sort(([a], [b]) => Number((a as number) > (b as number)) * 2 - 1);
    }
    for (const [i, [key, element]] of entries.entries()) {
      if (typeof key !== 'object') {
        this.put(`${path}{${String(key)}}`, element);
        continue;
      }
      this.put(`${path}{${i}}.key`, key);
      this.put(`${path}{${i}}`, element);
    }
  }
}

function isEmpty(value: object): boolean {
  if (Array.isArray(value)) return value.every((element) => element === null);
  return (value instanceof Map || value instanceof Set) && value.size === 0;
}

/** References and pins of every frame that has any. */
function frames({ total, inUse, chunks }: Any): Fields {
  const used: string[] = [];
  for (const [index, chunk] of chunks as Map<number, { refs: Int32Array; pins: Int32Array }>) {
    const { refs, pins } = chunk;
    for (let at = 0; at < refs.length; at++) {
      if (refs[at] !== 0 || pins[at] !== 0) used.push(`${index}.${at}:${refs[at]}/${pins[at]}`);
    }
  }
  return { total, inUse, used: used.join(' ') };
}

/** Words of a table and of an entry of the mock's page table, and what says that it is a table. */
const TABLE_WORDS = 1024;
const ENTRY_WORDS = 2;
const TABLE = 0x80;

/** Entries of a page table of the mock that are not empty; tables are numbered, the root is 0. */
function leaves(words: Uint32Array, table: number, path: string): string {
  let text = '';
  for (let i = 0; i < TABLE_WORDS; i += ENTRY_WORDS) {
    const info = words[table * TABLE_WORDS + i];
    if (info === 0) continue;
    const target = words[table * TABLE_WORDS + i + 1];
    const place = `${path}${i / ENTRY_WORDS}`;
    text += info & TABLE ? leaves(words, target, `${place}/`) : ` ${place}:${info}@${target}`;
  }
  return text;
}

/** Tables below the root in which nothing is. */
function emptyTables(words: Uint32Array, table: number): number {
  let empty = 0;
  const start = table * TABLE_WORDS;
  for (let at = start; at < start + TABLE_WORDS; at += ENTRY_WORDS) {
    if ((words[at] & TABLE) === 0) continue;
    const child = words[at + 1];
    empty += emptyTables(words, child);
    if (leaves(words, child, '') === '') empty++;
  }
  return empty;
}

/** Frames of the pages that are held, and how often. */
function store({ only, first, others, shared }: Any): Fields {
  const chunks: [number, number[]][] = [...((others as Map<number, number[]> | null) ?? [])];
  if (first !== null) chunks.push([0, first as number[]]);
  const held = chunks.flatMap(([index, chunk]) =>
    chunk.flatMap((frame, at) => (frame < 0 ? [] : [`${index}.${at}:${frame}`])),
  );
  return { only, held: held.sort().join(' '), shared };
}

interface AreaList {
  readonly first: object | null;
  next(area: object): object | null;
}

function areas(tree: AreaList): object[] {
  const found: object[] = [];
  for (let area = tree.first; area !== null; area = tree.next(area)) found.push(area);
  return found;
}
