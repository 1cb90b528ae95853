import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PendingRanges, type RangeVisitor } from './pending-ranges.ts';

const all = (): boolean => true;

/** Collects what a method hands out, in ascending order. */
function taken(body: (visit: RangeVisitor) => void): string[] {
  const seen: string[] = [];
  body((domain, first, pages) => seen.push(`${domain}:${first}+${pages}`));
  return seen.sort();
}

test('a range is handed out once it is covered, not before', () => {
  const ranges = new PendingRanges();
  ranges.add(1, 100, 4);
  assert.equal(
    taken((visit) => ranges.takeCovered(visit)),
    [],
  );
  ranges.cover(100, 104, all);
  assert.equal(
    taken((visit) => ranges.takeCovered(visit)),
    ['1:100+4'],
  );
  assert.is(ranges.count, 0);
});

test('a range covered in part is split: what was not covered stays pending', () => {
  const ranges = new PendingRanges();
  ranges.add(1, 100, 10);
  ranges.cover(103, 105, all);
  assert.equal(
    taken((visit) => ranges.takeCovered(visit)),
    ['1:103+2'],
  );
  ranges.cover(0, 2 ** 52, all);
  assert.equal(
    taken((visit) => ranges.takeCovered(visit)),
    ['1:100+3', '1:105+5'],
  );
});

test('pages covered one by one are all covered', () => {
  const ranges = new PendingRanges();
  ranges.add(1, 100, 100);
  for (let page = 100; page < 200; page++) ranges.cover(page, page + 1, all);
  assert.is(taken((visit) => ranges.takeCovered(visit)).length, 100);
  assert.is(ranges.count, 0);
});

test('only domains that the command names are covered', () => {
  const ranges = new PendingRanges();
  ranges.add(1, 100, 1);
  ranges.add(2, 100, 1);
  ranges.cover(100, 101, (domain) => domain === 2);
  assert.equal(
    taken((visit) => ranges.takeCovered(visit)),
    ['2:100+1'],
  );
});

test('addresses used anew are taken out, covered or not, and only they', () => {
  const ranges = new PendingRanges();
  ranges.add(1, 100, 10);
  ranges.cover(100, 105, all);
  assert.equal(
    taken((visit) => ranges.takeRange(1, 104, 106, visit)),
    ['1:104+1', '1:105+1'],
  );
  assert.equal(
    taken((visit) => ranges.takeCovered(visit)),
    ['1:100+4'],
  );
  assert.is(ranges.count, 1);
});

test.run();
