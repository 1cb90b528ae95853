import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CONTEXT_WALK, KEY_DEVICE, Operation, type TranslationContext } from '../architecture.ts';
import { bareWalkContext } from '../walk/context.ts';
import { ContextCache } from './context-cache.ts';

function context(deviceId: number, pasid: number, domain: number): TranslationContext {
  return {
    deviceId,
    pasid,
    mode: CONTEXT_WALK,
    walk: bareWalkContext(),
    tag1: -1,
    tag2: domain,
    accessMask: -1,
    quiet: false,
    inputBits: 64,
    arch: null,
  };
}

function operation(fields: Partial<Operation>): Operation {
  return Object.assign(new Operation(), fields);
}

function filled(): ContextCache {
  const cache = new ContextCache({ sets: 4, ways: 4, policy: 'lru' });
  cache.insert(context(0x100, -1, 1));
  cache.insert(context(0x100, 5, 1));
  cache.insert(context(0x108, -1, 2));
  cache.insert(context(0x108, -1, 2), KEY_DEVICE);
  return cache;
}

test('a context is found under its device and process, or under a key of its own', () => {
  const cache = filled();
  assert.is(cache.lookup(0x100, 5)?.pasid, 5);
  assert.is(cache.lookup(0x108, KEY_DEVICE)?.deviceId, 0x108);
  assert.is(cache.lookup(0x108, 5), null);
  assert.equal([cache.statistics.hits, cache.statistics.misses], [2, 1]);
});

test('invalidation by device, device mask, process and domain', () => {
  assert.is(filled().invalidate(operation({ deviceId: 0x100 })), 2);
  assert.is(filled().invalidate(operation({ deviceId: 0x100, deviceMask: 0xf })), 4);
  assert.is(filled().invalidate(operation({ deviceId: 0x100, pasid: 5 })), 1);
  assert.is(filled().invalidate(operation({ domain: 2 })), 2);
  assert.is(filled().invalidate(operation({})), 4);
  const cache = filled();
  cache.invalidate(operation({ deviceId: 0x100, pasid: 5 }));
  assert.is(cache.lookup(0x100, 5), null);
  assert.ok(cache.lookup(0x100, -1) !== null);
});

test('a new context under the same key replaces the old one', () => {
  const cache = filled();
  cache.insert(context(0x100, 5, 9));
  assert.is(cache.lookup(0x100, 5)?.tag2, 9);
  assert.is(cache.invalidate(operation({ deviceId: 0x100 })), 2);
});

test('a full set forgets, an absent cache keeps nothing', () => {
  const small = new ContextCache({ sets: 1, ways: 1, policy: 'lru' });
  small.insert(context(1, -1, 0));
  small.insert(context(2, -1, 0));
  assert.is(small.lookup(1, -1), null);
  assert.is(small.evictions, 1);
  const none = new ContextCache({ sets: 0, ways: 0, policy: 'lru' });
  none.insert(context(1, -1, 0));
  assert.is(none.lookup(1, -1), null);
});

test.run();
