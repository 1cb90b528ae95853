/** Root and context entries of VT-d legacy mode: one condition a test. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_WRITE } from '../access.ts';
import {
  CONTEXT_BYPASS,
  CONTEXT_WALK,
  KEY_TRANSLATED,
  REQUEST_ATS,
  REQUEST_PAGE,
  REQUEST_TRANSLATED,
} from '../architecture.ts';
import { WC_S2_FORMAT, WC_S2_ROOT_LO, WC_TAG2 } from '../walk/context.ts';
import { formatNumber } from '../walk/registry.ts';
import { KEY_INTERRUPT } from './context.ts';
import { Bench, CONTEXTS, DEVICE, MEMORY_END, ROOT, request } from './fixture.ts';
import { SS3, SS4, SS5 } from './formats.ts';
import * as R from './layout.ts';

const TABLE = 0x20_0000n;
const TT_DEVICE = 1n << 2n;
const TT_PASS = 2n << 2n;
const FPD = 2n;

/** Fault code with this context entry in memory; 0 where the context is usable. */
function codeOf(low: bigint, high?: bigint, bench: Bench = new Bench()): number {
  return bench.enable().attach(DEVICE, low, high).fetch(request(0n)).faultCode;
}

test('a present context entry gives domain, table and number of levels', () => {
  const formats = [SS3, SS4, SS5];
  for (let aw = 1; aw <= 3; aw++) {
    const bench = new Bench().enable().attach(DEVICE, TABLE | 1n, 0x1234_00n | BigInt(aw));
    const { result } = bench.fetch(request(0n));
    assert.is(result!.mode, CONTEXT_WALK);
    assert.is(result!.tag2, 0x1234);
    assert.is(result!.walk[WC_TAG2], 0x1234);
    assert.is(result!.walk[WC_S2_FORMAT], formatNumber(formats[aw - 1]!));
    assert.is(result!.walk[WC_S2_ROOT_LO], 0x200);
    assert.is(result!.inputBits, 30 + 9 * aw);
  }
});

test('the input width is the smaller of AW and the guest address width', () => {
  const bench = new Bench(
    {},
    { cap: (new Bench().read(R.CAP, 8) & ~(0x3fn << 16n)) | (43n << 16n) },
  );
  const { result } = bench
    .enable()
    .attach(DEVICE, TABLE | 1n)
    .fetch(request(0n));
  assert.is(result!.inputBits, 44);
});

test('while translation is off, requests pass and ATS is not supported', () => {
  const bench = new Bench();
  assert.is(bench.fetch(request(0n)).result!.mode, CONTEXT_BYPASS);
  const ats = bench.fetch(request(0n, { kind: REQUEST_ATS }));
  assert.is(ats.result, null);
  assert.ok(ats.faultCode >= R.UNRECORDED);
});

test('root entry: not present, reserved bits, unreadable', () => {
  const bench = new Bench().enable();
  assert.is(bench.fetch(request(0n)).faultCode, R.REASON_ROOT_NOT_PRESENT);
  for (const low of [1n << 1n, 1n << 11n, 1n << 48n, 1n << 63n]) {
    bench.store64(ROOT, CONTEXTS | 1n | low);
    assert.is(bench.fetch(request(0n)).faultCode, R.REASON_ROOT_RESERVED);
  }
  bench.store64(ROOT, CONTEXTS | 1n);
  bench.store64(ROOT + 8n, 1n);
  assert.is(bench.fetch(request(0n)).faultCode, R.REASON_ROOT_RESERVED);
  const far = new Bench().enable(MEMORY_END);
  assert.is(far.fetch(request(0n)).faultCode, R.REASON_ROOT_ACCESS);
});

test('an unreadable context table is reason 9, an absent entry reason 2', () => {
  const bench = new Bench().enable();
  bench.store64(ROOT, MEMORY_END | 1n);
  assert.is(bench.fetch(request(0n)).faultCode, R.REASON_CONTEXT_ACCESS);
  assert.is(codeOf(TABLE), R.REASON_CONTEXT_NOT_PRESENT);
});

test('every reserved bit of a context entry is reason B', () => {
  for (const bit of [4n, 11n, 48n, 63n]) {
    assert.is(codeOf(TABLE | 1n | (1n << bit)), R.REASON_CONTEXT_RESERVED);
  }
  for (const bit of [7n, 24n, 31n, 32n, 63n]) {
    assert.is(codeOf(TABLE | 1n, 0x502n | (1n << bit)), R.REASON_CONTEXT_RESERVED);
  }
});

