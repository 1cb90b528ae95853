/**
 * What a window costs: partitions that do next to nothing, so that orders, answers, routing and the
 * waiting of threads for each other are all there is.
 */
import { Engine } from '../../sim/parallel/engine.ts';
import type { RunResult } from '../../sim/parallel/options.ts';
import type { Partition, PartitionHandle } from '../../sim/parallel/partition.ts';
import { PHASE_UNIT } from '../../sim/time/event-queue.ts';

const WINDOW = 50;
const TICK_MESSAGE = 1;
const PAYLOAD_WORDS = 12;

export interface WindowBench {
  /** Threads including the main one. */
  readonly threads: number;
  readonly partitions: number;
  readonly windows: number;
  /** Steps of busy work per partition and window: about 1 ns each. */
  readonly work: number;
}

export interface WindowCost {
  readonly nsPerWindow: number;
  readonly result: RunResult;
}

/** Host time in nanoseconds, for the engine's statistics of waiting. */
export function hostNanoseconds(): number {
  return Number(process.hrtime.bigint());
}

/** Builds a partition that works and sends a message to its neighbour in every window. */
export function ticking(partition: Partition, config: WindowBench): PartitionHandle {
  const { events } = partition;
  let state = 1 + partition.id;
  const tick = events.register(PHASE_UNIT, 'tick', (left) => {
    for (let i = 0; i < config.work; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
    }
    const to = (partition.id + 1) % config.partitions;
    const base = partition.reserve(to, WINDOW, TICK_MESSAGE, PAYLOAD_WORDS);
    const { out } = partition;
    for (let i = 0; i < PAYLOAD_WORDS; i++) out[base + i] = state;
    if (left > 1) events.after(WINDOW, tick, left - 1, 0);
  });
  partition.receive(TICK_MESSAGE, (words, base) => {
    state ^= words[base];
  });
  events.at(partition.id % WINDOW, tick, config.windows, 0);
  return { finish: () => ({ state }) };
}

/** Mean time of a window, the start of the threads not counted. */
export async function benchWindow(config: WindowBench): Promise<WindowCost> {
  const source = { module: import.meta.url, export: 'ticking', config };
  const warm = config.windows >> 2;
  let start = 0;
  let windows = 0;
  const engine = new Engine({
    window: WINDOW,
    threads: config.threads,
    main: (partition) => ticking(partition, config),
    others: Array.from({ length: config.partitions - 1 }, () => source),
    hostClock: { module: import.meta.url, export: 'hostNanoseconds' },
    hooks: [
      {
        applyBoundary: () => {
          if (++windows === warm) start = hostNanoseconds();
        },
      },
    ],
  });
  const result = await engine.run();
  return { nsPerWindow: (hostNanoseconds() - start) / (windows - warm), result };
}
