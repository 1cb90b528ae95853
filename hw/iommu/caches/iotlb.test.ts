import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pageNumber, pnHi, pnLo } from '../../address.ts';
import {
  ACCESS_EXECUTE,
  ACCESS_PRIVILEGED,
  ACCESS_READ,
  ACCESS_REPORT,
  ACCESS_WRITE,
} from '../access.ts';
import { Operation, TAG_NONE } from '../architecture.ts';
import {
  LEAF_DIRTY,
  LEAF_GLOBAL,
  LEAF_ORDER_SHIFT,
  LEAF_PRIVILEGED_USER,
  LEAF_R,
  LEAF_USER,
  LEAF_W,
} from '../walk/format.ts';
import { Iotlb, iotlbArrays } from './iotlb.ts';

const PLAIN = 1 | LEAF_R | LEAF_W | LEAF_USER | LEAF_DIRTY;
const leaf = (order: number, extra = 0): number => PLAIN | extra | (order << LEAF_ORDER_SHIFT);

function large(pageSizes: 'unified' | 'separate' = 'unified'): Iotlb {
  return new Iotlb(iotlbArrays({ sets: 1, ways: 64, policy: 'lru' }, pageSizes));
}

interface Mapping {
  tag1?: number;
  tag2?: number;
  page: number;
  out: number;
  order1?: number;
  order2?: number;
  guest?: number;
  global?: boolean;
}

/** An order of -1 stands for a bare stage. */
function insert(iotlb: Iotlb, m: Mapping): number {
  const { tag1 = 1, tag2 = 2, page, out, order1 = 0, order2 = 0, guest = page, global } = m;
  const order = Math.min(order1 < 0 ? 63 : order1, order2 < 0 ? 63 : order2);
  const leaf1 = order1 < 0 ? 0 : leaf(order1, global ? LEAF_GLOBAL : 0);
  const leaf2 = order2 < 0 ? 0 : leaf(order2);
  return iotlb.insert(
    tag1,
    tag2,
    pnHi(page),
    pnLo(page),
    order,
    pnHi(out),
    pnLo(out),
    leaf1,
    leaf2,
    pnHi(guest),
    pnLo(guest),
  );
}

function find(iotlb: Iotlb, page: number, tag1 = 1, tag2 = 2): number {
  const slot = iotlb.lookup(tag1, tag2, pnHi(page), pnLo(page));
  if (slot < 0) return -1;
  iotlb.translate(slot, pnHi(page), pnLo(page));
  return pageNumber(iotlb.outHi, iotlb.outLo);
}

function operation(fields: Partial<Operation>): Operation {
  return Object.assign(new Operation(), fields);
}

function range(page: number, order = 0): Partial<Operation> {
  return { hasAddress: 1, hi: pnHi(page), lo: pnLo(page), order };
}

test('an entry serves every page of its size and no other', () => {
  const iotlb = large();
  insert(iotlb, { page: 0x40000, out: 0x80000, order1: 9, order2: 18 });
  assert.is(find(iotlb, 0x40000), 0x80000);
  assert.is(find(iotlb, 0x401ff), 0x801ff);
  assert.is(find(iotlb, 0x40200), -1);
  assert.is(find(iotlb, 0x3ffff), -1);
  assert.is(find(iotlb, 0x40000, 9), -1);
  assert.is(find(iotlb, 0x40000, 1, 9), -1);
  assert.equal([iotlb.statistics.hits, iotlb.statistics.misses], [2, 4]);
});

test('pages of all sizes live together; the smaller one wins', () => {
  for (const sizes of ['unified', 'separate'] as const) {
    const iotlb = large(sizes);
    insert(iotlb, { page: 2 ** 36, out: 2 ** 27, order1: 36, order2: 36 });
    insert(iotlb, { page: 2 ** 36 + 5, out: 77 });
    insert(iotlb, { page: 2 ** 36 + 512, out: 1024, order1: 9, order2: 9 });
    assert.is(find(iotlb, 2 ** 36 + 5), 77);
    assert.is(find(iotlb, 2 ** 36 + 513), 1025);
    assert.is(find(iotlb, 2 ** 36 + 2 ** 35 + 6), 2 ** 35 + 6);
  }
});

test('a page too large for its array is held as a piece', () => {
  const iotlb = new Iotlb([{ sets: 1, ways: 4, policy: 'lru', minOrder: 0, maxOrder: 9 }]);
  insert(iotlb, { page: 2 ** 18 + 512 + 3, out: 2 ** 19 + 512 + 3, order1: 18, order2: 18 });
  assert.is(find(iotlb, 2 ** 18 + 513), 2 ** 19 + 513);
  assert.is(find(iotlb, 2 ** 18), -1);
  const dropped = iotlb.invalidate(operation({ tag2: 2, ...range(2 ** 18 + 7) }));
  assert.is(dropped, 1, 'invalidating any page of the leaf drops the piece');
});

