import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ACCESS_EXECUTE,
  ACCESS_PRIVILEGED,
  ACCESS_READ,
  ACCESS_REPORT,
  ACCESS_WRITE,
} from '../access.ts';
import { type DeviceRequest, REQUEST_ATS, REQUEST_TRANSLATED } from '../architecture.ts';
import { OUTCOME_FAULT } from '../functional.ts';
import { TableBuilder } from '../walk/table-builder.ts';
import {
  ATS_ABORT,
  ATS_SUCCESS,
  ATS_UNSUPPORTED,
  type AtsCompletion,
  atsCompletion,
  atsRefusal,
  napotPage,
} from './ats.ts';
import { SV39, SV39X4 } from './formats.ts';
import { MODE_SHIFT, TC_V, TestBench } from './test-bench.ts';

const EN_ATS = 1n << 1n;
const T2GPA = 1n << 3n;
const PDTV = 1n << 5n;
const SADE = 1n << 8n;
const PTE_G = 1n << 5n;
const PTE_D = 1n << 7n;
const READ_WRITE = ACCESS_REPORT | ACCESS_READ | ACCESS_WRITE;

/** First stage of device 1: page 5 -> guest 0x55; second stage: guest 0x55 -> 0x88. */
function atsBench(tc = 0n, fsc?: (root: bigint) => bigint) {
  const bench = new TestBench();
  const { memory, allocate } = bench;
  const second = new TableBuilder({ memory, format: SV39X4, allocate });
  const first = new TableBuilder({ memory, format: SV39, allocate });
  for (let page = 0x400; page < 0x420; page++) second.map(page, page);
  first.map(5, 0x55);
  second.map(0x55, 0x88);
  const iohgatp = (8n << MODE_SHIFT) | BigInt(second.root);
  const iosatp = (8n << MODE_SHIFT) | BigInt(first.root);
  bench.device(1, TC_V | EN_ATS | tc, iohgatp, 0n, fsc?.(iosatp) ?? iosatp);
  return { bench, first, second };
}

function ask(bench: TestBench, changes: Partial<DeviceRequest> = {}, cxl = false): AtsCompletion {
  const request = bench.request(0x5000n, { kind: REQUEST_ATS, access: READ_WRITE, ...changes });
  const outcome = bench.iommu.translate(request);
  if (outcome.kind === OUTCOME_FAULT || outcome.context === null) {
    return atsRefusal(request, outcome.code);
  }
  return atsCompletion(request, outcome.context, outcome, cxl);
}

test('a translation is answered with its page and the permissions of both stages', () => {
  const { bench, second } = atsBench();
  const answer = ask(bench);
  assert.equal(
    [answer.status, answer.read, answer.write, answer.execute],
    [ATS_SUCCESS, true, true, false],
  );
  assert.is(answer.lo, 0x88);
  second.map(0x55, 0x88, 0, ACCESS_READ);
  assert.is(ask(bench).write, false);
  assert.is(ask(bench).read, true);
});

test('execute is granted only if asked for, with read', () => {
  const { bench, first, second } = atsBench();
  const all = ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE;
  first.map(5, 0x55, 0, all);
  second.map(0x55, 0x88, 0, all);
  assert.is(ask(bench).execute, false);
  assert.is(ask(bench, { access: READ_WRITE | ACCESS_EXECUTE }).execute, true);
  first.map(5, 0x55, 0, ACCESS_EXECUTE);
  assert.is(ask(bench, { access: READ_WRITE | ACCESS_EXECUTE }).execute, false);
});

test('a page fault is answered "success" without permissions, and not recorded', () => {
  const { bench } = atsBench();
  const answer = ask(bench, { lo: 6 });
  assert.equal([answer.status, answer.read, answer.write], [ATS_SUCCESS, false, false]);
  assert.is(bench.faultCount, 0);
});

