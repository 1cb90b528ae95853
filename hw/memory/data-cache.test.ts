import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataCache } from './data-cache.ts';

/** A page in a plain map: which lines are there, which of them are dirty. */
interface Page {
  readonly name: string;
  readonly valid: Set<number>;
  readonly dirty: Set<number>;
}

/** Kinds of access; 0 is a read that brings nothing in. */
const FILL = 1;
const WRITE = 2;
const DROP = 3;

interface Access {
  readonly kind: number;
  readonly hi: number;
  readonly lo: number;
  readonly offset: number;
  readonly end: number;
}

/** What one access did, for comparison. */
type Outcome = readonly number[];

class Model {
  evictions = 0;
  /** Per set, the last used page first. */
  private readonly sets = new Map<number, Page[]>();
  private readonly ways: number;
  private readonly lineBytes: number;

  constructor(ways: number, lineBytes: number) {
    this.ways = ways;
    this.lineBytes = lineBytes;
  }

  access(set: number, { kind, hi, lo, offset, end }: Access): Outcome {
    const pages = this.sets.get(set) ?? [];
    this.sets.set(set, pages);
    const name = `${hi} ${lo}`;
    let page = pages.find((candidate) => candidate.name === name);
    if (page === undefined) {
      page = { name, valid: new Set<number>(), dirty: new Set<number>() };
      if (kind === FILL || kind === WRITE) pages.unshift(page);
    } else if (kind !== DROP) pages.unshift(...pages.splice(pages.indexOf(page), 1));
    const displaced = pages.length > this.ways ? (pages.pop() as Page) : null;
    this.evictions += displaced?.valid.size ?? 0;
    let [hits, misses, fetched] = [0, 0, 0];
    const size = this.lineBytes;
    for (let line = Math.floor(offset / size); line * size < end; line++) {
      const isHit = page.valid.has(line);
      const isPartial = line * size < offset || (line + 1) * size > end;
      if (isHit) hits++;
      else misses++;
      if (!isHit && isPartial && kind === WRITE) fetched++;
      if (kind === FILL || kind === WRITE) page.valid.add(line);
      if (kind === WRITE) page.dirty.add(line);
      if (kind !== DROP) continue;
      page.valid.delete(line);
      page.dirty.delete(line);
    }
    return [hits, misses, fetched, displaced?.dirty.size ?? 0];
  }
}

function outcome(cache: DataCache, { kind, hi, lo, offset, end }: Access): Outcome {
  if (kind === WRITE) cache.write(hi, lo, offset, end);
  else if (kind === DROP) cache.drop(hi, lo, offset, end);
  else cache.read(hi, lo, offset, end, kind === FILL);
  return [cache.hits, cache.misses, kind === WRITE ? cache.fetched : 0, cache.writeBacks];
}

const extent = fc
  .tuple(fc.nat(4095), fc.integer({ min: 1, max: 4096 }))
  .map(([offset, bytes]) => ({ offset, end: Math.min(4096, offset + bytes) }));
const page = fc.record({
  kind: fc.nat(3),
  hi: fc.constantFrom(0, 1, 0x1ffffff),
  lo: fc.constantFrom(0, 1, 2, 3, 0x7ffffff),
});

test('what is found, fetched and written back is what a map of pages gives', () => {
  const geometry = fc.constantFrom(
    { sets: 64, ways: 2, lineBytes: 64 },
    { sets: 192, ways: 3, lineBytes: 64 },
    { sets: 32, ways: 1, lineBytes: 256 },
    { sets: 1, ways: 4, lineBytes: 4096 },
  );
  const accesses = fc.array(fc.tuple(page, extent), { maxLength: 200 });
  fc.assert(
    fc.property(geometry, accesses, (shape, list) => {
      const cache = new DataCache(shape);
      const model = new Model(shape.ways, shape.lineBytes);
      for (const [what, where] of list) {
        const access = { ...what, ...where };
        const expected = model.access(cache.setOf(access.hi, access.lo), access);
        assert.equal(outcome(cache, access), expected);
      }
      return cache.evictions === model.evictions;
    }),
  );
});

test('a page of which one line is used takes the room of a page', () => {
  const cache = new DataCache({ sets: 64, ways: 2, lineBytes: 64 });
  for (const lo of [1, 2, 3]) cache.write(0, lo, 0, 64);
  cache.read(0, 1, 0, 64, false);
  assert.equal([cache.hits, cache.evictions], [0, 1]);
});

test('a cache smaller than a page per way holds one page per way', () => {
  const cache = new DataCache({ sets: 4, ways: 1, lineBytes: 64 });
  cache.write(0, 1, 0, 4096);
  cache.read(0, 1, 0, 4096, false);
  assert.is(cache.hits, 64);
});

test.run();
