/** Vector files as data: JSON lines, gzip or plain. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { InputError } from '../../sim/errors.ts';

export interface MemoryRun {
  readonly pa: string;
  /** Doublewords, hexadecimal without prefix. */
  readonly w: readonly string[];
}

/** What all vectors have in common. */
export interface Vector {
  readonly id: string;
  readonly topic: string;
  readonly tags: readonly string[];
  readonly cfg: Readonly<Record<string, unknown>>;
  readonly mem: readonly MemoryRun[];
  /** [offset, bytes, value]; offset and value may be numbers or `0x` text. */
  readonly init: readonly (readonly [number | string, number, string])[];
  readonly steps: readonly VectorStep[];
}

export interface VectorStep {
  readonly op: string;
  readonly out: Readonly<Record<string, unknown>>;
  readonly ignore?: readonly string[];
}

/** A number given as a number, or as text with or without `0x`. */
export function hexValue(text: string): bigint {
  return BigInt(text.startsWith('0x') ? text : `0x${text}`);
}

/** The lines of a JSON-lines file, parsed one by one. */
export async function* readJsonLines(path: string): AsyncGenerator<unknown> {
  const file = createReadStream(path);
  const source = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  file.on('error', (error) => source.destroy(error));
  let number = 0;
  for await (const line of createInterface({
    input: source,
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    number++;
    if (line.trim() === '') continue;
    try {
      yield JSON.parse(line);
    } catch (error) {
      throw new InputError('vector', `${path}:${number}: ${(error as Error).message}`);
    }
  }
}

/** Lists a memory image doubleword by doubleword. */
export function forEachDoubleword(
  runs: readonly MemoryRun[],
  visit: (address: bigint, value: bigint) => void,
): void {
  for (const run of runs) {
    let address = hexValue(run.pa);
    for (const word of run.w) {
      visit(address, hexValue(word));
      address += 8n;
    }
  }
}
