import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError, InternalError } from '../../sim/errors.ts';
import { PhysicalMemory } from './physical-memory.ts';
import { MEM_ACCESS_FAULT, MEM_OK, MEM_POISON } from './port.ts';

const MIB = 1024 * 1024;

test('memory never written reads as zero, wherever it is', () => {
  const memory = PhysicalMemory.create({ bytes: MIB });
  assert.is(memory.frameOf(0x1ffffff, 0x7ffffff), -1);
  assert.is(memory.direct.read32(0x1ffffff, 0x7ffffff, 0xffc), 0);
  assert.is(memory.bytesUsed, 0);
});

test('memory behaves as a map of words', () => {
  const page = fc.constantFrom(0, 1, 2, 3, 4, 1024, 0x3ffffff, 0x7fffffe, 0x7ffffff);
  const write = fc.record({
    hi: fc.constantFrom(0, 1, 0x1000000, 0x1ffffff),
    lo: fc.oneof(page, fc.nat(0x7ffffff)),
    word: fc.nat(1023),
    value: fc.integer(),
  });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 300 }), (writes) => {
      const memory = PhysicalMemory.create({ bytes: 2 * MIB });
      const model = new Map<string, number>();
      for (const { hi, lo, word, value } of writes) {
        memory.write32(hi, lo, word * 4, value);
        model.set(`${hi} ${lo} ${word}`, value);
      }
      for (const { hi, lo, word } of writes) {
        const expected = model.get(`${hi} ${lo} ${word}`) ?? 0;
        if (memory.read32(hi, lo, word * 4) !== expected) return false;
      }
      return true;
    }),
  );
});

test('the configured size can be filled by pages of any stride', () => {
  for (const stride of [1, 4, 64, 512, 0x8000, 0x40000]) {
    const memory = PhysicalMemory.create({ bytes: 2 * MIB });
    for (let i = 0; i < 512; i++) memory.write32(0, i * stride, 0, i + 1);
    for (let i = 0; i < 512; i++) assert.is(memory.read32(0, i * stride, 0), i + 1);
  }
});

test('a frame is taken by the first write of something other than zero', () => {
  const memory = PhysicalMemory.create({ bytes: MIB });
  memory.write32(0, 9, 0, 0);
  assert.is(memory.bytesUsed, 0);
  memory.write32(0, 9, 0, 1);
  memory.write32(0, 9, 4, 1);
  assert.is(memory.bytesUsed, 4096);
  assert.is(memory.frameOf(0, 9), 0);
});

test('the configured size holds exactly; one page more is an error that names it', () => {
  const memory = PhysicalMemory.create({ bytes: 16 * 4096 });
  for (let page = 0; page < 16; page++) memory.write32(0, page * 64, 0, 1);
  memory.write32(0, 64, 4, 2);
  assert.throws(
    () => memory.write32(1, 2, 0, 1),
    (error: Error) => error instanceof InputError && /0x8000002000/.test(error.message),
  );
  assert.throws(() => PhysicalMemory.create({ bytes: 0 }), /memory size 0/);
  assert.throws(() => PhysicalMemory.create({ bytes: 2 ** 40 }), /memory size/);
});

test('OR sets bits of both words and touches nothing when it sets none', () => {
  const memory = PhysicalMemory.create({ bytes: MIB });
  memory.or64(0, 5, 8, 0, 0);
  assert.is(memory.bytesUsed, 0);
  memory.write32(0, 5, 8, 0x10);
  memory.or64(0, 5, 8, 0x40, 0x80000000 | 0);
  assert.is(memory.read32(0, 5, 8), 0x50);
  assert.is(memory.read32(0, 5, 12), 0x80000000 | 0);
});

test('an attached memory sees what the owner writes and cannot write', () => {
  const memory = PhysicalMemory.create({ bytes: MIB });
  const other = PhysicalMemory.attach(structuredClone(memory.share()));
  memory.write32(3, 4, 8, 77);
  assert.is(other.read32(3, 4, 8), 77);
  assert.is(other.frameOf(3, 4), memory.frameOf(3, 4));
  assert.throws(
    () => other.write32(3, 4, 8, 1),
    (error: Error) => error instanceof InternalError,
  );
  assert.throws(
    () => other.write32(3, 5, 8, 1),
    (error: Error) => error instanceof InternalError,
  );
});

test('bytes are loaded little-endian across word and page borders', () => {
  const memory = PhysicalMemory.create({ bytes: MIB });
  memory.load(0x1ffen, Uint8Array.of(1, 2, 3, 4));
  assert.is(memory.read32(0, 1, 0xffc), 0x02010000);
  assert.is(memory.read32(0, 2, 0), 0x0403);
});

test('without ranges every access is legal', () => {
  const memory = PhysicalMemory.create({ bytes: MIB });
  assert.is(memory.checkRead(0x1ffffff, 0x7ffffff, 0xff8, 8), MEM_OK);
  assert.is(memory.checkWrite(0x1ffffff, 0x7ffffff, 0xff8, 8), MEM_OK);
});

test('an access is legal only inside one legal range, up to its last byte', () => {
  const legal = [
    { start: 0x1000n, end: 0x2000n },
    { start: 0xfffffffffffff000n, end: 0x10000000000000000n },
  ];
  const memory = PhysicalMemory.create({ bytes: MIB, legal });
  assert.is(memory.checkRead(0, 1, 0, 8), MEM_OK);
  assert.is(memory.checkRead(0, 1, 0xff8, 8), MEM_OK);
  assert.is(memory.checkRead(0, 0, 0xff8, 8), MEM_ACCESS_FAULT);
  assert.is(memory.checkWrite(0, 2, 0, 4), MEM_ACCESS_FAULT);
  assert.is(memory.checkRead(0x1ffffff, 0x7ffffff, 0xff8, 8), MEM_OK);
});

test('fault ranges: access refuses all, ro refuses writes, poison spoils reads', () => {
  const memory = PhysicalMemory.create({
    bytes: MIB,
    faults: [
      { start: 0x1008n, end: 0x1010n, kind: 'access' },
      { start: 0x2000n, end: 0x3000n, kind: 'ro' },
      { start: 0x3004n, end: 0x3005n, kind: 'poison' },
    ],
  });
  assert.is(memory.checkRead(0, 1, 0, 8), MEM_OK);
  assert.is(memory.checkRead(0, 1, 8, 4), MEM_ACCESS_FAULT);
  assert.is(memory.checkWrite(0, 1, 12, 4), MEM_ACCESS_FAULT);
  assert.is(memory.checkRead(0, 1, 16, 8), MEM_OK);
  assert.is(memory.checkRead(0, 2, 0, 8), MEM_OK);
  assert.is(memory.checkWrite(0, 2, 0xff8, 8), MEM_ACCESS_FAULT);
  assert.is(memory.checkRead(0, 3, 0, 4), MEM_OK);
  assert.is(memory.checkRead(0, 3, 0, 8), MEM_POISON);
  assert.is(memory.checkWrite(0, 3, 0, 8), MEM_OK);
  const other = PhysicalMemory.attach(structuredClone(memory.share()));
  assert.is(other.checkRead(0, 3, 0, 8), MEM_POISON);
});

test.run();
