/**
 * A model for the tests of memory between partitions: each stores words, rings a doorbell that
 * tells a peer where and what, and the peer must find it there. Loaded by worker threads too.
 */

import { invariant } from '../../sim/errors.ts';
import type { Partition, PartitionHandle } from '../../sim/parallel/partition.ts';
import { PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { MemoryView } from './memory-view.ts';
import { PhysicalMemory, type SharedMemory } from './physical-memory.ts';
import { StoreLog } from './store-log.ts';

const DOORBELL = 5;
/** Pages that all partitions write, and pages of each partition alone. */
const COMMON_PAGES = 4;

export interface BellShared {
  readonly memory: SharedMemory;
  readonly logs: readonly SharedArrayBuffer[];
}

export interface BellConfig {
  readonly partitions: number;
  readonly rounds: number;
}

export function bellPartition(
  partition: Partition,
  config: BellConfig,
  shared: BellShared,
): PartitionHandle {
  const { events, id, window } = partition;
  const memory = PhysicalMemory.attach(shared.memory);
  const view = new MemoryView(memory, new StoreLog(shared.logs[id]), events);
  let random = id;
  let hash = 0;
  let bells = 0;
  const draw = (below: number): number => {
    random = (Math.imul(random, 1664525) + 1013904223) | 0;
    return (random >>> 8) % below;
  };
  const round = events.register(PHASE_UNIT, 'round', (left) => {
    const page = draw(COMMON_PAGES);
    const offset = draw(64) * 8;
    hash = (Math.imul(hash, 31) + view.read32(1, page, offset)) | 0;
    if (draw(2) === 0) view.or64(1, page, offset, 1 << draw(31), 1 << id);
    else view.write32(1, page, offset, hash);
    hash = (Math.imul(hash, 31) + view.read32(1, page, offset)) | 0;
    // A word of its own, written once: the peer must read exactly this.
    view.write32(2 + id, left >> 10, (left & 1023) * 4, hash | 1);
    const to = draw(config.partitions);
    const base = partition.reserve(to, window + draw(window), DOORBELL, 3);
    partition.out[base] = id;
    partition.out[base + 1] = left;
    partition.out[base + 2] = hash | 1;
    if (left > 0) events.after(draw(7), round, left - 1, 0);
  });
  partition.receive(DOORBELL, (words, base) => {
    const left = words[base + 1];
    const found = view.read32(2 + words[base], left >> 10, (left & 1023) * 4);
    invariant(found === words[base + 2], 'a doorbell overtook the store before it');
    bells++;
  });
  events.at(id, round, config.rounds, 0);
  return { finish: () => ({ hash, bells }) };
}
