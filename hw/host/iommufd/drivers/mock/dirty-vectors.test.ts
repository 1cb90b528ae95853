/**
 * How far one dirty bit spreads is how large the leaf is: replays the mappings and dirty bits of a
 * real kernel's recorded sequences on the page table alone, with the recorded page frames.
 */
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KernelMemory } from '../../../kernel/kernel-memory.ts';
import { PROT_READ, PROT_WRITE } from '../../driver.ts';
import { MockPagingDomain } from './paging-domain.ts';

const HOME = '../shared/vectors/iommufd';
const PAGE = 4096n;
const HWPT_DIRTY = 2;
const OPTION_HUGE_PAGES = 1;
const NO_CLEAR = 1;
const ENOENT = 2;
const EFAULT = 14;
/** Address from which a call reads its argument, but cannot answer. */
const READ_ONLY = '0x20100000';
/** Calls that change what is mapped. */
const MAPPING: ReadonlySet<string> = new Set([
  'IOAS_MAP',
  'IOAS_UNMAP',
  'IOAS_COPY',
  'IOAS_MAP_FILE',
  'VFIO_IOMMU_MAP_DMA',
  'VFIO_IOMMU_UNMAP_DMA',
]);

interface Pointer {
  readonly at: number;
  readonly va: string;
  readonly in?: string;
  readonly out?: string;
}

interface Op {
  readonly op: string;
  readonly name?: string;
  readonly err?: number;
  readonly a?: string;
  readonly in?: string;
  readonly out?: string;
  readonly ptr?: readonly Pointer[];
}

interface Sequence {
  readonly id: string;
  readonly layout: number;
  readonly ops: readonly Op[];
}

interface Region {
  readonly va: string;
  readonly len: number;
  readonly runs: readonly (readonly [number, number, number])[];
}

interface Area {
  readonly iova: bigint;
  readonly length: bigint;
  readonly user: bigint;
}

type Frames = ReadonlyMap<bigint, number>;

interface Space {
  readonly areas: Area[];
  readonly domains: MockPagingDomain[];
  /** IOMMU_OPTION_HUGE_PAGES. */
  large: boolean;
}

function framesOf(regions: readonly Region[]): Frames {
  const frames = new Map<bigint, number>();
  for (const { va, runs } of regions) {
    for (const [page, count, frame] of runs) {
      for (let i = 0; i < count; i++) frames.set(BigInt(va) / PAGE + BigInt(page + i), frame + i);
    }
  }
  return frames;
}

/** What iommufd tells the driver for an area: a call for each physically contiguous run. */
function fill(
  domain: MockPagingDomain,
  { iova, length, user }: Area,
  large: boolean,
  frames: Frames,
): void {
  for (let at = 0n; at < length; ) {
    const first = (user + at) / PAGE;
    const frame = frames.get(first) as number;
    let pages = 1n;
    while (large && frames.get(first + pages) === frame + Number(pages)) pages++;
    const offset = (user + at) % PAGE;
    const run = pages * PAGE - offset;
    const bytes = run < length - at ? run : length - at;
    domain.map(iova + at, BigInt(frame) * PAGE + offset, bytes, PROT_READ | PROT_WRITE);
    at += bytes;
  }
}

/** Replays one sequence as far as its mappings are understood; returns bitmaps compared. */
class Replay {
  compared = 0;
  spread = 0;
  private readonly frames: Frames;
  private readonly spaces = new Map<number, Space>();
  private readonly tables = new Map<number, { domain: MockPagingDomain; space: Space }>();
  private bytes = new DataView(new ArrayBuffer(0));
  private answer = new DataView(new ArrayBuffer(0));

  constructor(frames: Frames) {
    this.frames = frames;
  }

