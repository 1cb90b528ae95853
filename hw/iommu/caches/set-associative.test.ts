import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SetAssociative, setIndex } from './set-associative.ts';

/** Puts keys 0..n-1, all in set 0. */
function filled(ways: number, policy: 'lru' | 'plru' | 'random', count = ways): SetAssociative {
  const tags = new SetAssociative({ sets: 1, ways, policy });
  for (let key = 0; key < count; key++) put(tags, key);
  return tags;
}

function put(tags: SetAssociative, key: number): void {
  tags.place(tags.victim(0), 0, 0, 0, key);
}

function held(tags: SetAssociative, upTo: number): number[] {
  const keys: number[] = [];
  for (let key = 0; key < upTo; key++) if (tags.find(0, 0, 0, key) >= 0) keys.push(key);
  return keys;
}

test('a cache holds as many keys as it has slots, each found in its slot', () => {
  const tags = filled(7, 'lru');
  assert.equal(held(tags, 10), [0, 1, 2, 3, 4, 5, 6]);
  assert.is(tags.used, 7);
  assert.is(tags.key(tags.find(0, 0, 0, 4), 3), 4);
  assert.is(tags.evictions, 0);
});

test('LRU throws out what was used longest ago', () => {
  const tags = filled(4, 'lru');
  tags.touch(tags.find(0, 0, 0, 0));
  put(tags, 4);
  assert.equal(held(tags, 10), [0, 2, 3, 4]);
  tags.touch(tags.find(0, 0, 0, 2));
  put(tags, 5);
  assert.equal(held(tags, 10), [0, 2, 4, 5]);
  assert.is(tags.evictions, 2);
});

test('the pseudo-LRU tree points away from what was used last', () => {
  const tags = filled(4, 'plru');
  tags.touch(tags.find(0, 0, 0, 0));
  put(tags, 4);
  assert.equal(held(tags, 10), [0, 1, 3, 4]);
  tags.touch(tags.find(0, 0, 0, 3));
  put(tags, 5);
  assert.equal(held(tags, 10), [0, 3, 4, 5]);
});

test('the pseudo-LRU tree uses every way when the ways are no power of two', () => {
  const tags = filled(5, 'plru');
  for (let key = 5; key < 500; key++) put(tags, key);
  assert.is(held(tags, 500).length, 5);
  const slots = new Set<number>();
  for (let key = 1000; key < 1040; key++) {
    slots.add(tags.victim(0));
    put(tags, key);
  }
  assert.is(slots.size, 5);
});

test('random replacement repeats itself and reaches every way', () => {
  const a = filled(6, 'random', 200);
  const b = filled(6, 'random', 200);
  assert.equal(held(a, 200), held(b, 200));
  const slots = new Set<number>();
  for (let key = 200; key < 300; key++) {
    slots.add(a.victim(0));
    put(a, key);
  }
  assert.is(slots.size, 6);
});

test('an emptied slot is taken before anything is thrown out, under every policy', () => {
  for (const policy of ['lru', 'plru', 'random'] as const) {
    const tags = filled(5, policy);
    tags.remove(tags.find(0, 0, 0, 3));
    put(tags, 9);
    assert.equal(held(tags, 10), [0, 1, 2, 4, 9], policy);
    assert.is(tags.evictions, 0);
  }
});

test('sets need be no power of two; neighbouring pages fall into neighbouring sets', () => {
  const tags = new SetAssociative({ sets: 3, ways: 1, policy: 'lru' });
  for (let lo = 0; lo < 3; lo++) {
    tags.place(tags.victim(setIndex(1, 2, 5, 100 + lo, 0)), 1, 2, 5, 100 + lo);
  }
  for (let lo = 0; lo < 3; lo++) assert.ok(tags.find(1, 2, 5, 100 + lo) >= 0);
});

test('keys that differ in one word only are different keys', () => {
  const tags = new SetAssociative({ sets: 4, ways: 4, policy: 'lru' });
  const keys = [
    [1, 2, 3, 4],
    [9, 2, 3, 4],
    [1, 9, 3, 4],
    [1, 2, 9, 4],
    [1, 2, 3, 9],
  ] as const;
  keys.forEach(([a, b, c, d], i) => {
    tags.place(tags.victim(i), a, b, c, d);
  });
  assert.is(new Set(keys.map(([a, b, c, d]) => tags.find(a, b, c, d))).size, keys.length);
  assert.is(tags.find(1, 9, 9, 4), -1);
});

test('the slots in use are listed once each, whatever came and went', () => {
  const tags = filled(5, 'lru', 7);
  tags.remove(tags.find(0, 0, 0, 3));
  tags.remove(tags.find(0, 0, 0, 6));
  put(tags, 9);
  const keys = [...tags.inUse.subarray(0, tags.used)].map((slot) => tags.key(slot, 3));
  assert.equal(keys.sort(), [2, 4, 5, 9]);
});

test('a cache of no sets or ways finds nothing', () => {
  assert.is(new SetAssociative({ sets: 0, ways: 4, policy: 'lru' }).find(0, 0, 0, 0), -1);
  assert.is(new SetAssociative({ sets: 4, ways: 0, policy: 'plru' }).entries, 0);
});

test('clearing forgets everything', () => {
  const tags = filled(4, 'lru');
  tags.clear();
  assert.equal(held(tags, 10), []);
  for (let key = 0; key < 4; key++) put(tags, key);
  assert.equal(held(tags, 10), [0, 1, 2, 3]);
});

test.run();
