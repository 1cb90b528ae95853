/**
 * Listens to a translation without time and writes down every entry that it reads or updates, with
 * what the entry says in words.
 */
import { addressOf } from '../hw/address.ts';
import {
  CONTEXT_BYPASS,
  type ContextFetch,
  type TranslationContext,
} from '../hw/iommu/architecture.ts';
import type { FunctionalObserver } from '../hw/iommu/functional.ts';
import { WC_S1_FORMAT, WC_S2_FORMAT } from '../hw/iommu/walk/context.ts';
import {
  ENTRY_LEAF,
  ENTRY_TABLE,
  LEAF_GLOBAL,
  LEAF_ORDER_MASK,
  LEAF_ORDER_SHIFT,
  LEAF_R,
  LEAF_SET_D,
  LEAF_USER,
  LEAF_W,
  LEAF_X,
  STAGE_BIG_ENDIAN,
} from '../hw/iommu/walk/format.ts';
import type { FormatRecord } from '../hw/iommu/walk/format-record.ts';
import type { WalkObserver } from '../hw/iommu/walk/functional.ts';
import { FORMAT_BARE, FORMAT_RECORDS } from '../hw/iommu/walk/registry.ts';
import {
  CACHE_NESTED,
  CACHE_NONE,
  CACHE_STAGE1,
  CACHE_STAGE2,
  IMPLICIT_NONE,
  REF_REDIRECT,
  REF_STAGE1,
  type Walk,
} from '../hw/iommu/walk/walk.ts';
import { MEM_OK, MEM_POISON, type MemoryPort } from '../hw/memory/port.ts';
import { formatBytes } from '../sim/units.ts';

/** One entry that was read, or one update of it. */
export interface EntryRead {
  readonly stage: 'context' | 'stage1' | 'stage2' | 'redirect';
  readonly level: number;
  readonly name: string;
  readonly hi: number;
  readonly lo: number;
  readonly offset: number;
  readonly bytes: number;
  readonly value: bigint;
  readonly meaning: string;
  readonly isUpdate: boolean;
  /** The walk cache that shortened the way to this entry. */
  readonly shortcut: string | null;
}

/** Of a context entry, until it is known what it says. */
export const CONTEXT_MEANING = 'context';

/** Why an entry ends a walk, by FAULT_* of hw/iommu/walk/format.ts. */
const REASONS = [
  'no fault',
  'not present',
  'reserved bit or encoding',
  'access not permitted',
  'superpage misaligned',
  'accessed or dirty clear, and not set by hardware',
  'address out of range',
  'memory refused the access',
  'corrupt',
  'refused by the architecture',
];

export class ReadRecorder implements FunctionalObserver {
  readonly reads: EntryRead[] = [];
  readonly walk: WalkObserver;
  private readonly memory: MemoryPort;

  constructor(memory: MemoryPort) {
    this.memory = memory;
    this.walk = {
      read: (walk, status, w0, w1) => this.walkRead(walk, status, w0, w1),
      update: (walk, status) => this.walkUpdate(walk, status),
    };
  }

  contextRead(fetch: ContextFetch, hi: number, lo: number, status: number): void {
    const { offset, bytes, refName, refLevel } = fetch;
    const first = status === MEM_OK ? wordPair(this.memory, hi, lo, offset) : 0n;
    this.reads.push({
      stage: 'context',
      level: refLevel,
      name: refName,
      hi,
      lo,
      offset,
      bytes,
      value: first,
      meaning: status !== MEM_OK ? refusal(status) : contextMeaning(first, refLevel),
      isUpdate: false,
      shortcut: null,
    });
  }

  private walkRead(walk: Walk, status: number, w0: number, w1: number): void {
    const value = wordsValue(w0, walk.readBytes > 4 ? w1 : 0);
    const meaning = status === MEM_OK ? meaningOf(walk, w0, w1) : refusal(status);
    this.add(walk, value, meaning, false);
  }

  private walkUpdate(walk: Walk, status: number): void {
    const leaf = walk.refKind === REF_STAGE1 ? walk.leaf1 : walk.leaf2;
    const what = (leaf & LEAF_SET_D) !== 0 ? 'sets accessed and dirty' : 'sets accessed';
    const value = wordPair(this.memory, walk.readHi, walk.readLo, walk.readOffset);
    this.add(walk, value, status === MEM_OK ? what : refusal(status), true);
  }

