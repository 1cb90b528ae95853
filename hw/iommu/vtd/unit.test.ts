/** Checks of the VT-d unit around a walk, and fault reasons of walks. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import { type DeviceRequest, REQUEST_ATS, type TranslationContext } from '../architecture.ts';
import { walkFunctional } from '../walk/functional.ts';
import { STEP_DONE, Walk } from '../walk/walk.ts';
import { Walker } from '../walk/walker.ts';
import { Bench, DEVICE, MEMORY_END, request } from './fixture.ts';
import * as R from './layout.ts';

const TABLE = 0x20_0000n;
const FPD = 2n;

function context(bench: Bench, of: DeviceRequest = request(0n)): TranslationContext {
  const { result } = bench.fetch(of);
  assert.ok(result);
  return result;
}

/** Output address, or the fault code negated, of a 4-level walk. */
function translate(bench: Bench, address: bigint, access: number = ACCESS_READ): number {
  const asked = request(address, { access });
  const found = context(bench);
  const walk = new Walk();
  walk.inHi = asked.hi;
  walk.inLo = asked.lo;
  walk.offset = asked.offset;
  walk.access = access;
  walk.context.set(found.walk);
  const walker = new Walker({ caches: null, redirect: null });
  if (walkFunctional(walker, walk, bench.memory) !== STEP_DONE) {
    return -bench.unit.faultCodeOf(walk, asked, found);
  }
  const code = bench.unit.checkOutput(walk.outHi, walk.outLo, found);
  return code !== 0 ? -code : walk.outLo * 4096 + asked.offset;
}

/** A device in a domain of four levels whose first entries point to the next table. */
function mapped(flags = 1n): Bench {
  const bench = new Bench().enable().attach(DEVICE, TABLE | flags);
  for (let level = 0n; level < 3n; level++) {
    bench.store64(TABLE + level * 0x1000n, (TABLE + (level + 1n) * 0x1000n) | 3n);
  }
  return bench;
}

const LEAVES = TABLE + 0x3000n;

test('the input address must be below the width of the context', () => {
  const bench = new Bench().enable().attach(DEVICE, TABLE | 1n, 0x501n);
  const found = context(bench);
  assert.is(bench.unit.checkRequest(request(0x7f_ffff_ffffn), found), 0);
  assert.is(bench.unit.checkRequest(request(0x80_0000_0000n), found), R.REASON_ADDRESS_WIDTH);
  assert.is(bench.unit.checkRequest(request(1n << 63n), found), R.REASON_ADDRESS_WIDTH);
});

test('only untranslated writes are interrupt messages', () => {
  const bench = mapped();
  const found = context(bench);
  const check = (changes: Partial<DeviceRequest>, address = 0xfee0_0000n): number =>
    bench.unit.checkRequest(request(address, changes), found);
  assert.is(check({ access: ACCESS_WRITE }), 0);
  assert.ok(check({ access: ACCESS_READ }) >= R.UNRECORDED);
  assert.ok(check({}, 0xfeef_ffffn) >= R.UNRECORDED);
  assert.is(check({}, 0xfedf_ffffn), 0);
  assert.is(check({}, 0xfef0_0000n), 0);
});

test('a cached context of another type does not let ATS requests through', () => {
  const bench = mapped();
  const asked = request(0n, { kind: REQUEST_ATS });
  assert.is(bench.unit.checkRequest(asked, context(bench)), R.REASON_TYPE_BLOCKED);
});

test('a missing permission is reason 5 for writes and 6 for reads', () => {
  const bench = mapped();
  bench.store64(LEAVES, 0x30_0000n | 1n);
  bench.store64(LEAVES + 8n, 0x30_0000n | 2n);
  assert.is(translate(bench, 0x123n), 0x30_0123);
  assert.is(translate(bench, 0x123n, ACCESS_WRITE), -R.REASON_WRITE);
  assert.is(translate(bench, 0x1123n), -R.REASON_READ);
  assert.is(translate(bench, 0x2000n), -R.REASON_READ);
  assert.is(translate(bench, 0x2000n, ACCESS_WRITE), -R.REASON_WRITE);
});

test('a reserved bit or a misaligned superpage is reason C', () => {
  const bench = mapped();
  bench.store64(LEAVES, 0x30_0000n | 0x801n);
  bench.store64(LEAVES - 0x1000n + 8n, 0x30_1000n | 0x81n);
  assert.is(translate(bench, 0n), -R.REASON_PAGING_RESERVED);
  assert.is(translate(bench, 0x20_0000n), -R.REASON_PAGING_RESERVED);
});

test('an unreadable table is reason 7, but reason 3 where the context points to it', () => {
  const bench = mapped();
  bench.store64(TABLE + 8n, MEMORY_END | 3n);
  assert.is(translate(bench, 1n << 39n), -R.REASON_PAGING_ACCESS);
  const far = new Bench().enable().attach(DEVICE, MEMORY_END | 1n);
  assert.is(translate(far, 0n), -R.REASON_CONTEXT_INVALID);
});

test('an output address in the interrupt range is reason E, its neighbours are not', () => {
  const bench = mapped();
  [0xfedf_f000n, 0xfee0_0000n, 0xfeef_f000n, 0xfef0_0000n].forEach((page, i) => {
    bench.store64(LEAVES + 8n * BigInt(i), page | 1n);
  });
  assert.is(translate(bench, 0x0n), 0xfedf_f000);
  assert.is(translate(bench, 0x1000n), -R.REASON_INTERRUPT_RANGE);
  assert.is(translate(bench, 0x2000n), -R.REASON_INTERRUPT_RANGE);
  assert.is(translate(bench, 0x3000n), 0xfef0_0000);
});

test('FPD silences every fault found after the context', () => {
  const bench = mapped(1n | FPD);
  assert.is(translate(bench, 0x2000n), -(R.REASON_READ | R.UNRECORDED));
  const wide = bench.unit.checkRequest(request(1n << 50n), context(bench));
  assert.is(wide, R.REASON_ADDRESS_WIDTH | R.UNRECORDED);
});

test.run();
