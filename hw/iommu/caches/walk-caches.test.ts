import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pnHi, pnLo } from '../../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import { Operation } from '../architecture.ts';
import { SV32, SV39, SV39X4, SV48, SV48X4, SV57, SV57X4 } from '../riscv/formats.ts';
import { SS4 } from '../vtd/formats.ts';
import { STAGE_HW_AD } from '../walk/format.ts';
import { walkFunctional } from '../walk/functional.ts';
import { GUEST_BASE, Scene } from '../walk/scene.ts';
import { CACHE_STAGE1, STEP_DONE, STEP_FAULT } from '../walk/walk.ts';
import { Walker } from '../walk/walker.ts';
import { iotlbArrays } from './iotlb.ts';
import type { Geometry } from './set-associative.ts';
import { WalkCaches, type WalkCachesOptions } from './walk-caches.ts';

const SMALL: Geometry = { sets: 4, ways: 4, policy: 'lru' };
const NONE: WalkCachesOptions = { stage1: [], stage2: [], nested: [], nestedFinal: false };
const VA = 0x12345;
const GPA = 0x7654;

function operation(fields: Partial<Operation>): Operation {
  return Object.assign(new Operation(), fields);
}

/** Geometries with one level present. */
function only(level: number): (Geometry | undefined)[] {
  const levels: (Geometry | undefined)[] = new Array(5).fill(undefined);
  levels[level] = SMALL;
  return levels;
}

test('a stage 1 pointer saves the reads of its level and all above, nested ones too', () => {
  for (const [first, second] of [
    [SV39, null],
    [SV48, SV39X4],
    [SV57, SV57X4],
    [SV32, SV48X4],
  ] as const) {
    const n = first.levels;
    const m = second?.levels ?? 0;
    for (let level = 1; level < n; level++) {
      const caches = new WalkCaches({ ...NONE, stage1: only(level) });
      const scene = new Scene({ first, second, caches });
      scene.first?.map(VA, GPA);
      scene.second?.map(GPA, 0x99);
      assert.is(scene.walk(VA), STEP_DONE);
      const cold = scene.result.refs1 + scene.result.refs2;
      assert.is(cold, (n + 1) * (m + 1) - 1);
      assert.is(scene.walk(VA), STEP_DONE);
      const warm = scene.result.refs1 + scene.result.refs2;
      const name = `${first.name}/${second?.name} level ${level}`;
      // The entry itself is still read; its address needs no second stage any more.
      assert.is(cold - warm, (n - level) * (m + 1) + m, name);
      assert.is(scene.out, second === null ? GPA : 0x99, name);
      assert.is(caches.statistics.stage1.hits[level], 1, name);
      assert.is(caches.statistics.stage1.misses[level], 1, name);
    }
  }
});

test('a stage 2 pointer saves the reads of its level and all above, in every use', () => {
  for (const second of [SV39X4, SV48X4, SV57X4, SS4]) {
    for (let level = 1; level < second.levels; level++) {
      const caches = new WalkCaches({ ...NONE, stage2: only(level) });
      const scene = new Scene({ first: null, second, caches });
      scene.second?.map(GPA, 0x99);
      assert.is(scene.walk(GPA), STEP_DONE);
      assert.is(scene.result.refs2, second.levels);
      assert.is(scene.walk(GPA), STEP_DONE);
      assert.is(scene.result.refs2, level, `${second.name} level ${level}`);
      assert.is(caches.statistics.stage2.hits[level], 1);
    }
  }
});

test('the nested TLB saves stage 2 of table addresses, and of the final one if told', () => {
  for (const nestedFinal of [false, true]) {
    const nested = iotlbArrays(SMALL, 'unified');
    const scene = new Scene({
      first: SV48,
      second: SV48X4,
      caches: new WalkCaches({ ...NONE, nested, nestedFinal }),
    });
    scene.first?.map(VA, GPA);
    scene.second?.map(GPA, 0x99);
    assert.is(scene.walk(VA), STEP_DONE);
    assert.is(scene.result.refs2, 20);
    assert.is(scene.walk(VA), STEP_DONE);
    assert.equal([scene.result.refs1, scene.result.refs2], [4, nestedFinal ? 0 : 4]);
    assert.is(scene.out, 0x99);
  }
});

