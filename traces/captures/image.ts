/**
 * The state at the end of a capture: memory pages that the IOMMU's structures use, its registers,
 * and what is to be found there: expected translations, live mappings, leaves.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../../sim/errors.ts';
import { eachLine, readBytes, reasonOf } from './json-lines.ts';

const RECORD_BYTES = 8 + 4096;

/** A page of the memory image: its address and 1024 little-endian words. */
export type PageVisitor = (address: bigint, words: Int32Array) => void;

/** Visits the pages of `memory.sparse.gz` in ascending order; `words` is reused. */
export function readMemoryImage(folder: string, visit: PageVisitor): void {
  const path = join(folder, 'memory.sparse.gz');
  const bytes = readBytes(path);
  if (bytes.length % RECORD_BYTES !== 0) {
    throw new InputError(
      'capture.image',
      `${path}: ${bytes.length} bytes are not a whole number of ${RECORD_BYTES}-byte records`,
    );
  }
  const words = new Int32Array(1024);
  let last = -1n;
  for (let at = 0; at < bytes.length; at += RECORD_BYTES) {
    const address = bytes.readBigUInt64LE(at);
    if (address <= last || (address & 0xfffn) !== 0n) {
      throw new InputError(
        'capture.image',
        `${path}: record ${at / RECORD_BYTES}: page address 0x${address.toString(16)} is out of order`,
      );
    }
    last = address;
    for (let i = 0; i < 1024; i++) words[i] = bytes.readInt32LE(at + 8 + 4 * i);
    visit(address, words);
  }
}

/** A window of memory-mapped registers. */
export interface RegisterWindow {
  readonly name: string;
  readonly base: bigint;
  /** 32-bit words by offset; absent words are zero. */
  readonly words: ReadonlyMap<number, number>;
}

export function readRegisters(folder: string): readonly RegisterWindow[] {
  const path = join(folder, 'registers.json');
  let parsed: unknown;
  try {
    parsed = JSON.parse(readBytes(path).toString('utf8'));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError('capture.registers', `${path}: not JSON: ${reasonOf(error)}`);
  }
  const windows = (parsed as { windows?: unknown } | null)?.windows;
  if (typeof windows !== 'object' || windows === null) {
    throw new InputError('capture.registers', `${path}: "windows": expected an object`);
  }
  return Object.entries(windows).map(([name, window]) => registerWindow(path, name, window));
}

function registerWindow(path: string, name: string, window: unknown): RegisterWindow {
  const { base, words } = (window ?? {}) as { base?: unknown; words?: unknown };
  if (typeof base !== 'string' || typeof words !== 'object' || words === null) {
    throw new InputError('capture.registers', `${path}: window "${name}": expected base and words`);
  }
  const map = new Map<number, number>();
  for (const [offset, value] of Object.entries(words)) {
    const at = Number(offset);
    const word = Number(value);
    if (!Number.isInteger(at) || at % 4 !== 0 || !Number.isInteger(word)) {
      throw new InputError('capture.registers', `${path}: window "${name}": bad word at ${offset}`);
    }
    map.set(at, word | 0);
  }
  return { name, base: BigInt(base), words: map };
}

/** One line of `expected.jsonl`. */
export interface ExpectedTranslation {
  readonly line: number;
  readonly sid: number;
  /** -1: request without PASID. */
  readonly pasid: number;
  readonly iova: bigint;
  /** `null`: direction not known. */
  readonly access: 'r' | 'w' | null;
  /** `null`: a fault is expected. */
  readonly pa: bigint | null;
  readonly pageSize: number;
  /** What the leaf permits; `null` not told. */
  readonly leafRead: boolean | null;
  readonly leafWrite: boolean | null;
  /** -1 not told. */
  readonly domain: number;
  /** Fault reason as recorded, -1 when there is none or it is a name. */
  readonly fault: number;
  /** False: only the fact of the fault counts. */
  readonly reasonNow: boolean;
}

export function readExpected(folder: string): readonly ExpectedTranslation[] {
  const path = join(folder, 'expected.jsonl');
  const rows: ExpectedTranslation[] = [];
  eachLine(path, readBytes(path), (line) => {
    const { access, fault, leaf_r: r, leaf_w: w, reason_now: now } = line.object;
    if (access !== null && access !== 'r' && access !== 'w') {
      throw line.error('"access": expected "r", "w" or null');
    }
    const translated = line.has('pa');
    if (translated === line.has('fault')) throw line.error('expected either "pa" or "fault"');
    rows.push({
      line: line.number,
      sid: line.integer('sid'),
      pasid: line.integerOr('pasid', -1),
      iova: line.big('iova'),
      access,
      pa: translated ? line.big('pa') : null,
      pageSize: line.integerOr('page_size', 0),
      leafRead: r === undefined || r === null ? null : Boolean(r),
      leafWrite: w === undefined || w === null ? null : Boolean(w),
      domain: line.integerOr('domain', -1),
      fault: typeof fault === 'number' ? fault : -1,
      reasonNow: now !== false,
    });
  });
  return rows;
}

/** One line of `live-maps.jsonl`: what the kernel says is mapped at the end. */
export interface LiveMap {
  readonly line: number;
  readonly sid: number;
  readonly iova: bigint;
  readonly pa: bigint;
  readonly bytes: number;
  readonly read: boolean;
  readonly write: boolean;
  /** Leaf size in bytes -> number of leaves. */
  readonly pageSizes: ReadonlyMap<number, number>;
}

export function readLiveMaps(folder: string): readonly LiveMap[] {
  const path = join(folder, 'live-maps.jsonl');
  const rows: LiveMap[] = [];
  eachLine(path, readBytes(path), (line) => {
    const prot = line.text('prot');
    const sizes = line.object.page_sizes;
    if (typeof sizes !== 'object' || sizes === null) {
      throw line.error('"page_sizes": expected an object');
    }
    rows.push({
      line: line.number,
      sid: line.integer('sid'),
      iova: line.big('iova'),
      pa: line.big('pa'),
      bytes: line.integer('size'),
      read: prot.includes('r'),
      write: prot.includes('w'),
      pageSizes: new Map(Object.entries(sizes).map(([size, n]) => [Number(size), Number(n)])),
    });
  });
  return rows;
}

/** One line of `leaves.jsonl.gz`: a leaf entry in the page tables of a device. */
export interface Leaf {
  readonly sid: number;
  readonly iova: bigint;
  readonly bytes: number;
  readonly entry: bigint;
}

/** Visits every leaf; does nothing where the folder has no such file. */
export function readLeaves(folder: string, visit: (leaf: Leaf) => void): void {
  const path = join(folder, 'leaves.jsonl.gz');
  if (!existsSync(path)) return;
  eachLine(path, readBytes(path), (line) => {
    const row = line.object as unknown as readonly unknown[];
    const [device, iova, bytes, entry] = row;
    if (typeof device !== 'string' || typeof bytes !== 'number' || row.length !== 4) {
      throw line.error('expected [device, iova, size, entry]');
    }
    visit({
      sid: requesterId(device),
      iova: BigInt(iova as string),
      bytes,
      entry: BigInt(entry as string),
    });
  });
}

/** Requester id of `bb:dd.f`. */
export function requesterId(device: string): number {
  const match = /^([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(device);
  if (match === null) throw new InputError('capture.device', `"${device}": expected bb:dd.f`);
  const [, bus, slot, fn] = match;
  return (Number.parseInt(bus!, 16) << 8) | (Number.parseInt(slot!, 16) << 3) | Number(fn);
}
