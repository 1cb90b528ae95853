/**
 * CRC-32 (IEEE 802.3, reflected polynomial 0xedb88320), the checksum of every frame of a trace.
 * Node has a native one from 20.15 on; before that, eight bytes at a time by tables.
 */
import * as zlib from 'node:zlib';

type Crc32 = (bytes: Uint8Array, seed?: number) => number;

const SLICES = 8;

function buildTables(): Int32Array {
  const tables = new Int32Array(256 * SLICES);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    tables[byte] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    const shorter = tables[i - 256];
    tables[i] = (shorter >>> 8) ^ tables[shorter & 0xff];
  }
  return tables;
}

const T: Int32Array = buildTables();

/** The table-driven checksum; `seed` continues a checksum over further bytes. */
export function crc32ByTable(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += SLICES) {
    crc ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    crc =
      T[1792 + (crc & 0xff)] ^
      T[1536 + ((crc >>> 8) & 0xff)] ^
      T[1280 + ((crc >>> 16) & 0xff)] ^
      T[1024 + (crc >>> 24)] ^
      T[768 + bytes[i + 4]] ^
      T[512 + bytes[i + 5]] ^
      T[256 + bytes[i + 6]] ^
      T[bytes[i + 7]];
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ T[(crc ^ bytes[i]) & 0xff];
  return ~crc >>> 0;
}

const native = (zlib as { crc32?: Crc32 }).crc32;

/** CRC-32 of some bytes, 0..2^32-1. */
export const crc32: Crc32 = native ?? crc32ByTable;