test('with all caches warm a nested walk reads the two last-level entries', () => {
  const all = [undefined, SMALL, SMALL, SMALL, SMALL];
  const scene = new Scene({
    first: SV48,
    second: SV48X4,
    caches: new WalkCaches({ ...NONE, stage1: all, stage2: all }),
  });
  scene.first?.map(VA, GPA);
  scene.second?.map(GPA, 0x99);
  scene.walk(VA);
  assert.is(scene.walk(VA), STEP_DONE);
  assert.equal([scene.result.refs1, scene.result.refs2], [1, 1]);
});

test('the walk says which cache shortened the way', () => {
  const scene = new Scene({
    first: SV48,
    second: null,
    caches: new WalkCaches({ ...NONE, stage1: only(2) }),
  });
  scene.first?.map(VA, GPA);
  scene.walk(VA);
  const seen: number[][] = [];
  const observer = {
    read: (walk: { cacheKind: number; cacheLevel: number }) =>
      seen.push([walk.cacheKind, walk.cacheKind === 0 ? 0 : walk.cacheLevel]),
    update: () => {},
  };
  scene.walk(VA, ACCESS_READ, { ...observer, read: (walk) => void observer.read(walk) });
  assert.equal(seen, [
    [CACHE_STAGE1, 2],
    [0, 0],
  ]);
});

test('a walk that has run through an invalidation fills nothing', () => {
  const all = [undefined, SMALL, SMALL, SMALL, SMALL];
  const caches = new WalkCaches({
    stage1: all,
    stage2: all,
    nested: iotlbArrays(SMALL, 'unified'),
    nestedFinal: true,
  });
  const scene = new Scene({ first: SV48, second: SV48X4, caches });
  scene.first?.map(VA, GPA);
  scene.second?.map(GPA, 0x99);
  scene.result.keepCaches = 0;
  scene.walk(VA);
  scene.walk(VA);
  assert.is(scene.result.refs1 + scene.result.refs2, 24);
});

/** Warms all caches with one nested walk and says how many entries an operation drops. */
function droppedBy(fields: Partial<Operation>): { dropped: number; refs1: number; refs2: number } {
  const all = [undefined, SMALL, SMALL, SMALL, SMALL];
  const caches = new WalkCaches({
    stage1: all,
    stage2: all,
    nested: iotlbArrays(SMALL, 'unified'),
    nestedFinal: true,
  });
  const scene = new Scene({ first: SV39, second: SV39X4, caches });
  scene.first?.map(VA, GPA);
  scene.second?.map(GPA, 0x99);
  scene.walk(VA);
  const cold = scene.result.refs2;
  const dropped = caches.invalidate(operation(fields));
  scene.walk(VA);
  if (fields.hasAddress === undefined && fields.stage === undefined) {
    assert.is(scene.result.refs2, cold);
  }
  return { dropped, refs1: scene.result.refs1, refs2: scene.result.refs2 };
}

test('invalidations drop what they cover and keep the rest', () => {
  const at = (page: number): Partial<Operation> => {
    return { tag2: 7, hasAddress: 1, hi: pnHi(page), lo: pnLo(page) };
  };
  // Stage 1: two pointers. Nested TLB: three table pages and the final page.
  assert.equal(droppedBy({ tag1: 99, stage: 1 }), { dropped: 0, refs1: 1, refs2: 0 });
  assert.equal(droppedBy({ ...at(VA), stage: 1, leafOnly: 1 }), { dropped: 0, refs1: 1, refs2: 0 });
  assert.equal(droppedBy({ ...at(VA), stage: 1 }), { dropped: 2, refs1: 3, refs2: 0 });
  assert.equal(droppedBy({ tag1: 3, tag2: 7, stage: 1 }), { dropped: 2, refs1: 3, refs2: 0 });
  // By guest address: the final page only, or the page of the last-level stage 1 table.
  const final = droppedBy({ ...at(GPA), guestAddress: 1, leafOnly: 1 });
  assert.equal(final, { dropped: 1, refs1: 1, refs2: 1 });
  const table = droppedBy({ ...at(0x102), guestAddress: 1, leafOnly: 1 });
  assert.equal(table, { dropped: 2, refs1: 2, refs2: 1 });
  assert.is(droppedBy({ tag2: 7 }).refs1, 3);
});

