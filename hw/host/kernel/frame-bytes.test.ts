import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PhysicalMemory } from '../../memory/physical-memory.ts';
import { frameBytesOf, PortBytes } from './frame-bytes.ts';

const BYTES = 4 * 4096;

test('any port and plain memory hold what an array of bytes holds, at any offset and length', () => {
  const access = fc.record({
    at: fc.nat(BYTES - 1),
    length: fc.nat(600),
    value: fc.integer({ min: 1, max: 255 }),
  });
  fc.assert(
    fc.property(fc.array(access, { maxLength: 20 }), (accesses) => {
      const plain = PhysicalMemory.create({ bytes: 1 << 20 });
      const words = PhysicalMemory.create({ bytes: 1 << 20 });
      const model = new Uint8Array(BYTES);
      const fast = frameBytesOf(plain);
      const slow = new PortBytes(words);
      for (const { at, length, value } of accesses) {
        const bytes = new Uint8Array(Math.min(length, BYTES - at)).map((_, i) => value + i);
        model.set(bytes, at);
        fast.write(16 + Math.floor(at / 4096), at % 4096, bytes);
        slow.write(16 + Math.floor(at / 4096), at % 4096, bytes);
        const seen = new Uint8Array(bytes.length + 3);
        const expected = new Uint8Array(seen.length);
        expected.set(model.subarray(at, at + seen.length));
        for (const memory of [fast, slow]) {
          memory.read(16 + Math.floor(at / 4096), at % 4096, seen);
          assert.equal(seen, expected);
        }
      }
    }),
  );
});

test('frames above 2^27 are reached', () => {
  const memory = PhysicalMemory.create({ bytes: 1 << 20 });
  const bytes = frameBytesOf(memory);
  const frame = 2 ** 39 + 5;
  bytes.write(frame, 8, Uint8Array.of(1, 2, 3, 4));
  assert.is(memory.read32(2 ** 12, 5, 8), 0x04030201);
});

test('a copied frame equals the original, a zeroed part is zeros', () => {
  const bytes = frameBytesOf(PhysicalMemory.create({ bytes: 1 << 20 }));
  bytes.write(3, 0, new Uint8Array(4096).fill(9));
  bytes.copy(3, 4);
  bytes.zero(4, 1, 4094);
  const seen = new Uint8Array(4096);
  bytes.read(4, 0, seen);
  assert.is(
    seen.reduce((sum, byte) => sum + byte, 0),
    18,
  );
});

test.run();
