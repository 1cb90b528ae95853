/** Reference 10.13: dirty tracking, and bitmaps that show exactly what was written. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CallFields } from '../client/request.ts';
import {
  A,
  ALLOC_PASID,
  type Bench,
  DIRTY_TRACKING,
  HUGE,
  inBench,
  M,
  NO_DIRTY,
  P,
  rule,
  WITH_PASID,
} from './fixture.ts';

/** A page table that tracks dirty pages, and its device. */
function tracking(b: Bench, flags = DIRTY_TRACKING, deviceFlags = 0) {
  const ioas = b.ioas();
  const device = b.mock(ioas, deviceFlags);
  return { ioas, device, hwpt: b.hwpt(device, ioas, flags) };
}

function setTracking(b: Bench, hwpt: number, on: boolean): void {
  b.ok('HWPT_SET_DIRTY_TRACKING', { hwpt_id: hwpt, flags: on ? 'ENABLE' : 0 });
}

rule('164: an ordinary device attaches to a HWPT with dirty tracking', (b) => {
  b.mock(tracking(b).hwpt);
});

rule('165: a device that cannot track attaches to no such HWPT: EINVAL', (b) => {
  b.refuseOp('EINVAL', 'MOCK_DOMAIN_FLAGS', { id: tracking(b).hwpt, dev_flags: NO_DIRTY });
});

rule('166: dirty tracking for a device that cannot is EOPNOTSUPP', (b) => {
  const ioas = b.ioas();
  b.refuseHwpt('EOPNOTSUPP', b.mock(ioas, NO_DIRTY), ioas, DIRTY_TRACKING);
});

rule('167: dirty tracking is turned on and off', (b) => {
  const { hwpt } = tracking(b);
  setTracking(b, hwpt, true);
  setTracking(b, hwpt, false);
});

rule('168: dirty tracking with PASIDs, on the device and a PASID of it', (b) => {
  const { hwpt } = tracking(b, DIRTY_TRACKING | ALLOC_PASID, WITH_PASID);
  const { stdev } = b.mock(hwpt, WITH_PASID);
  b.op('PASID_ATTACH', { id: stdev, pasid: 100, pt_id: hwpt });
  setTracking(b, hwpt, true);
  setTracking(b, hwpt, false);
  b.op('PASID_DETACH', { id: stdev, pasid: 100 });
});

rule('169: such a HWPT at a PASID of a device that cannot track is EINVAL', (b) => {
  const { ioas, hwpt } = tracking(b, DIRTY_TRACKING | ALLOC_PASID, WITH_PASID);
  const { stdev } = b.mock(ioas, WITH_PASID | NO_DIRTY);
  b.refuseOp('EINVAL', 'PASID_ATTACH', { id: stdev, pasid: 100, pt_id: hwpt });
});

interface Tracked {
  readonly hwpt: number;
  readonly length: bigint;
  /** Bytes of an entry of the page table. */
  readonly entry: bigint;
}

/** Memory mapped with an entry for every page. */
function pagewise(b: Bench, length: bigint): Tracked {
  const ioas = b.ioas();
  b.ok('OPTION', { option_id: 'HUGE_PAGES', op: 'SET', object_id: ioas, val64: 0 });
  const device = b.mock(ioas);
  b.map(ioas, b.memory(length), length, A);
  const hwpt = b.hwpt(device, ioas, DIRTY_TRACKING);
  setTracking(b, hwpt, true);
  return { hwpt, length, entry: P };
}

const MFD_HUGETLB = 4;
const HUGE_ENTRY = 1n << 20n;
const HUGE_TABLE = { data_type: 'SELFTEST', data: { pagetable_type: 'HUGE' } };

/** Huge pages in a table whose entries are 1 MiB. */
function huge(b: Bench, length: bigint): Tracked {
  const fd = b.calls.memfdCreate(MFD_HUGETLB).value;
  assert.is(b.calls.ftruncate(fd, Number(length)).errno, 0);
  const ioas = b.ioas();
  const device = b.mock(ioas);
  b.mapFile(ioas, fd, 0n, length, 16n * HUGE);
  const hwpt = b.hwpt(device, ioas, DIRTY_TRACKING, HUGE_TABLE);
  setTracking(b, hwpt, true);
  return { hwpt, length, entry: HUGE_ENTRY };
}

