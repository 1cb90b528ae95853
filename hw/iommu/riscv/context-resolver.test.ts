import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_EXECUTE, ACCESS_PRIVILEGED, ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import { REQUEST_ATS, REQUEST_TRANSLATED } from '../architecture.ts';
import { TableBuilder } from '../walk/table-builder.ts';
import { encodeCapabilities, IGS_BOTH } from './capabilities.ts';
import { SV39X4 } from './formats.ts';
import { DDTP, FQCSR } from './registers.ts';
import { DEVICE_PAGE, MODE_SHIFT, TC_V, TestBench } from './test-bench.ts';

const PDTV = 1n << 5n;
const DPE = 1n << 9n;
const EN_ATS = 1n << 1n;
const DTF = 1n << 4n;
const PD8 = 1n << MODE_SHIFT;
const PD17 = 2n << MODE_SHIFT;
const PD20 = 3n << MODE_SHIFT;
/** A page for process directories. */
const PROCESS_PAGE = 0x200n;

const entry = (page: bigint): bigint => (page << 10n) | 1n;

test('while the IOMMU is off every request is refused (256)', () => {
  const bench = new TestBench();
  bench.write(DDTP, 8, 0n);
  assert.is(bench.translate(0x1234n), -256n);
});

test('in bare mode untranslated requests pass, all others are refused (260)', () => {
  const bench = new TestBench();
  bench.write(DDTP, 8, 1n);
  assert.is(bench.translate(0x123456789abcdn), 0x123456789abcdn);
  assert.is(bench.translate(0x1000n, { kind: REQUEST_TRANSLATED }), -260n);
  assert.is(bench.translate(0x1000n, { kind: REQUEST_ATS }), -260n);
});

test('a device id wider than the directory is refused (260), on either side of the edge', () => {
  const bench = new TestBench();
  assert.is(bench.translate(0n, { deviceId: 0x3f }), -258n);
  assert.is(bench.translate(0n, { deviceId: 0x40 }), -260n);
  bench.write(DDTP, 8, 0n);
  bench.write(DDTP, 8, (DEVICE_PAGE << 10n) | 3n);
  assert.is(bench.translate(0n, { deviceId: 0x7fff }), -258n);
  assert.is(bench.translate(0n, { deviceId: 0x8000 }), -260n);
  bench.write(DDTP, 8, 0n);
  bench.write(DDTP, 8, (DEVICE_PAGE << 10n) | 4n);
  assert.is(bench.translate(0n, { deviceId: 0xffffff }), -258n);
});

test('the base format cuts device ids into 7, 9 and 8 bits', () => {
  const spec = { capabilities: encodeCapabilities(['sv39', 'sv39x4'], IGS_BOTH, 46) };
  const bench = new TestBench({ spec, off: true });
  bench.write(DDTP, 8, (DEVICE_PAGE << 10n) | 4n);
  bench.store((DEVICE_PAGE << 12n) + 8n * 0x81n, entry(0x300n));
  bench.store((0x300n << 12n) + 8n * 0x102n, entry(0x301n));
  bench.store((0x301n << 12n) + 32n * 0x7fn, TC_V);
  assert.is(bench.translate(0x5000n, { deviceId: (0x81 << 16) | (0x102 << 7) | 0x7f }), 0x5000n);
});

test('the extended format cuts device ids into 6, 9 and 9 bits', () => {
  const bench = new TestBench({ off: true });
  bench.write(DDTP, 8, (DEVICE_PAGE << 10n) | 4n);
  bench.store((DEVICE_PAGE << 12n) + 8n * 0x181n, entry(0x300n));
  bench.store((0x300n << 12n) + 8n * 0x102n, entry(0x301n));
  bench.store((0x301n << 12n) + 64n * 0x3fn, TC_V);
  assert.is(bench.translate(0x5000n, { deviceId: (0x181 << 15) | (0x102 << 6) | 0x3f }), 0x5000n);
});

test('directory entries: invalid 258, reserved bits 259, refused 257, corrupt 268', () => {
  const page = 0x300n << 12n;
  const bench = new TestBench({
    off: true,
    faults: [
      { start: page, end: page + 64n, kind: 'access' },
      { start: page + 64n, end: page + 72n, kind: 'poison' },
    ],
  });
  bench.write(DDTP, 8, (DEVICE_PAGE << 10n) | 3n);
  assert.is(bench.translate(0n), -258n);
  bench.store(DEVICE_PAGE << 12n, entry(0x300n) | 2n);
  assert.is(bench.translate(0n), -259n);
  bench.store(DEVICE_PAGE << 12n, entry(0x300n) | (1n << 54n));
  assert.is(bench.translate(0n), -259n);
  bench.store(DEVICE_PAGE << 12n, entry(0x300n));
  assert.is(bench.translate(0n, { deviceId: 0 }), -257n);
  assert.is(bench.translate(0n, { deviceId: 1 }), -268n);
});

test('a directory beyond the physical address width is an access fault (257)', () => {
  const capabilities = encodeCapabilities(['sv39', 'msiFlat'], IGS_BOTH, 34);
  const bench = new TestBench({ spec: { capabilities }, off: true });
  bench.write(DDTP, 8, (DEVICE_PAGE << 10n) | 3n);
  bench.store(DEVICE_PAGE << 12n, entry(1n << 22n));
  assert.is(bench.translate(0n), -257n);
});

