import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TableBuilder } from '../walk/table-builder.ts';
import { SV39, SV39X4 } from './formats.ts';
import { TR_REQ_CTL, TR_REQ_IOVA, TR_RESPONSE } from './registers.ts';
import { MODE_SHIFT, TC_V, TestBench } from './test-bench.ts';

const GO = 1n;
const EXE_NW = 0b1100n;
const NW = 0b1000n;
const FAULT = 1n;
const RANGE = 1n << 9n;

function debugBench(): TestBench {
  const bench = new TestBench();
  const { memory, allocate } = bench;
  const table = new TableBuilder({ memory, format: SV39, allocate });
  table.map(5, 0x55);
  table.map(0x200, 0x400, 1);
  bench.device(1, TC_V, 0n, 0n, (8n << MODE_SHIFT) | BigInt(table.root));
  return bench;
}

function ask(bench: TestBench, iova: bigint, control: bigint): bigint {
  bench.write(TR_REQ_IOVA, 8, iova);
  bench.write(TR_REQ_CTL, 8, control | (1n << 40n));
  assert.is(bench.read(TR_REQ_CTL, 8) & GO, 0n, 'done');
  return bench.read(TR_RESPONSE, 8);
}

test('the response holds the page of the translation', () => {
  const bench = debugBench();
  assert.is(ask(bench, 0x5fffn, GO | NW), 0x55n << 10n);
  assert.is(ask(bench, 0x5000n, GO), 0x55n << 10n);
});

test('a superpage is told as a range', () => {
  assert.is(ask(debugBench(), 0x210000n, GO | NW), ((0x400n | 0xffn) << 10n) | RANGE);
});

test('a fault is recorded as of an untranslated request and told in the response', () => {
  const bench = debugBench();
  assert.is(ask(bench, 0x5000n, GO | EXE_NW), FAULT);
  assert.is(bench.fault(0)[0], (1n << 40n) | (1n << 34n) | 12n);
  assert.is(ask(bench, 0x6000n, GO), FAULT);
  assert.is(bench.fault(1)[0] & 0xfffn, 15n);
});

test('nothing happens without Go', () => {
  const bench = debugBench();
  assert.is(ask(bench, 0x6000n, 0n), 0n);
  assert.is(bench.faultCount, 0);
});

test('an address that an MRIF serves has no translation to show (260)', () => {
  const bench = new TestBench();
  const { memory, allocate } = bench;
  const table = new TableBuilder({ memory, format: SV39X4, allocate });
  const iohgatp = (8n << MODE_SHIFT) | BigInt(table.root);
  bench.device(1, TC_V, iohgatp, 0n, 0n, (1n << MODE_SHIFT) | 0x300n, 0n, 0x77n);
  bench.store(0x300000n, 3n);
  assert.is(ask(bench, 0x77000n, GO), FAULT);
  assert.is(bench.fault(0)[0] & 0xfffn, 260n);
});

test.run();
