import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addressOf } from '../../address.ts';
import { ACCESS_EXECUTE, ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import { TableBuilder } from '../walk/table-builder.ts';
import { SV39X4 } from './formats.ts';
import { MRIF_HI, MRIF_LO, MRIF_NOTICE_ID, MRIF_OFFSET } from './msi.ts';
import { MODE_SHIFT, TC_V, TestBench } from './test-bench.ts';

/** MSI page table, pattern and mask: pages 0x3c050..0x3c05f and those with bit 8 set too. */
const MSI_PAGE = 0x300n;
const MASK = 0x10fn;
const PATTERN = 0x3c050n;
const BASIC = 0b111n;
const MRIF = 0b011n;

/** Device 1 has a second stage (guest page 0x3c051 is mapped to 0x99) and the MSI page table. */
function msiBench(...faults: { start: bigint; end: bigint; kind: 'access' | 'poison' }[]) {
  const bench = new TestBench({ faults });
  const { memory, allocate } = bench;
  const table = new TableBuilder({ memory, format: SV39X4, allocate });
  table.map(0x3c051, 0x99);
  table.map(0x3c200, 0x40000, 1);
  const iohgatp = (8n << MODE_SHIFT) | BigInt(table.root);
  const flat = (1n << MODE_SHIFT) | MSI_PAGE;
  bench.device(1, TC_V, iohgatp, 0n, 0n, flat, MASK, PATTERN);
  bench.device(2, TC_V, iohgatp);
  return { bench, table };
}

const entryAddress = (file: bigint): bigint => (MSI_PAGE << 12n) + 16n * file;
const write = { access: ACCESS_WRITE };

test('pages of interrupt files are translated by the MSI page table, others by the second stage', () => {
  const { bench } = msiBench();
  bench.store(entryAddress(1n), (0x1234n << 10n) | BASIC);
  assert.is(bench.translate(0x3c051abcn, write), 0x1234abcn);
  assert.is(bench.translate(0x3c051abcn, { ...write, deviceId: 2 }), 0x99abcn);
});

test('the interrupt file number is the masked bits of the page, packed', () => {
  const { bench } = msiBench();
  bench.store(entryAddress(0x1an), (0x777n << 10n) | BASIC);
  assert.is(bench.translate(0x3c15a000n, write), 0x777000n);
});

test('entries: invalid 262; reserved modes, reserved bits and custom ones 263', () => {
  const { bench } = msiBench();
  const cause = (entry: bigint, second = 0n): bigint => {
    bench.store(entryAddress(0n), entry, second);
    return bench.translate(0x3c050000n, write);
  };
  assert.is(cause(0n), -262n);
  assert.is(cause(0b001n), -263n);
  assert.is(cause(0b101n), -263n);
  for (const position of [3n, 9n, 54n, 62n]) assert.is(cause(BASIC | (1n << position)), -263n);
  assert.is(cause(BASIC | (1n << 63n)), -263n);
  assert.is(cause(BASIC | (5n << 10n), -1n), 0x5000n, 'the second doubleword is ignored');
  for (const position of [3n, 6n, 54n]) assert.is(cause(MRIF | (1n << position)), -263n);
  for (const position of [54n, 59n, 61n, 63n]) assert.is(cause(MRIF, 1n << position), -263n);
});

test('reading an entry: refused 261, corrupt 270', () => {
  const start = entryAddress(0n);
  const { bench } = msiBench(
    { start, end: start + 1n, kind: 'access' },
    { start: start + 24n, end: start + 25n, kind: 'poison' },
  );
  assert.is(bench.translate(0x3c050000n, write), -261n);
  assert.is(bench.translate(0x3c051000n, write), -270n);
});

test('an entry permits reading and writing, not executing (1)', () => {
  const { bench } = msiBench();
  bench.store(entryAddress(0n), BASIC);
  assert.is(bench.translate(0x3c050000n, { access: ACCESS_READ }), 0n);
  assert.is(bench.translate(0x3c050000n, { access: ACCESS_EXECUTE }), -1n);
});

test('an MRIF entry gives the file in memory, the notice page and its number', () => {
  const { bench } = msiBench();
  const mrif = 0xabcdef12345600n;
  const notice = (1n << 60n) | (0x89abcdef012n << 10n) | 0x155n;
  bench.store(entryAddress(2n), MRIF | ((mrif >> 9n) << 7n), notice);
  bench.translate(0x3c052000n, write);
  const { outcome } = bench.iommu;
  const { redirectData: data } = outcome;
  assert.is(outcome.redirected, 2);
  assert.is(addressOf(data[MRIF_HI], data[MRIF_LO], data[MRIF_OFFSET]), mrif);
  assert.is(data[MRIF_NOTICE_ID], 0x555);
  assert.is(addressOf(outcome.outHi, outcome.outLo, 0), 0x89abcdef012000n);
});

test('a translation from a superpage is reusable only as far as no interrupt file lies in it', () => {
  const { bench, table } = msiBench();
  // Guest pages 0x3c000..0x3c1ff as one 2 MiB page: it holds the files 0x3c050 to 0x3c15f.
  const entry = table.entryAddress(0x3c000, 1, true);
  bench.store(entry, (0x40000n << 10n) | 0xd7n);
  const order = (address: bigint): number => {
    assert.ok(bench.translate(address) > 0n);
    return bench.iommu.outcome.order;
  };
  assert.is(order(0x3c000000n), 6, '0x3c000..0x3c03f');
  assert.is(order(0x3c040000n), 4, '0x3c040..0x3c04f');
  assert.is(order(0x3c0c0000n), 7, '0x3c080..0x3c0ff');
  assert.is(order(0x3c201000n), 9, 'another 2 MiB page');
});

test.run();
