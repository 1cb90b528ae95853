import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LineCache } from './line-cache.ts';

test('the cache holds exactly what a list of last uses would', () => {
  const access = fc.record({
    hi: fc.constantFrom(0, 1, 0x1ffffff),
    lo: fc.constantFrom(0, 1, 0x4000000, 0x7ffffff),
    line: fc.nat(15),
    allocate: fc.boolean(),
  });
  const geometry = fc.constantFrom(
    { sets: 1, ways: 3 },
    { sets: 2, ways: 4 },
    { sets: 3, ways: 2 },
  );
  fc.assert(
    fc.property(geometry, fc.array(access, { maxLength: 300 }), ({ sets, ways }, accesses) => {
      const cache = new LineCache({ sets, ways, lineBytes: 64 });
      // Per set: names of lines, the last used first.
      const model = Array.from({ length: sets }, (): string[] => []);
      let evictions = 0;
      for (const { hi, lo, line, allocate } of accesses) {
        const lines = model[cache.setOf(hi, lo, line * 64)];
        const name = `${hi} ${lo} ${line}`;
        const at = lines.indexOf(name);
        if (cache.find(hi, lo, line * 64) !== at >= 0) return false;
        if (at >= 0) lines.splice(at, 1);
        else if (allocate) cache.fill(hi, lo, line * 64);
        else continue;
        lines.unshift(name);
        if (lines.length > ways) {
          lines.pop();
          evictions++;
        }
      }
      return cache.evictions === evictions;
    }),
  );
});

test('lines are 64 bytes or a larger power of two, up to a page', () => {
  for (const lineBytes of [32, 96, 8192]) {
    assert.throws(() => new LineCache({ sets: 1, ways: 1, lineBytes }), `line of ${lineBytes}`);
  }
  const cache = new LineCache({ sets: 4, ways: 1, lineBytes: 256 });
  cache.fill(0, 7, 300);
  assert.equal([cache.find(0, 7, 511), cache.find(0, 7, 512)], [true, false]);
});

test.run();