test('requests that need ATS or a process directory are refused without it (260)', () => {
  const bench = new TestBench();
  bench.device(1, TC_V);
  assert.is(bench.translate(0x1000n, { kind: REQUEST_TRANSLATED }), -260n);
  assert.is(bench.translate(0x1000n, { kind: REQUEST_ATS }), -260n);
  assert.is(bench.translate(0x1000n, { pasid: 0 }), -260n);
  bench.device(1, TC_V | EN_ATS);
  assert.is(bench.translate(0x1000n, { kind: REQUEST_TRANSLATED }), 0x1000n);
});

test('a process id wider than the directory is refused (260), on either side of the edge', () => {
  const bench = new TestBench();
  for (const [mode, bits] of [
    [PD8, 8],
    [PD17, 17],
  ] as const) {
    bench.device(1, TC_V | PDTV, 0n, 0n, mode | PROCESS_PAGE);
    assert.is(bench.translate(0n, { pasid: 2 ** bits - 1 }), -266n);
    assert.is(bench.translate(0n, { pasid: 2 ** bits }), -260n);
  }
});

test('a three-level process directory is indexed by 3, 9 and 8 bits', () => {
  const bench = new TestBench();
  bench.device(1, TC_V | PDTV, 0n, 0n, PD20 | PROCESS_PAGE);
  bench.store((PROCESS_PAGE << 12n) + 8n * 5n, entry(0x201n));
  bench.store((0x201n << 12n) + 8n * 0x102n, entry(0x202n));
  bench.store((0x202n << 12n) + 16n * 0x83n, 1n);
  assert.is(bench.translate(0x7000n, { pasid: (5 << 17) | (0x102 << 8) | 0x83 }), 0x7000n);
});

test('process directory entries: invalid 266, reserved bits 267, refused 265, corrupt 269', () => {
  const page = PROCESS_PAGE << 12n;
  const bench = new TestBench({
    faults: [
      { start: page + 16n, end: page + 32n, kind: 'access' },
      { start: page + 40n, end: page + 48n, kind: 'poison' },
    ],
  });
  bench.device(1, TC_V | PDTV, 0n, 0n, PD8 | PROCESS_PAGE);
  bench.store(page + 48n, 1n | (1n << 4n));
  assert.is(bench.translate(0n, { pasid: 0 }), -266n);
  assert.is(bench.translate(0n, { pasid: 1 }), -265n);
  assert.is(bench.translate(0n, { pasid: 2 }), -269n);
  assert.is(bench.translate(0n, { pasid: 3 }), -267n);
});

test('requests without a process id use process 0 with DPE, else no first stage', () => {
  const bench = new TestBench();
  bench.device(1, TC_V | PDTV, 0n, 0n, PD8 | PROCESS_PAGE);
  assert.is(bench.translate(0x1000n), 0x1000n);
  bench.device(1, TC_V | PDTV | DPE, 0n, 0n, PD8 | PROCESS_PAGE);
  assert.is(bench.translate(0x1000n), -266n);
  bench.store(PROCESS_PAGE << 12n, 1n);
  assert.is(bench.translate(0x1000n), 0x1000n);
});

test('a supervisor request needs ENS (260)', () => {
  const bench = new TestBench();
  bench.device(1, TC_V | PDTV, 0n, 0n, PD8 | PROCESS_PAGE);
  bench.store(PROCESS_PAGE << 12n, 1n, 0n, 3n, 0n);
  const access = ACCESS_READ | ACCESS_PRIVILEGED;
  assert.is(bench.translate(0x1000n, { pasid: 0, access }), -260n);
  assert.is(bench.translate(0x1000n, { pasid: 1, access }), 0x1000n);
});

test('with a second stage the process directory is at guest addresses', () => {
  const bench = new TestBench();
  const { memory, allocate } = bench;
  const table = new TableBuilder({ memory, format: SV39X4, allocate });
  table.map(0x9999, Number(PROCESS_PAGE));
  table.map(0x5, 0x77);
  const iohgatp = (8n << MODE_SHIFT) | BigInt(table.root);
  bench.device(1, TC_V | PDTV, iohgatp, 0n, PD8 | 0x9999n);
  bench.store((PROCESS_PAGE << 12n) + 16n, 1n);
  assert.is(bench.translate(0x5123n, { pasid: 1 }), 0x77123n);

  // A guest page fault reports the original access, and the guest address as an implicit one.
  bench.device(1, TC_V | PDTV, iohgatp, 0n, PD8 | 0x9998n);
  assert.is(bench.translate(0n, { pasid: 1, access: ACCESS_WRITE }), -23n);
  assert.is(bench.translate(0n, { pasid: 1, access: ACCESS_EXECUTE }), -20n);
  assert.is(bench.fault(0)[3], 0x9998011n);
});

test('DTF hides refusals found after the device context, not those of the directory', () => {
  const bench = new TestBench();
  bench.device(1, TC_V | DTF);
  assert.is(bench.translate(0n, { pasid: 1 }), -260n);
  assert.is(bench.faultCount, 0);
  bench.device(1, TC_V | DTF | (1n << 12n));
  assert.is(bench.translate(0n), -259n);
  assert.is(bench.faultCount, 1);
  bench.write(FQCSR, 4, 0n);
});

test.run();
