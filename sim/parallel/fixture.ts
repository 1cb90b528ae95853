/**
 * A model without meaning for the tests of the engine: tokens wander between partitions, read and
 * store words of a shared memory, and every handler execution goes into a hash, so that two runs
 * are the same exactly when their hashes are. Loaded by worker threads too.
 */

import { InputError } from '../errors.ts';
import { PHASE_UNIT } from '../time/event-queue.ts';
import type { WindowHook } from './options.ts';
import type { Partition, PartitionHandle } from './partition.ts';

export const TOKEN = 3;
export const SHARED_WORDS = 64;
/** Longest list of stores of one partition in one window. */
const LOG_WORDS = 1 << 16;

export interface ToyShared {
  readonly words: SharedArrayBuffer;
  /** By partition: number of stores, then (cycle, word, value) each. */
  readonly logs: readonly SharedArrayBuffer[];
}

export interface ToyConfig {
  readonly seed: number;
  readonly partitions: number;
  readonly tokens: number;
  readonly hops: number;
  readonly blobEvery?: number;
  /** What this partition does at cycle `at`. */
  readonly mishap?: 'throw' | 'input-error' | 'exit';
  readonly at?: number;
}

export function toyShared(partitions: number): ToyShared {
  const logs = Array.from({ length: partitions }, () => new SharedArrayBuffer(LOG_WORDS * 4));
  return { words: new SharedArrayBuffer(SHARED_WORDS * 4), logs };
}

/** Applies the stores in (cycle, partition, sequence) order. */
export function toyHook(shared: ToyShared): WindowHook {
  const words = new Int32Array(shared.words);
  const logs = shared.logs.map((log) => new Int32Array(log));
  return {
    applyBoundary(): void {
      const stores: { cycle: number; word: number; value: number }[] = [];
      for (const log of logs) {
        for (let i = 0; i < log[0]; i++) {
          const [cycle, word, value] = log.subarray(1 + 3 * i, 4 + 3 * i);
          stores.push({ cycle, word, value });
        }
        log[0] = 0;
      }
      stores.sort((a, b) => a.cycle - b.cycle);
      for (const { word, value } of stores) words[word] = value;
    },
  };
}

/** A builder of {@link ToyConfig} partitions; partition 0 is built with it too. */
export function toyPartition(
  partition: Partition,
  config: ToyConfig,
  shared: ToyShared,
): PartitionHandle {
  const { events, id, window } = partition;
  const words = new Int32Array(shared.words);
  const log = new Int32Array(shared.logs[id]);
  let random = config.seed + id * 7919;
  let hash = 0;
  let seen = 0;
  const draw = (below: number): number => {
    random = (Math.imul(random, 1664525) + 1013904223) | 0;
    return (random >>> 8) % below;
  };
  const note = (value: number): void => {
    hash = (Math.imul(hash ^ value, 0x01000193) + events.now) | 0;
    seen++;
    if (config.blobEvery !== undefined && seen % config.blobEvery === 0) {
      partition.emitBlob(new TextEncoder().encode(`${id}@${events.now}:${hash};`));
    }
  };
  const work = events.register(PHASE_UNIT, 'work', (token, hops) => {
    note(token ^ words[draw(SHARED_WORDS)]);
    if (draw(2) === 0) {
      const at = 1 + 3 * log[0]++;
      log[at] = events.now;
      log[at + 1] = draw(SHARED_WORDS);
      log[at + 2] = hash;
    }
    if (hops === 0) return;
    if (draw(3) === 0) {
      events.after(draw(5 * window), work, token, hops - 1);
      return;
    }
    const base = partition.reserve(draw(config.partitions), window + draw(2 * window), TOKEN, 2);
    partition.out[base] = token;
    partition.out[base + 1] = hops - 1;
  });
  partition.receive(TOKEN, (payload, base) => {
    note(payload[base] * 31);
    events.after(draw(3), work, payload[base], payload[base + 1]);
  });
  const mishap = events.register(PHASE_UNIT, 'mishap', () => {
    if (config.mishap === 'exit') process.exit(7);
    if (config.mishap === 'input-error') throw new InputError('toy', 'a toy input error');
    if (config.mishap === 'throw') throw new TypeError('a toy mistake');
  });
  if (config.at !== undefined) events.at(config.at, mishap, 0, 0);
  for (let token = 0; token < config.tokens; token++) {
    events.at(draw(100), work, id * 1000 + token, config.hops);
  }
  return {
    finish: () => {
      partition.emitBlob(new TextEncoder().encode(`end ${id};`));
      return { id, hash, seen };
    },
    dump: () => `toy ${id}`,
  };
}

/** A host clock for tests of the statistics: nanoseconds. */
export function toyClock(): number {
  return Number(process.hrtime.bigint());
}