test('missing permission to use ATS is "unsupported", a bad configuration aborts; both are recorded', () => {
  const { bench } = atsBench();
  assert.is(ask(bench, { deviceId: 2 }).status, ATS_UNSUPPORTED);
  bench.device(2, TC_V);
  assert.is(ask(bench, { deviceId: 2 }).status, ATS_UNSUPPORTED);
  bench.device(2, TC_V | EN_ATS, 0n, 0n, (8n << MODE_SHIFT) | 0xfffffffffffn);
  bench.device(3, TC_V | EN_ATS | PDTV, 0n, 0n, (1n << MODE_SHIFT) | 0x300n);
  bench.store(0x300000n, 1n | (1n << 4n));
  assert.is(ask(bench, { deviceId: 3, pasid: 0 }).status, ATS_ABORT);
  assert.is(bench.faultCount, 3);
});

test('a request without "no write" sets D where hardware may, else gets nothing of a clean page', () => {
  const { bench, first } = atsBench();
  const entry = first.entryAddress(5, 0);
  bench.store(entry, bench.load(entry) & ~PTE_D);
  assert.is(ask(bench).read, false);
  assert.is(ask(bench, { access: ACCESS_REPORT | ACCESS_READ }).read, true);
  assert.is(ask(bench, { access: ACCESS_REPORT | ACCESS_READ }).write, false);

  const hardware = atsBench(SADE);
  const at = hardware.first.entryAddress(5, 0);
  hardware.bench.store(at, hardware.bench.load(at) & ~PTE_D);
  assert.is(ask(hardware.bench, { access: ACCESS_REPORT | ACCESS_READ }).write, false);
  assert.is(ask(hardware.bench).write, true);
  assert.is(hardware.bench.load(at) & PTE_D, PTE_D);
});

test('with T2GPA the answer is the guest page, and translated requests use the second stage', () => {
  const { bench } = atsBench(T2GPA);
  assert.is(ask(bench).lo, 0x55);
  assert.is(bench.translate(0x55123n, { kind: REQUEST_TRANSLATED }), 0x88123n);
  assert.is(bench.translate(0x56123n, { kind: REQUEST_TRANSLATED }), -21n);
});

test('Global and Priv need a PASID; Priv is the privilege asked for', () => {
  const { bench, first } = atsBench(PDTV, () => (1n << MODE_SHIFT) | 0x410n);
  bench.store(0x410000n, 3n, (8n << MODE_SHIFT) | BigInt(first.root));
  const entry = first.entryAddress(5, 0);
  bench.store(entry, bench.load(entry) | PTE_G);
  assert.is(ask(bench, { pasid: 0 }).global, true);
  assert.is(ask(bench, { pasid: 0 }).privileged, false);
  // A user page is closed to the supervisor while SUM is 0.
  const supervisor = ask(bench, { pasid: 0, access: READ_WRITE | ACCESS_PRIVILEGED });
  assert.equal([supervisor.privileged, supervisor.read], [true, false]);
});

test('CXL.io is for CXL devices: memory types other than PMA, or guest addresses', () => {
  const { bench, second } = atsBench();
  assert.is(ask(bench, {}, true).cxlIo, false);
  const entry = second.entryAddress(0x55, 0);
  bench.store(entry, bench.load(entry) | (1n << 61n));
  assert.is(ask(bench, {}, true).cxlIo, true);
  assert.is(ask(bench, {}, false).cxlIo, false);
  assert.is(ask(atsBench(T2GPA).bench, {}, true).cxlIo, true);
});

test('the size of a range is told by the ones below the first zero of the page number', () => {
  assert.is(napotPage(0, 0x1234, 0), 0x1234n);
  assert.is(napotPage(0, 0x1234, 4), 0x1237n);
  assert.is(napotPage(0, 0x1234, 9), 0x12ffn);
  assert.is(napotPage(1, 0x1234, 18), 0x801ffffn);
});

test.run();
