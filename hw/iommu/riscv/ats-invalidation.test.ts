import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { INVALIDATION_TAGS, InvalidationTags } from './ats-invalidation.ts';

test('tags are given lowest first, and again when free', () => {
  const tags = new InvalidationTags();
  assert.equal([tags.allocate(1, -1), tags.allocate(1, -1), tags.allocate(2, -1)], [0, 1, 2]);
  tags.complete(1, -1, 0b10, 1);
  assert.is(tags.allocate(3, -1), 1);
});

test('there are 32 tags', () => {
  const tags = new InvalidationTags();
  for (let i = 0; i < INVALIDATION_TAGS; i++) {
    assert.is(tags.full, false);
    tags.allocate(i, -1);
  }
  assert.is(tags.full, true);
  assert.is(tags.complete(31, -1, 1 << 31, 1), true);
  assert.is(tags.outstanding, 31);
});

test('a request is done after as many completions as the device says; 0 means 8', () => {
  const tags = new InvalidationTags();
  tags.allocate(1, -1);
  tags.complete(1, -1, 1, 3);
  tags.complete(1, -1, 1, 3);
  assert.is(tags.outstanding, 1);
  tags.complete(1, -1, 1, 3);
  assert.is(tags.outstanding, 0);
  tags.allocate(1, -1);
  for (let i = 0; i < 7; i++) tags.complete(1, -1, 1, 0);
  assert.is(tags.outstanding, 1);
  tags.complete(1, -1, 1, 0);
  assert.is(tags.outstanding, 0);
});

test('completions for a free tag, another device or another segment are unexpected', () => {
  const tags = new InvalidationTags();
  tags.allocate(1, 5);
  assert.is(tags.complete(1, 5, 0b10, 1), false);
  assert.is(tags.complete(2, 5, 1, 1), false);
  assert.is(tags.complete(1, -1, 1, 1), false);
  assert.is(tags.complete(1, 6, 1, 1), false);
  assert.is(tags.outstanding, 1);
  assert.is(tags.complete(1, 5, 1, 1), true);
});

test('a time-out frees the tags and is remembered', () => {
  const tags = new InvalidationTags();
  tags.allocate(1, -1);
  tags.allocate(1, -1);
  tags.timeout(0b01);
  assert.is(tags.outstanding, 1);
  assert.is(tags.timedOut, true);
});

test.run();
