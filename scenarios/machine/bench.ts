/**
 * For tests: a scenario's machine run without trace and report, with a hand in its wiring before it
 * starts, so that software can misbehave and hardware can be broken on purpose.
 */
import type { MappingObserver } from '../../hw/host/observer.ts';
import { PhysicalMemory } from '../../hw/memory/physical-memory.ts';
import { StoreExchange, StoreLog } from '../../hw/memory/store-log.ts';
import { InternalError } from '../../sim/errors.ts';
import { Engine } from '../../sim/parallel/engine.ts';
import { SILENT_PROBE } from '../../sim/probe.ts';
import { Clock } from '../../sim/time/clock.ts';
import type { ResolvedScenario } from '../schema/resolved.ts';
import { transitCycles } from './iommu.ts';
import { Machine } from './machine.ts';
import { shardSources } from './shard-sources.ts';

/** Runs the machine on the main thread for the scenario's time; `prepare` comes before its start. */
export async function runMachine(
  scenario: ResolvedScenario,
  prepare: (machine: Machine) => void,
  observers: readonly MappingObserver[] = [],
): Promise<Machine> {
  const clock = new Clock(scenario.clock);
  const memory = PhysicalMemory.create({ bytes: scenario.memory.size });
  const logs = Array.from({ length: 1 + scenario.iommu.walkers.shards }, () => StoreLog.allocate());
  const storeLogs = logs.map((buffer) => new StoreLog(buffer));
  let machine: Machine | null = null;
  const engine = new Engine({
    window: transitCycles(scenario.iommu, clock),
    threads: 0,
    main: (partition) => {
      const built = new Machine(scenario, clock, partition, memory, storeLogs[0], SILENT_PROBE, {
        observers,
      });
      prepare(built);
      built.start();
      machine = built;
      return { dump: () => built.dump() };
    },
    others: shardSources(scenario, clock, 'off'),
    shared: { memory: memory.share(), logs },
    hooks: [new StoreExchange(memory, storeLogs)],
  });
  await engine.run({ until: clock.ceil(scenario.run.for) });
  if (machine === null) throw new InternalError('bench', 'the engine built no partition 0');
  return machine;
}