test('an update of a stage 1 leaf reached by a cached pointer asks for write permission', () => {
  const scene = new Scene({
    first: SV39,
    second: SV39X4,
    flags1: STAGE_HW_AD,
    caches: new WalkCaches({ ...NONE, stage1: only(1), nested: iotlbArrays(SMALL, 'unified') }),
  });
  scene.first?.map(VA, GPA);
  scene.second?.map(GPA, 0x99);
  const table = Number(scene.first!.entryAddress(VA, 0) >> 12n) - GUEST_BASE;
  scene.clear('second', table, 0x84);
  assert.is(scene.walk(VA), STEP_DONE);
  scene.clear('first', VA, 0x80);
  assert.is(scene.walk(VA, ACCESS_WRITE), STEP_FAULT);
  assert.equal([scene.result.faultImplicitWrite, scene.result.gpnLo], [1, table]);
});

test('caches never change a translation: random tables, remapping with invalidation', () => {
  const geometry = fc.constantFrom<Geometry | undefined>(
    undefined,
    { sets: 1, ways: 1, policy: 'lru' },
    { sets: 2, ways: 3, policy: 'plru' },
    { sets: 3, ways: 2, policy: 'random' },
  );
  const shape = fc.record({
    stage1: fc.array(geometry, { minLength: 5, maxLength: 5 }),
    stage2: fc.array(geometry, { minLength: 5, maxLength: 5 }),
    nested: fc.constantFrom([], iotlbArrays(SMALL, 'unified'), iotlbArrays(SMALL, 'separate')),
    nestedFinal: fc.boolean(),
  });
  const page = fc.integer({ min: 0, max: 7 }).map((n) => (n & 3) * 0x40200 + (n >> 2));
  const step = fc.record({
    what: fc.constantFrom('walk', 'walk', 'walk', 'first', 'second', 'noise'),
    page,
    target: fc.nat(15),
    access: fc.constantFrom(ACCESS_READ, ACCESS_WRITE, ACCESS_READ | ACCESS_WRITE),
    clear: fc.constantFrom(0, 0, 0, 0x04, 0x80, 0x40, 0x01),
    leafOnly: fc.nat(1),
  });
  const formats = fc.constantFrom(
    { first: SV48, second: SV48X4 },
    { first: SV39, second: SV57X4 },
    { first: SV57, second: null },
    { first: null, second: SS4 },
  );
  const flags = fc.constantFrom(0, STAGE_HW_AD);
  fc.assert(
    fc.property(
      formats,
      shape,
      fc.array(step, { maxLength: 50 }),
      flags,
      flags,
      (f, s, list, a, b) => {
        const caches = new WalkCaches(s);
        const vtd = f.second === SS4;
        const scene = new Scene({ ...f, caches, flags1: a, flags2: vtd ? 0 : b });
        const plain = new Walker({ caches: null, redirect: null });
        for (let i = 0; i < 16; i++) scene.second?.map(0x2000 + i * 0x300, 0x8000 + i);
        for (const { what, page: at, target, access, clear, leafOnly } of list) {
          const guest = f.second === null || vtd ? at : 0x2000 + target * 0x300;
          if (what === 'first' && scene.first !== null) {
            scene.first.map(at, 0x2000 + target * 0x300);
            if (clear !== 0) scene.clear('first', at, clear);
            const where = { hasAddress: 1, hi: pnHi(at), lo: pnLo(at), leafOnly };
            caches.invalidate(operation({ tag1: 3, stage: 1, ...where }));
          } else if (what === 'second' && scene.second !== null) {
            scene.second.map(guest, 0x9000 + target);
            if (clear !== 0) scene.clear('second', guest, clear);
            const where = { hasAddress: 1, hi: pnHi(guest), lo: pnLo(guest), leafOnly };
            caches.invalidate(operation({ tag2: 7, guestAddress: vtd ? 0 : 1, ...where }));
          } else if (what === 'noise') {
            caches.invalidate(operation({ tag1: clear === 0 ? 3 : -1, tag2: leafOnly ? 7 : -1 }));
          } else if (what === 'walk') {
            const cached = scene.walk(at, access);
            const { fault, faultKind, faultLevel, faultImplicit, order } = scene.result;
            const answer =
              cached === STEP_DONE
                ? [scene.out, order]
                : [fault, faultKind, faultLevel, faultImplicit];
            scene.prepare(at, access);
            assert.is(walkFunctional(plain, scene.result, scene.memory), cached);
            const again = scene.result;
            assert.equal(
              cached === STEP_DONE
                ? [scene.out, again.order]
                : [again.fault, again.faultKind, again.faultLevel, again.faultImplicit],
              answer,
            );
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

test.run();