  run(id: string, ops: readonly Op[]): void {
    for (const op of ops) {
      if (op.op !== 'ioctl' || op.in === undefined) continue;
      const bytes = Buffer.from(op.in, 'hex');
      const answer = Buffer.from(op.out ?? op.in, 'hex');
      this.bytes = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      this.answer = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
      // A map whose answer could not be written, or an unmap that found a hole, has had its effect.
      if (op.err === EFAULT && MAPPING.has(op.name ?? '') && op.a === READ_ONLY) return;
      if (op.err !== 0 && !(op.err === ENOENT && op.name === 'IOAS_UNMAP')) continue;
      if (!this.step(id, op)) return;
    }
  }

  private u32(offset: number): number {
    return this.bytes.getUint32(offset, true);
  }

  private u64(offset: number): bigint {
    return this.bytes.getBigUint64(offset, true);
  }

  /** False: something happened that only the whole of iommufd can follow. */
  private step(id: string, op: Op): boolean {
    switch (op.name) {
      case 'IOAS_ALLOC':
        this.spaces.set(this.answer.getUint32(8, true), { areas: [], domains: [], large: true });
        return true;
      case 'IOAS_MAP':
        return this.map();
      case 'IOAS_UNMAP':
        return this.unmap();
      case 'HWPT_ALLOC':
        return this.allocate(op);
      case 'HWPT_SET_DIRTY_TRACKING':
        return this.setTracking();
      case 'TEST_CMD.DIRTY':
        return this.dirty(op);
      case 'HWPT_GET_DIRTY_BITMAP':
        return this.read(id, op);
      case 'OPTION':
        return this.option();
      case 'DESTROY':
        this.spaces.delete(this.u32(4));
        return !this.tables.has(this.u32(4));
      case 'IOAS_COPY':
        return this.copy();
      default:
        return !MAPPING.has(op.name ?? '');
    }
  }

  private option(): boolean {
    const set = this.bytes.getUint16(8, true) === 0;
    const space = this.spaces.get(this.u32(12));
    if (this.u32(4) === OPTION_HUGE_PAGES && set && space) space.large = this.u64(16) !== 0n;
    return true;
  }

  private copy(): boolean {
    const to = this.spaces.get(this.u32(8));
    const from = this.spaces.get(this.u32(12));
    if (to === undefined || from === undefined) return false;
    const first = this.u64(32);
    const end = first + this.u64(16);
    const target = this.answer.getBigUint64(24, true);
    for (const { iova, length, user } of [...from.areas]) {
      const start = iova < first ? first : iova;
      const stop = iova + length < end ? iova + length : end;
      if (start >= stop) continue;
      this.add(to, {
        user: user + start - iova,
        length: stop - start,
        iova: target + start - first,
      });
    }
    return true;
  }

  private map(): boolean {
    const space = this.spaces.get(this.u32(8));
    const area = {
      user: this.u64(16),
      length: this.u64(24),
      iova: this.answer.getBigUint64(32, true),
    };
    if (space === undefined) return false;
    for (let page = area.user / PAGE; page * PAGE < area.user + area.length; page++) {
      if (!this.frames.has(page)) return false;
    }
    this.add(space, area);
    return true;
  }

  private add(space: Space, area: Area): void {
    space.areas.push(area);
    space.areas.sort((a, b) => (a.iova < b.iova ? -1 : 1));
    for (const domain of space.domains) fill(domain, area, space.large, this.frames);
  }

  private unmap(): boolean {
    const space = this.spaces.get(this.u32(4));
    if (space === undefined) return false;
    const first = this.u64(8);
    const last = first + this.u64(16) - 1n;
    const meets = ({ iova, length }: Area) => iova <= last && iova + length - 1n >= first;
    for (const area of space.areas.filter(meets)) {
      if (area.iova < first || area.iova + area.length - 1n > last) break;
      for (const domain of space.domains) {
        assert.is(domain.unmap(area.iova, area.length), area.length);
      }
      space.areas.splice(space.areas.indexOf(area), 1);
    }
    return true;
  }