test('permissions: both stages, dirty for a write, privilege of the first', () => {
  const iotlb = large();
  const put = (leaf1: number, leaf2: number): number =>
    iotlb.insert(1, 2, 0, 5, 0, 0, 6, leaf1, leaf2, 0, 5);
  let slot = put(leaf(0), leaf(0));
  assert.ok(iotlb.permits(slot, ACCESS_READ | ACCESS_WRITE));
  assert.not(iotlb.permits(slot, ACCESS_EXECUTE));
  assert.not(iotlb.permits(slot, ACCESS_READ | ACCESS_PRIVILEGED));
  slot = put(leaf(0), leaf(0) & ~LEAF_W);
  assert.not(iotlb.permits(slot, ACCESS_WRITE));
  assert.ok(iotlb.permits(slot, ACCESS_WRITE | ACCESS_REPORT));
  slot = put(leaf(0), leaf(0) & ~LEAF_DIRTY);
  assert.ok(iotlb.permits(slot, ACCESS_READ));
  assert.not(iotlb.permits(slot, ACCESS_WRITE));
  assert.not(iotlb.permits(slot, ACCESS_WRITE | ACCESS_REPORT));
  slot = put(leaf(0) & ~LEAF_USER, 0);
  assert.not(iotlb.permits(slot, ACCESS_READ));
  assert.ok(iotlb.permits(slot, ACCESS_READ | ACCESS_PRIVILEGED));
  slot = put(leaf(0, LEAF_PRIVILEGED_USER), 0);
  assert.ok(iotlb.permits(slot, ACCESS_READ | ACCESS_PRIVILEGED));
  assert.ok(iotlb.permits(put(0, 0), ACCESS_EXECUTE));
});

test('invalidation by input address keeps others, and global entries unless told', () => {
  const iotlb = large();
  insert(iotlb, { page: 10, out: 1 });
  insert(iotlb, { page: 11, out: 2 });
  insert(iotlb, { page: 12, out: 3, global: true });
  insert(iotlb, { page: 10, out: 4, tag1: 5 });
  const op = operation({ tag1: 1, tag2: 2, stage: 1, includeGlobal: 0, ...range(8, 3) });
  assert.is(iotlb.invalidate(op), 2);
  assert.equal([find(iotlb, 10), find(iotlb, 12), find(iotlb, 10, 5)], [-1, 3, 4]);
  assert.is(iotlb.invalidate(operation({ tag2: 2, stage: 1, ...range(12) })), 1);
});

test('invalidation of the first stage keeps what has none', () => {
  const iotlb = large();
  insert(iotlb, { tag1: -1, page: 10, out: 1, order1: -1 });
  assert.is(iotlb.invalidate(operation({ tag2: 2, stage: 1 })), 0);
  assert.is(iotlb.invalidate(operation({ tag2: 2, stage: 0 })), 1);
});

test('a guest address drops what the second-stage leaf of that address made', () => {
  const iotlb = large();
  insert(iotlb, { page: 10, out: 100, guest: 0x400, order2: 9 });
  insert(iotlb, { page: 11, out: 101, guest: 0x700 });
  insert(iotlb, { page: 12, out: 102, tag2: -1, order2: -1, guest: 0x400 });
  const op = operation({ tag2: 2, guestAddress: 1, ...range(0x4aa) });
  assert.is(iotlb.invalidate(op), 1);
  assert.equal([find(iotlb, 10), find(iotlb, 11)], [-1, 101]);
  assert.is(iotlb.invalidate(operation({ guestAddress: 1 })), 1);
  assert.is(find(iotlb, 12, 1, -1), 102);
});

test('a tag of "none" means entries without that tag', () => {
  const iotlb = large();
  insert(iotlb, { page: 10, out: 1 });
  insert(iotlb, { page: 10, out: 2, tag2: -1, order2: -1 });
  assert.is(iotlb.invalidate(operation({ tag2: TAG_NONE, stage: 1 })), 1);
  assert.is(find(iotlb, 10), 1);
});

test('a cache without entries misses and keeps nothing', () => {
  const iotlb = new Iotlb(iotlbArrays({ sets: 0, ways: 0, policy: 'lru' }, 'unified'));
  assert.is(insert(iotlb, { page: 1, out: 2 }), -1);
  assert.is(find(iotlb, 1), -1);
});

