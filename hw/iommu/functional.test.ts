import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_PRIVILEGED, ACCESS_READ, ACCESS_WRITE } from './access.ts';
import { REQUEST_TRANSLATED } from './architecture.ts';
import { ContextCache } from './caches/context-cache.ts';
import { Iotlb, iotlbArrays } from './caches/iotlb.ts';
import { WalkCaches } from './caches/walk-caches.ts';
import { OUTCOME_BYPASS, OUTCOME_FAULT, OUTCOME_HIT, OUTCOME_WALK } from './functional.ts';
import { SV39, SV39X4 } from './riscv/formats.ts';
import { DDTP } from './riscv/registers.ts';
import { DEVICE_PAGE, MODE_SHIFT, TC_V, TestBench } from './riscv/test-bench.ts';
import { TableBuilder } from './walk/table-builder.ts';

const GEOMETRY = { sets: 4, ways: 4, policy: 'lru' } as const;
const LEVELS = [GEOMETRY, GEOMETRY, GEOMETRY, GEOMETRY, GEOMETRY];
const GSCID = 7n;
const PSCID = 9n;
const EN_ATS = 1n << 1n;
const PDTV = 1n << 5n;

const INVAL_ALL_VMA = [1n, 0n] as const;
const INVAL_DDT = [3n, 0n] as const;

function caches() {
  return {
    iotlb: new Iotlb(iotlbArrays(GEOMETRY, 'unified')),
    contexts: new ContextCache(GEOMETRY),
    walks: new WalkCaches({
      stage1: LEVELS,
      stage2: LEVELS,
      nested: iotlbArrays(GEOMETRY, 'unified'),
      nestedFinal: true,
    }),
  };
}

/** Device 1: first stage page 5 -> 0x55, Sv39, PSCID 9. */
function firstStageBench() {
  const bench = new TestBench({ caches: caches() });
  const { memory, allocate } = bench;
  const table = new TableBuilder({ memory, format: SV39, allocate });
  table.map(5, 0x55);
  const iosatp = (8n << MODE_SHIFT) | BigInt(table.root);
  bench.device(1, TC_V, 0n, PSCID << 12n, iosatp);
  return { bench, table, iosatp };
}

/** Kind of the outcome of a read of page 5. */
function kindOf(bench: TestBench, changes = {}): number {
  bench.translate(0x5000n, changes);
  return bench.iommu.outcome.kind;
}

test('the second access to a page hits in the IOTLB', () => {
  const { bench } = firstStageBench();
  assert.is(bench.translate(0x5123n), 0x55123n);
  assert.is(bench.iommu.outcome.kind, OUTCOME_WALK);
  assert.is(bench.translate(0x5456n), 0x55456n);
  assert.is(bench.iommu.outcome.kind, OUTCOME_HIT);
});

test('a hit that does not permit the access is walked again', () => {
  const { bench, table } = firstStageBench();
  table.map(5, 0x55, 0, ACCESS_READ);
  assert.is(kindOf(bench), OUTCOME_WALK);
  assert.is(kindOf(bench, { access: ACCESS_WRITE }), OUTCOME_FAULT);
  table.map(5, 0x66);
  assert.is(kindOf(bench, { access: ACCESS_WRITE }), OUTCOME_WALK);
});

test('after an invalidation the tables count, before it the old translation may be used', () => {
  const { bench, table } = firstStageBench();
  bench.translate(0x5000n);
  table.map(5, 0x66);
  assert.is(bench.translate(0x5000n), 0x55000n);
  bench.command(INVAL_ALL_VMA);
  assert.is(bench.translate(0x5000n), 0x66000n);
});

test('contexts are cached until they are invalidated', () => {
  const { bench, iosatp } = firstStageBench();
  bench.translate(0x5000n);
  bench.device(1, 0n, 0n, 0n, iosatp);
  assert.is(kindOf(bench), OUTCOME_HIT);
  bench.command(INVAL_DDT);
  assert.is(bench.translate(0x5000n), -258n);
});

test('writing the directory pointer empties all caches', () => {
  const { bench } = firstStageBench();
  bench.translate(0x5000n);
  bench.write(DDTP, 8, 0n);
  bench.write(DDTP, 8, (DEVICE_PAGE << 10n) | 2n);
  assert.is(kindOf(bench), OUTCOME_WALK);
});

