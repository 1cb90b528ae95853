import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { crc32, crc32ByTable } from './crc32.ts';

const CHECK = new TextEncoder().encode('123456789');

test('the check value of CRC-32/ISO-HDLC comes out', () => {
  assert.is(crc32ByTable(CHECK), 0xcbf43926);
  assert.is(crc32(CHECK), 0xcbf43926);
});

test('tables and the native checksum agree for every length and continuation', () => {
  const bytes = new Uint8Array(100).map((_, i) => (i * 89 + 7) & 0xff);
  for (let length = 0; length <= bytes.length; length++) {
    const part = bytes.subarray(0, length);
    assert.is(crc32ByTable(part), crc32(part));
    const seed = crc32ByTable(part);
    assert.is(crc32ByTable(bytes.subarray(length), seed), crc32ByTable(bytes));
  }
});

test.run();