/** Marks entries dirty by a bitmap with a bit for each. */
function mark(b: Bench, { hwpt, length, entry }: Tracked, iova: bigint, bits: Uint8Array): bigint {
  const fields = { id: hwpt, iova, length, page_size: entry, uptr: b.place(bits) };
  return b.op('DIRTY', fields).out.out_nr_dirty as bigint;
}

function everySecond(bits: bigint): Uint8Array {
  return new Uint8Array(Number((bits + 7n) / 8n)).fill(0x55);
}

/** The bitmap as read, into zeroed memory at an offset into a page. */
function read(
  b: Bench,
  { hwpt, length }: Tracked,
  iova: bigint,
  pageSize: bigint,
  more: CallFields = {},
  offset = 0n,
): Uint8Array {
  const bytes = Number((length / pageSize + 7n) / 8n);
  const data = b.memory(BigInt(bytes) + offset + P) + offset;
  b.ok('HWPT_GET_DIRTY_BITMAP', {
    hwpt_id: hwpt,
    iova,
    length,
    page_size: pageSize,
    data,
    ...more,
  });
  return b.peek(data, bytes);
}

const SIZES = [8n << 10n, 16n << 10n, 64n << 10n, 128n << 10n, 128n << 20n];
const MEMORY = { bytes: 512 << 20 };

/** A case for buffers of all sizes, in pages, and for huge pages. */
function dirtyRule(name: string, run: (b: Bench, tracked: Tracked, iova: bigint) => void): void {
  for (const size of SIZES) {
    const label = `${name} [${size >> 10n} KiB]`;
    test(label, () => inBench(MEMORY, (b) => run(b, pagewise(b, size), A)));
  }
  const label = `${name} [128 MiB, huge]`;
  test(label, () => inBench(MEMORY, (b) => run(b, huge(b, 128n << 20n), 16n * HUGE)));
}

/** Bits of a bitmap of whole entries; what is beyond the last is cleared. */
function entries({ length, entry }: Tracked): Uint8Array {
  const count = length / entry;
  const bits = everySecond(count);
  if (count < 8n) bits[0] &= (1 << Number(count)) - 1;
  return bits;
}

dirtyRule('170: every second entry is dirty, and the bitmap shows exactly those', (b, t, iova) => {
  const bits = entries(t);
  assert.is(mark(b, t, iova, bits), t.length / t.entry / 2n);
  assert.equal(read(b, t, iova, t.entry), bits);
});

dirtyRule('171: a second read shows nothing', (b, t, iova) => {
  mark(b, t, iova, entries(t));
  read(b, t, iova, t.entry);
  assert.ok(read(b, t, iova, t.entry).every((byte) => byte === 0));
});

dirtyRule('172: with NO_CLEAR a second read shows them again', (b, t, iova) => {
  const bits = entries(t);
  mark(b, t, iova, bits);
  for (let i = 0; i < 2; i++) {
    assert.equal(read(b, t, iova, t.entry, { flags: 'NO_CLEAR' }), bits);
  }
  assert.equal(read(b, t, iova, t.entry), bits);
});

dirtyRule('173: the bitmap need not begin with a page', (b, t, iova) => {
  const bits = entries(t);
  mark(b, t, iova, bits);
  assert.equal(read(b, t, iova, t.entry, {}, 0x440n), bits);
});

dirtyRule('174: the bitmap need not begin with a word', (b, t, iova) => {
  const bits = entries(t);
  mark(b, t, iova, bits);
  assert.equal(read(b, t, iova, t.entry, {}, 0xff1n), bits);
});

rule(
  '175: one dirty entry of 1 MiB sets its 512 bits of 2 KiB',
  (b) => {
    const t = huge(b, 4n * HUGE);
    mark(b, t, 16n * HUGE, Uint8Array.of(1 << 3));
    const bitmap = read(b, t, 16n * HUGE, M);
    const entryBytes = Number(HUGE_ENTRY / M / 8n);
    for (const [i, byte] of bitmap.entries()) {
      assert.is(byte, Math.floor(i / entryBytes) === 3 ? 0xff : 0, `byte ${i}`);
    }
  },
  MEMORY,
);

test.run();
