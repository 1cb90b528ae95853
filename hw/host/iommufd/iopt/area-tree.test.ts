import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Area } from './area.ts';
import { AreaTree } from './area-tree.ts';
import type { Pages } from './pages.ts';
import { U64_MAX } from './units.ts';

const NO_PAGES = null as unknown as Pages;

function area(iova: bigint, length: bigint): Area {
  return new Area(iova, length, NO_PAGES, 0n, 0);
}

/** What the tree must say, by a walk over a sorted list. */
class ListModel {
  readonly areas: Area[] = [];

  find(start: bigint, last: bigint): Area | null {
    return this.areas.find((found) => found.last >= start && found.iova <= last) ?? null;
  }

  insert(added: Area): void {
    this.areas.push(added);
    this.areas.sort((a, b) => (a.iova < b.iova ? -1 : 1));
  }

  /** Gaps of some size that do not end before an address. */
  gaps(from: bigint, length: bigint): string[] {
    const gaps: string[] = [];
    let start = 0n;
    for (const { iova, last } of [...this.areas, { iova: U64_MAX + 1n, last: U64_MAX }]) {
      if (iova - start >= length && iova > from) gaps.push(`${start}-${iova - 1n}`);
      start = last + 1n;
    }
    return gaps;
  }
}

/** The tree's gaps may hold a few that are a little too small where doubles are coarse. */
function treeGaps(tree: AreaTree, from: bigint, length: bigint): string[] {
  const gaps: string[] = [];
  for (let found = tree.firstGap(from, length); found; found = tree.nextGap()) {
    const { gapStart, gapLast } = tree;
    if (gapLast >= from && gapLast - gapStart + 1n >= length) gaps.push(`${gapStart}-${gapLast}`);
  }
  return gaps;
}

function same(tree: AreaTree, list: ListModel): void {
  assert.is(tree.size, list.areas.length);
  let at = tree.first;
  for (const expected of list.areas) {
    assert.is(at, expected);
    at = tree.next(expected);
  }
  assert.is(at, null);
}

/** Few places, so that areas meet, fill leaves and leave them again. */
const steps = fc.array(
  fc.record({
    remove: fc.boolean(),
    place: fc.nat({ max: 2000 }),
    length: fc.bigInt({ min: 1n, max: 900n }),
  }),
  { minLength: 200, maxLength: 1500 },
);

for (const base of [0n, 1n << 52n, U64_MAX - 2000n * 300n - 1000n]) {
  test(`areas, neighbours and gaps are those of a sorted list, from 0x${base.toString(16)}`, () => {
    fc.assert(
      fc.property(steps, (program) => {
        const tree = new AreaTree();
        const list = new ListModel();
        for (const { remove, place, length } of program) {
          const start = base + BigInt(place) * 300n;
          const last = start + length - 1n;
          const there = tree.find(start, last);
          assert.is(there, list.find(start, last));
          if (there === null) {
            const added = area(start, length);
            tree.insert(added);
            list.insert(added);
          } else if (remove) {
            tree.remove(there);
            list.areas.splice(list.areas.indexOf(there), 1);
          }
        }
        same(tree, list);
        for (const length of [1n, 37n, 300n, 5000n, 1n << 60n]) {
          for (const from of [0n, base + 7777n]) {
            assert.equal(treeGaps(tree, from, length), list.gaps(from, length));
          }
        }
        while (tree.first !== null) tree.remove(tree.first);
        assert.is(tree.size, 0);
      }),
      { numRuns: 15, seed: 3 },
    );
  });
}

test('ten thousand areas in the order of a shuffle come out sorted, and go', () => {
  const tree = new AreaTree();
  const count = 10_000;
  const all: Area[] = [];
  for (let i = 0; i < count; i++) all.push(area(BigInt((i * 7919) % count) * 8192n, 4096n));
  for (const added of all) tree.insert(added);
  let expected = 0n;
  for (let at = tree.first; at !== null; at = tree.next(at)) {
    assert.is(at.iova, expected);
    expected += 8192n;
  }
  for (const gone of all) tree.remove(gone);
  assert.is(tree.first, null);
  assert.is(tree.find(0n, U64_MAX), null);
});

test('an area that ends with the address space leaves no gap behind it', () => {
  const tree = new AreaTree();
  tree.insert(area(U64_MAX - 4095n, 4096n));
  assert.equal(treeGaps(tree, U64_MAX - 100n, 1n), []);
  assert.equal(treeGaps(tree, 0n, 4096n), [`0-${U64_MAX - 4096n}`]);
});

test.run();