  private allocate({ ptr }: Op): boolean {
    const space = this.spaces.get(this.u32(12));
    if ((this.u32(4) & HWPT_DIRTY) === 0 || space === undefined) return true;
    const data = Buffer.from(ptr?.find(({ at }) => at === 32)?.in ?? '', 'hex');
    const huge = this.u32(28) >= 8 && data.readUInt32LE(4) === 1;
    const driver = {} as MockPagingDomain['driver'];
    const domain = new MockPagingDomain(
      driver,
      new KernelMemory(),
      huge ? 'huge' : 'default',
      true,
    );
    for (const area of space.areas) fill(domain, area, space.large, this.frames);
    space.domains.push(domain);
    this.tables.set(this.answer.getUint32(16, true), { domain, space });
    return true;
  }

  private setTracking(): boolean {
    const table = this.tables.get(this.u32(8));
    if (table === undefined) return false;
    const enable = (this.u32(4) & 1) !== 0;
    const { areas } = table.space;
    if (enable) {
      for (const { iova, length } of areas) {
        table.domain.dirty?.readAndClear(iova, length, true, () => {});
      }
    }
    return true;
  }

  private dirty({ ptr }: Op): boolean {
    const table = this.tables.get(this.u32(8));
    const bitmap = Buffer.from(ptr?.find(({ at }) => at === 48)?.in ?? '', 'hex');
    if (table === undefined) return false;
    const pageSize = this.u64(40);
    for (let bit = 0n; bit < this.u64(32) / pageSize; bit++) {
      if (bitmap[Number(bit >> 3n)] & (1 << Number(bit & 7n))) {
        table.domain.dirty?.setDirty(this.u64(24) + bit * pageSize);
      }
    }
    return true;
  }

  private read(id: string, { ptr }: Op): boolean {
    const table = this.tables.get(this.u32(4));
    const pointer = ptr?.find(({ at }) => at === 40);
    if (table === undefined || pointer?.in === undefined) return false;
    const first = this.u64(16);
    const end = first + this.u64(24);
    const pageSize = this.u64(32);
    const expected = Buffer.from(pointer.out ?? pointer.in, 'hex');
    const bitmap = Buffer.from(pointer.in, 'hex');
    let at = first;
    for (const { iova, length } of table.space.areas) {
      if (at < iova || at >= iova + length || at >= end) continue;
      const to = iova + length < end ? iova + length : end;
      const clear = (this.u32(8) & NO_CLEAR) === 0;
      table.domain.dirty?.readAndClear(at, to - at, clear, (from, bytes) => {
        for (
          let bit = (from - first) / pageSize;
          bit <= (from + bytes - 1n - first) / pageSize;
          bit++
        ) {
          bitmap[Number(bit >> 3n)] |= 1 << Number(bit & 7n);
        }
      });
      at = to;
    }
    assert.is(
      bitmap.toString('hex'),
      expected.toString('hex'),
      `${id}: ${JSON.stringify(pointer)}`,
    );
    this.compared++;
    if (bitmap.toString('hex') !== pointer.in) this.spread++;
    return true;
  }
}

test('dirty bits spread over leaves as in a real kernel', () => {
  if (!existsSync(HOME)) {
    console.log('SKIPPED: no recorded answers of a real kernel here');
    return;
  }
  const layouts = JSON.parse(readFileSync(`${HOME}/fuzz-layouts.json`, 'utf8'))
    .layouts as Region[][];
  const frames = layouts.map(framesOf);
  const lines = gunzipSync(readFileSync(`${HOME}/fuzz-dirty.jsonl.gz`))
    .toString()
    .split('\n');
  let compared = 0;
  let spread = 0;
  for (const line of lines) {
    if (line === '') continue;
    const sequence = JSON.parse(line) as Sequence;
    const replay = new Replay(frames[sequence.layout] as Frames);
    replay.run(sequence.id, sequence.ops);
    compared += replay.compared;
    spread += replay.spread;
  }
  console.log(`${compared} bitmaps compared, ${spread} of them with dirty pages`);
  assert.ok(compared > 50 && spread > 10);
});

test.run();