  private add(walk: Walk, value: bigint, meaning: string, isUpdate: boolean): void {
    this.reads.push({
      stage: stageOf(walk),
      level: walk.refLevel,
      name: nameOf(walk),
      hi: walk.readHi,
      lo: walk.readLo,
      offset: walk.readOffset,
      bytes: walk.readBytes,
      value,
      meaning,
      isUpdate,
      shortcut: isUpdate ? null : shortcutOf(walk),
    });
  }
}

export function addressOfRead(read: EntryRead): bigint {
  return addressOf(read.hi, read.lo, read.offset);
}

/** The tables that a context names: `Sv48/Sv48x4`. */
export function contextText(context: TranslationContext): string {
  if (context.mode === CONTEXT_BYPASS) return 'pass through';
  const formats = [context.walk[WC_S1_FORMAT], context.walk[WC_S2_FORMAT]];
  return formats
    .filter((format) => format !== FORMAT_BARE)
    .map((format) => FORMAT_RECORDS[format].format.name)
    .join('/');
}

/** Name of the cache that made reads before this one unnecessary. */
export function shortcutOf(walk: Walk): string | null {
  switch (walk.cacheKind) {
    case CACHE_NONE:
      return null;
    case CACHE_NESTED:
      return 'nested TLB';
    case CACHE_STAGE1:
      return 'stage1 cache';
    case CACHE_STAGE2:
      return 'stage2 cache';
    default:
      return 'walk cache';
  }
}

function stageOf(walk: Walk): EntryRead['stage'] {
  if (walk.refKind === REF_REDIRECT) return 'redirect';
  return walk.refKind === REF_STAGE1 ? 'stage1' : 'stage2';
}

/** The format, and for the second stage what it translates: where a stage 1 table is, or data. */
function nameOf(walk: Walk): string {
  if (walk.refKind === REF_REDIRECT) return 'MSI page table';
  if (walk.refKind === REF_STAGE1) return walk.format1.format.name;
  const second = walk.format2.format.name;
  return walk.implicit === IMPLICIT_NONE ? `${second} of data` : `${second} of L${walk.level1}`;
}

function meaningOf(walk: Walk, w0: number, w1: number): string {
  if (walk.refKind === REF_REDIRECT) return 'where the interrupt message goes';
  const isFirst = walk.refKind === REF_STAGE1;
  const format = isFirst ? walk.format1 : walk.format2;
  const flags = isFirst ? walk.flags1 : walk.flags2;
  const access = isFirst ? walk.access : walk.access2;
  return entryMeaning(format, w0, w1, walk.refLevel, access, flags);
}

function entryMeaning(
  format: FormatRecord,
  w0: number,
  w1: number,
  level: number,
  access: number,
  flags: number,
): string {
  const swapped = (flags & STAGE_BIG_ENDIAN) !== 0;
  const lo = swapped ? format.swappedLo(w0, w1) : w0;
  const hi = swapped ? format.swappedHi(w0) : w1;
  const decoded = format.format.decode(lo, hi, level, access, flags);
  const kind = decoded & 0xf;
  if (kind === ENTRY_TABLE) return 'table';
  if (kind !== ENTRY_LEAF) return REASONS[(decoded >>> 4) & 0xf] ?? 'fault';
  const order = (decoded >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK;
  const permits = [
    (decoded & LEAF_R) !== 0 ? 'r' : '',
    (decoded & LEAF_W) !== 0 ? 'w' : '',
    (decoded & LEAF_X) !== 0 ? 'x' : '',
    (decoded & LEAF_USER) !== 0 ? 'u' : '',
    (decoded & LEAF_GLOBAL) !== 0 ? 'g' : '',
  ].join('');
  return `leaf ${formatBytes(4096 * 2 ** order)} ${permits}`;
}

function contextMeaning(first: bigint, level: number): string {
  if ((first & 1n) === 0n) return 'not present';
  return level > 0 ? 'table' : CONTEXT_MEANING;
}

function refusal(status: number): string {
  return status === MEM_POISON ? 'corrupt' : 'memory refused the access';
}

function wordsValue(w0: number, w1: number): bigint {
  return (BigInt(w1 >>> 0) << 32n) | BigInt(w0 >>> 0);
}

function wordPair(memory: MemoryPort, hi: number, lo: number, offset: number): bigint {
  return wordsValue(memory.read32(hi, lo, offset), memory.read32(hi, lo, offset + 4));
}