test('bits 70:67 of a context entry are ignored', () => {
  assert.is(codeOf(TABLE | 1n, 0x57an), 0);
});

test('a domain id wider than the unit supports uses reserved bits', () => {
  const narrow = (): Bench => new Bench({ domain_id_bits: '8' });
  assert.is(codeOf(TABLE | 1n, 0xff02n, narrow()), 0);
  assert.is(codeOf(TABLE | 1n, 0x10002n, narrow()), R.REASON_CONTEXT_RESERVED);
});

test('an address width or translation type that is not supported is reason 3', () => {
  assert.is(codeOf(TABLE | 1n, 0x500n), R.REASON_CONTEXT_INVALID);
  assert.is(codeOf(TABLE | 1n, 0x504n), R.REASON_CONTEXT_INVALID);
  assert.is(codeOf(TABLE | 1n, 0x503n, new Bench({ levels: '4' })), R.REASON_CONTEXT_INVALID);
  assert.is(codeOf(TABLE | 1n | (3n << 2n)), R.REASON_CONTEXT_INVALID);
  const without = (name: string): Bench => new Bench({ [name]: false });
  assert.is(codeOf(TABLE | 1n | TT_DEVICE, undefined, without('device_tlb')), 3);
  assert.is(codeOf(TABLE | 1n | TT_PASS, undefined, without('pass_through')), 3);
});

test('FPD silences reasons 2, 3 and D, present or not, but not reserved bits', () => {
  const bench = (low: bigint, high?: bigint): number => codeOf(low | FPD, high);
  assert.is(bench(0n), R.REASON_CONTEXT_NOT_PRESENT | R.UNRECORDED);
  assert.is(bench(1n, 0x500n), R.REASON_CONTEXT_INVALID | R.UNRECORDED);
  assert.is(bench(1n | (1n << 4n)), R.REASON_CONTEXT_RESERVED);
});

test('pass-through needs no table and is limited by the host address width', () => {
  const bench = new Bench().enable().attach(DEVICE, 1n | TT_PASS);
  const { result } = bench.fetch(request(0n));
  assert.is(result!.mode, CONTEXT_BYPASS);
  assert.is(result!.inputBits, 48);
});

test('translated and translation requests need the device-TLB type', () => {
  for (const kind of [REQUEST_ATS, REQUEST_TRANSLATED]) {
    const plain = new Bench().enable().attach(DEVICE, TABLE | 1n);
    assert.is(plain.fetch(request(0n, { kind })).faultCode, R.REASON_TYPE_BLOCKED);
    const bench = new Bench().enable().attach(DEVICE, TABLE | 1n | TT_DEVICE);
    const { result } = bench.fetch(request(0n, { kind }));
    assert.is(result!.mode, kind === REQUEST_ATS ? CONTEXT_WALK : CONTEXT_BYPASS);
  }
});

test('translated requests and interrupt messages are cached apart', () => {
  const { contexts } = new Bench().unit;
  assert.is(contexts.cacheKey(request(0n)), -1);
  assert.is(contexts.cacheKey(request(0n, { kind: REQUEST_TRANSLATED })), KEY_TRANSLATED);
  const message = request(0xfee0_0000n, { access: ACCESS_WRITE });
  assert.is(contexts.cacheKey(message), KEY_INTERRUPT);
});

test('an interrupt message needs no context entry', () => {
  const bench = new Bench().enable();
  const message = request(0xfee0_1004n, { access: ACCESS_WRITE });
  assert.is(bench.fetch(message).result!.mode, CONTEXT_BYPASS);
  assert.is(bench.fetch(request(0xfee0_1004n)).faultCode, R.REASON_ROOT_NOT_PRESENT);
});

test('legacy mode has neither PASIDs nor page requests, other table modes do not exist', () => {
  const bench = new Bench().enable().attach(DEVICE, TABLE | 1n);
  assert.is(bench.fetch(request(0n, { pasid: 1 })).faultCode, R.REASON_PASID_IN_LEGACY);
  const page = bench.fetch(request(0n, { kind: REQUEST_PAGE }));
  assert.is(page.faultCode, R.REASON_PAGE_REQUEST_IN_LEGACY);
  const scalable = new Bench({}, { ecap: bench.read(R.ECAP, 8) | (1n << 43n) });
  assert.is(scalable.enable(ROOT | 0x400n).fetch(request(0n)).faultCode, R.REASON_TABLE_MODE);
});

test.run();