test('about a hundred ways in one set hold that many pages', () => {
  const iotlb = new Iotlb(iotlbArrays({ sets: 1, ways: 117, policy: 'lru' }, 'unified'));
  for (let page = 0; page < 117; page++) insert(iotlb, { page, out: page });
  for (let page = 0; page < 117; page++) assert.is(find(iotlb, page), page);
  insert(iotlb, { page: 117, out: 117 });
  assert.is(find(iotlb, 0), -1);
  assert.is(iotlb.evictions, 1);
});

interface ModelEntry {
  readonly tag1: number;
  readonly tag2: number;
  readonly page: number;
  readonly order: number;
  readonly order1: number;
  readonly order2: number;
  readonly guest: number;
  readonly out: number;
  readonly global: boolean;
}

const start = (page: number, order: number): number => page - (page % 2 ** order);
const meets = (a: number, oa: number, b: number, ob: number): boolean => {
  const order = Math.max(oa, ob);
  return start(a, order) === start(b, order);
};

/** What an operation covers, said independently of the cache. */
function covered(e: ModelEntry, op: Operation): boolean {
  if (op.tag1 !== -1 && op.tag1 !== e.tag1) return false;
  if (op.tag2 !== -1 && op.tag2 !== e.tag2) return false;
  if (op.includeGlobal === 0 && e.global) return false;
  if (op.hasAddress === 0) return true;
  const page = pageNumber(op.hi, op.lo);
  return op.guestAddress !== 0
    ? meets(page, op.order, e.guest, e.order2)
    : meets(page, op.order, e.page, e.order1);
}

test('like a forgetful map: never a wrong answer, nothing that was invalidated', () => {
  const orders = fc.constantFrom(0, 0, 4, 9, 18, 27);
  const pages = fc
    .integer({ min: 0, max: 40 })
    .chain((n) => fc.constantFrom(n, n * 512, n * 2 ** 18 + (n % 7), 2 ** 27 + n, 2 ** 45 + n));
  const mapping = fc.record({
    kind: fc.constant('insert' as const),
    tag1: fc.nat(1),
    tag2: fc.nat(1),
    page: pages,
    guest: pages,
    order1: orders,
    order2: orders,
    out: fc.integer({ min: 0, max: 2 ** 30 }),
    global: fc.boolean(),
  });
  const lookup = fc.record({
    kind: fc.constant('lookup' as const),
    tag1: fc.nat(1),
    tag2: fc.nat(1),
    page: pages,
  });
  const drop = fc.record({
    kind: fc.constant('drop' as const),
    tag1: fc.constantFrom(-1, 0, 1),
    tag2: fc.constantFrom(-1, 0, 1),
    page: pages,
    order: orders,
    hasAddress: fc.nat(1),
    guestAddress: fc.nat(1),
    includeGlobal: fc.nat(1),
  });
  const steps = fc.array(fc.oneof(mapping, lookup, lookup, drop), { maxLength: 60 });
  const geometry = fc.record({
    sets: fc.constantFrom(1, 2, 3),
    ways: fc.constantFrom(1, 3, 4, 40),
    policy: fc.constantFrom('lru' as const, 'plru' as const, 'random' as const),
  });
  fc.assert(
    fc.property(geometry, fc.constantFrom('unified', 'separate'), steps, (shape, sizes, list) => {
      const iotlb = new Iotlb(iotlbArrays(shape, sizes as 'unified' | 'separate'));
      const big = shape.ways === 40;
      const model = new Map<string, ModelEntry>();
      for (const step of list) {
        if (step.kind === 'insert') {
          const order = Math.min(step.order1, step.order2);
          const page = start(step.page, order);
          const e: ModelEntry = {
            ...step,
            page,
            order,
            out: start(step.out, order),
            guest: step.guest,
          };
          insert(iotlb, { ...step, page: step.page, out: step.out });
          model.set(`${e.tag1} ${e.tag2} ${page} ${order}`, e);
        } else if (step.kind === 'drop') {
          const { kind: _, page, ...fields } = step;
          const op = operation({ ...fields, hi: pnHi(page), lo: pnLo(page) });
          let expected = 0;
          for (const [key, e] of model) {
            if (!covered(e, op)) continue;
            model.delete(key);
            expected++;
          }
          const dropped = iotlb.invalidate(op);
          if (big) assert.is(dropped, expected);
          else assert.ok(dropped <= expected);
        } else {
          const answers = [...model.values()]
            .filter((e) => e.tag1 === step.tag1 && e.tag2 === step.tag2)
            .filter((e) => start(step.page, e.order) === e.page)
            .map((e) => e.out + (step.page - e.page));
          const found = find(iotlb, step.page, step.tag1, step.tag2);
          if (found >= 0) assert.ok(answers.includes(found));
          else assert.ok(!big || answers.length === 0);
        }
      }
    }),
    { numRuns: 1500 },
  );
});

test.run();
