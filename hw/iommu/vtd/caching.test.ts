/** VT-d with its caches: what each invalidation drops, and what it may keep. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addressOf, pageOffsetOf } from '../../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import { ContextCache } from '../caches/context-cache.ts';
import { Iotlb, iotlbArrays } from '../caches/iotlb.ts';
import { WalkCaches } from '../caches/walk-caches.ts';
import { FunctionalIommu, OUTCOME_FAULT } from '../functional.ts';
import { Bench, DEVICE, request } from './fixture.ts';
import * as R from './layout.ts';

const TABLE = 0x20_0000n;
const LEAVES = TABLE + 0x3000n;
const SMALL = { sets: 4, ways: 4, policy: 'lru' } as const;
const ARRAYS = iotlbArrays(SMALL, 'unified');
const LEVELS = Array.from({ length: 5 }, () => SMALL);
const WALKS = { stage1: LEVELS, stage2: LEVELS, nested: ARRAYS, nestedFinal: true };
const DOMAIN = 5n << 16n;

/** Two devices in domain 5; the first pages map to 0x300000 and up, writable for even pages. */
class Cached {
  readonly bench: Bench;
  readonly iommu: FunctionalIommu;

  constructor() {
    this.bench = new Bench().attach(DEVICE, TABLE | 1n).attach(DEVICE + 4, TABLE | 1n);
    for (let level = 0n; level < 3n; level++) {
      this.bench.store64(TABLE + level * 0x1000n, (TABLE + (level + 1n) * 0x1000n) | 3n);
    }
    for (let page = 0n; page < 8n; page++) this.map(page, 0x30_0000n + page * 0x1000n);
    this.iommu = new FunctionalIommu(this.bench.unit, this.bench.memory, {
      iotlb: new Iotlb(ARRAYS),
      contexts: new ContextCache(SMALL),
      walks: new WalkCaches(WALKS),
    });
    this.bench.enable();
  }

  map(page: bigint, to: bigint): void {
    this.bench.store64(LEAVES + 8n * page, to | (page % 2n === 0n ? 3n : 1n));
  }

  /** Output address, or the fault code negated. */
  read(address: bigint, deviceId: number = DEVICE, access: number = ACCESS_READ): bigint {
    const outcome = this.iommu.translate(request(address, { deviceId, access }));
    if (outcome.kind === OUTCOME_FAULT) return BigInt(-outcome.code);
    return addressOf(outcome.outHi, outcome.outLo, pageOffsetOf(address));
  }

  submit(...words: readonly bigint[]): void {
    const { bench } = this;
    const tail = bench.read(R.IQT, 8);
    const base = bench.read(R.IQA, 8);
    words.forEach((word, i) => {
      bench.store64(base + tail + 8n * BigInt(i), word);
    });
    bench.write(R.IQT, tail + 16n, 8);
    this.iommu.processCommands();
  }
}

test('a translation is used until it is invalidated, and not after', () => {
  const unit = new Cached();
  assert.is(unit.read(0x123n), 0x30_0123n);
  unit.map(0n, 0x50_0000n);
  assert.is(unit.read(0x123n), 0x30_0123n);
  unit.submit(0x32n | DOMAIN, 0n);
  assert.is(unit.read(0x123n), 0x50_0123n);
});

test('a page-selective invalidation covers its mask and nothing beside it', () => {
  const unit = new Cached();
  for (let page = 0n; page < 8n; page++) unit.read(page << 12n);
  for (let page = 0n; page < 8n; page++) unit.map(page, 0x50_0000n + (page << 12n));
  unit.submit(0x32n | DOMAIN, 0x3000n | 1n);
  const moved = Array.from(
    { length: 8 },
    (_, page) => unit.read(BigInt(page) << 12n) >> 20n === 5n,
  );
  assert.equal(moved, [false, false, true, true, false, false, false, false]);
});

test('an invalidation of another domain keeps the translation', () => {
  const unit = new Cached();
  unit.read(0n);
  unit.map(0n, 0x50_0000n);
  unit.submit(0x32n | (6n << 16n), 0n);
  unit.submit(0x22n | (6n << 16n), 0n);
  assert.is(unit.read(0n), 0x30_0000n);
  unit.submit(0x22n | DOMAIN, 0n);
  assert.is(unit.read(0n), 0x50_0000n);
});

test('devices of one domain share translations', () => {
  const unit = new Cached();
  unit.read(0n);
  unit.map(0n, 0x50_0000n);
  assert.is(unit.read(0n, DEVICE + 4), 0x30_0000n);
});

test('with the invalidation hint tables above the last stay cached, without it they go', () => {
  const unit = new Cached();
  unit.read(0n);
  const other = TABLE + 0x8000n;
  unit.bench.store64(other, 0x50_0003n);
  unit.bench.store64(TABLE + 0x2000n, other | 3n);
  unit.submit(0x32n | DOMAIN, 1n << 6n);
  assert.is(unit.read(0n), 0x30_0000n);
  unit.submit(0x32n | DOMAIN, 0n);
  assert.is(unit.read(0n), 0x50_0000n);
});

test('a cached read-only translation does not serve a write', () => {
  const unit = new Cached();
  assert.is(unit.read(0x1000n), 0x30_1000n);
  assert.is(unit.read(0x1000n, DEVICE, ACCESS_WRITE), BigInt(-R.REASON_WRITE));
  unit.map(1n, 0x30_1000n | 2n);
  assert.is(unit.read(0x1000n, DEVICE, ACCESS_WRITE), 0x30_1000n);
});

test('a context is used until its invalidation: of the device, by function mask, or global', () => {
  const commands = [
    0x31n | (BigInt(DEVICE) << 32n),
    0x31n | (BigInt(DEVICE + 4) << 32n) | (1n << 48n),
    0x21n | DOMAIN,
    0x11n,
  ];
  for (const command of commands) {
    const unit = new Cached();
    unit.read(0n);
    unit.bench.attach(DEVICE, 0n);
    unit.submit(0x31n | (BigInt(DEVICE + 4) << 32n), 0n);
    assert.is(unit.read(0n), 0x30_0000n);
    unit.submit(command, 0n);
    assert.is(unit.read(0n), BigInt(-R.REASON_CONTEXT_NOT_PRESENT));
  }
});

test('an interrupt message passes a device whose context is cached', () => {
  const unit = new Cached();
  unit.read(0n);
  assert.is(unit.read(0xfee0_1000n, DEVICE, ACCESS_WRITE), 0xfee0_1000n);
  assert.ok(unit.read(0xfee0_1000n) < 0n);
});

test('an output address in the interrupt range is refused, cached or not', () => {
  const unit = new Cached();
  unit.map(2n, 0xfee0_0000n);
  assert.is(unit.read(0x2000n), BigInt(-R.REASON_INTERRUPT_RANGE));
  assert.is(unit.read(0x2000n), BigInt(-R.REASON_INTERRUPT_RANGE));
});

test.run();
