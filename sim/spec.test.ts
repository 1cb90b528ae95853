import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from './errors.ts';
import { bytes, choice, count, defaults, duration, flag, rate, text } from './spec.ts';

const LINK = {
  latency: duration('450ns', 'Time of flight.'),
  rate: rate('64Gb/s', 'Raw rate.'),
  payload: bytes('256B', 'Maximum payload.', { min: 128, max: 4096 }),
  tags: count(64, 'Read tags.', { min: 1 }),
  ddio: flag(true, 'Data goes to the cache.'),
  policy: choice('lru', ['lru', 'random'], 'Replacement.'),
  label: text('', 'Name in reports.'),
};

test('defaults are the declared values in canonical units', () => {
  assert.equal(defaults(LINK), {
    latency: 450_000,
    rate: 64_000_000_000,
    payload: 256,
    tags: 64,
    ddio: true,
    policy: 'lru',
    label: '',
  });
});

test('a declaration keeps its kind, sentence, range and choices', () => {
  assert.equal(LINK.payload, {
    kind: 'bytes',
    default: 256,
    doc: 'Maximum payload.',
    min: 128,
    max: 4096,
  });
  assert.is(LINK.latency.min, 0);
  assert.is(LINK.rate.min, 1);
  assert.equal(LINK.policy.choices, ['lru', 'random']);
});

test('a default with a wrong unit is refused where it is declared', () => {
  assert.throws(
    () => duration('3KiB', ''),
    (e: unknown) => e instanceof InputError,
  );
});

test.run();
