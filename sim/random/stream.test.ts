import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InternalError } from '../errors.ts';
import { RandomStream } from './stream.ts';

function draw(stream: RandomStream, n: number): number[] {
  return Array.from({ length: n }, () => stream.next32());
}

test('the generator is xoshiro128**', () => {
  // First outputs for the state 1, 2, 3, 4, worked out from the definition of the generator.
  const stream = new RandomStream(0, '');
  stream.restore([1, 2, 3, 4]);
  const reference = referenceXoshiro([1, 2, 3, 4], 50);
  assert.is(reference[0], 11520);
  assert.equal(
    draw(stream, 50).map((x) => x >>> 0),
    reference,
  );
});

/** The definition in unbounded integers. */
function referenceXoshiro(state: number[], n: number): number[] {
  const mask = 0xffffffffn;
  const rotl = (x: bigint, k: bigint): bigint => ((x << k) | (x >> (32n - k))) & mask;
  const s = state.map(BigInt) as [bigint, bigint, bigint, bigint];
  return Array.from({ length: n }, () => {
    const result = (rotl((s[1] * 5n) & mask, 7n) * 9n) & mask;
    const t = (s[1] << 9n) & mask;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 11n);
    return Number(result);
  });
}

test('a stream depends on its seed and name only', () => {
  assert.equal(draw(new RandomStream(1, 'nic'), 5), draw(new RandomStream(1, 'nic'), 5));
  assert.not.equal(draw(new RandomStream(1, 'nic'), 5), draw(new RandomStream(2, 'nic'), 5));
  assert.not.equal(draw(new RandomStream(1, 'nic0'), 5), draw(new RandomStream(1, 'nic1'), 5));
});

const GOLDEN = [-72212424, 2082829198, 150846269];
test('streams are the same in every version: changing them breaks recorded traces', () => {
  assert.equal(draw(new RandomStream(42, 'golden'), 3), GOLDEN);
});

test('a saved state continues where it was saved', () => {
  const stream = new RandomStream(7, 'x');
  draw(stream, 10);
  const state = stream.save();
  const expected = draw(stream, 10);
  const other = new RandomStream(0, 'y');
  other.restore(JSON.parse(JSON.stringify(state)));
  assert.equal(draw(other, 10), expected);
});

test('below stays below its bound for every size of bound', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 32 }), fc.nat(), (n, seed) => {
      const stream = new RandomStream(seed, 'below');
      for (let i = 0; i < 20; i++) {
        const value = stream.below(n);
        assert.ok(Number.isInteger(value) && value >= 0 && value < n);
      }
    }),
  );
});

test('a bound of more than 32 bits is refused', () => {
  assert.throws(
    () => new RandomStream(0, 'x').below(2 ** 32 + 1),
    (e: unknown) => e instanceof InternalError,
  );
});

test('below is even: every value comes up within five standard deviations', () => {
  const draws = 30_000;
  for (const n of [3, 10, 3 * 2 ** 20, 3 * 2 ** 21, 3 * 2 ** 30]) {
    const stream = new RandomStream(1, `even ${n}`);
    const thirds = [0, 0, 0];
    for (let i = 0; i < draws; i++) thirds[Math.floor((stream.below(n) * 3) / n)]++;
    if (n % 3 !== 0) continue;
    const sigma = Math.sqrt((draws * 2) / 9);
    for (const seen of thirds) assert.ok(Math.abs(seen - draws / 3) < 5 * sigma, `${n}: ${thirds}`);
  }
});

test('chance 0 never, chance 1 always, and a third a third of the time', () => {
  const stream = new RandomStream(1, 'chance');
  let hits = 0;
  for (let i = 0; i < 9000; i++) {
    assert.not(stream.chance(0, 7));
    assert.ok(stream.chance(7, 7));
    if (stream.chance(1, 3)) hits++;
  }
  assert.ok(Math.abs(hits - 3000) < 250);
});

test('shuffle keeps the items and reaches every order', () => {
  const stream = new RandomStream(1, 'shuffle');
  const orders = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const items = Int32Array.of(1, 2, 3);
    stream.shuffle(items);
    orders.add(items.join());
    assert.equal([...items].sort(), [1, 2, 3]);
  }
  assert.is(orders.size, 6);
});

test.run();