test('what is refused for a request is refused also when its context is cached', () => {
  const { bench } = firstStageBench();
  bench.translate(0x5000n);
  assert.is(bench.translate(0x5000n, { kind: REQUEST_TRANSLATED }), -260n);
  bench.write(DDTP, 8, 0n);
  bench.write(DDTP, 8, 1n);
  assert.is(kindOf(bench), OUTCOME_BYPASS);
  assert.is(bench.translate(0x5000n, { kind: REQUEST_TRANSLATED }), -260n);
});

test('translated requests have a context of their own beside the untranslated ones', () => {
  const { bench, iosatp } = firstStageBench();
  bench.device(1, TC_V | EN_ATS, 0n, PSCID << 12n, iosatp);
  assert.is(bench.translate(0x5000n), 0x55000n);
  assert.is(bench.translate(0x5000n, { kind: REQUEST_TRANSLATED }), 0x5000n);
  assert.is(bench.translate(0x5000n), 0x55000n);
});

test('processes share the cached device context', () => {
  const bench = new TestBench({ caches: caches() });
  bench.device(1, TC_V | PDTV, 0n, 0n, (1n << MODE_SHIFT) | 0x300n);
  bench.store(0x300000n, 1n, 0n, 1n, 0n);
  const reads: string[] = [];
  bench.iommu.observer = { contextRead: (fetch) => reads.push(fetch.refName) };
  bench.translate(0n, { pasid: 0 });
  bench.translate(0n, { pasid: 1 });
  bench.translate(0n, { pasid: 1 });
  assert.equal(reads, ['DDT', 'PDT', 'PDT']);
});

test('SUM counts for each process, though both share the cached translation', () => {
  const bench = new TestBench({ caches: caches() });
  const { memory, allocate } = bench;
  const table = new TableBuilder({ memory, format: SV39, allocate });
  table.map(5, 0x55);
  const fsc = (8n << MODE_SHIFT) | BigInt(table.root);
  bench.device(1, TC_V | PDTV, 0n, 0n, (1n << MODE_SHIFT) | 0x300n);
  const ta = (PSCID << 12n) | 0b011n;
  bench.store(0x300000n, ta | 0b100n, fsc, ta, fsc);
  const access = ACCESS_READ | ACCESS_PRIVILEGED;
  assert.is(bench.translate(0x5000n, { pasid: 0, access }), 0x55000n);
  assert.is(bench.translate(0x5000n, { pasid: 1, access }), -13n);
});

test('a nested walk with two three-level tables reads 15 entries, and none from the IOTLB', () => {
  const bench = new TestBench({ caches: { iotlb: caches().iotlb, contexts: null, walks: null } });
  const { memory, allocate } = bench;
  const second = new TableBuilder({ memory, format: SV39X4, allocate });
  const first = new TableBuilder({ memory, format: SV39, allocate });
  for (let page = 0x400; page < 0x420; page++) second.map(page, page);
  first.map(5, 0x77);
  second.map(0x77, 0x88);
  const iohgatp = (8n << MODE_SHIFT) | (GSCID << 44n) | BigInt(second.root);
  bench.device(1, TC_V, iohgatp, PSCID << 12n, (8n << MODE_SHIFT) | BigInt(first.root));
  let reads = 0;
  bench.iommu.observer = { walk: { read: () => reads++, update: () => {} } };
  assert.is(bench.translate(0x5abcn), 0x88abcn);
  assert.is(reads, 15);
  assert.is(bench.translate(0x5abcn), 0x88abcn);
  assert.is(reads, 15);

  // An invalidation of another guest, or of the host, leaves the entry alone.
  bench.command([0x81n | (1n << 33n) | ((GSCID + 1n) << 44n), 0n], INVAL_ALL_VMA);
  assert.is(kindOf(bench), OUTCOME_HIT);
  bench.command([0x81n | (1n << 33n) | (GSCID << 44n), 0n]);
  assert.is(kindOf(bench), OUTCOME_WALK);
});

test('page requests are looked up under the device alone', () => {
  const { bench } = firstStageBench();
  const message = { rid: 1, segment: -1, pasid: 5, privileged: false, execute: false, payload: 5n };
  const lookup = bench.unit.pageRequestLookup(message);
  assert.is(bench.iommu.findContext(lookup), false, 'the device may not send page requests');
  assert.is(bench.iommu.outcome.code, 260);
  bench.device(1, TC_V | 0b110n);
  bench.command(INVAL_DDT);
  assert.is(bench.iommu.findContext(lookup), true);
  assert.is(bench.iommu.findContext(lookup), true, 'also from the cache');
});

test.run();
