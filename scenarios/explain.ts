/**
 * Explains one translation: builds the machine of a scenario as far as its set-up goes, translates
 * one address without time and tells every entry read: from memory at the cost that the scenario's
 * memory has, or not read because a walk cache knew better. The unit is cold: what its caches hold,
 * the same walk brought there.
 */
import { addressOf, pageNumber, pageOffsetOf, pnHiOf, pnLoOf } from '../hw/address.ts';
import type { MappingObserver } from '../hw/host/observer.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../hw/iommu/access.ts';
import { type DeviceRequest, REQUEST_UNTRANSLATED } from '../hw/iommu/architecture.ts';
import {
  type FunctionalCaches,
  FunctionalIommu,
  NO_CACHES,
  OUTCOME_FAULT,
} from '../hw/iommu/functional.ts';
import { PhysicalMemory } from '../hw/memory/physical-memory.ts';
import { memoryTimingConfig } from '../hw/memory/spec.ts';
import { StoreLog } from '../hw/memory/store-log.ts';
import { MemoryTiming } from '../hw/memory/timing.ts';
import { InputError } from '../sim/errors.ts';
import { allocateMailbox } from '../sim/parallel/mailbox.ts';
import { Partition } from '../sim/parallel/partition.ts';
import { SILENT_PROBE } from '../sim/probe.ts';
import { Clock } from '../sim/time/clock.ts';
import {
  addressOfRead,
  CONTEXT_MEANING,
  contextText,
  type EntryRead,
  ReadRecorder,
  shortcutOf,
} from './explain-reads.ts';
import {
  createWalkCaches,
  faultName,
  transitCycles,
  walkCacheGeometries,
} from './machine/iommu.ts';
import { Machine } from './machine/machine.ts';
import type { ExplainedReference, ExplainRequest, Explanation, MappedRange } from './run-api.ts';
import { firstRequester } from './schema/requesters.ts';
import type { ResolvedScenario } from './schema/resolved.ts';

/** Ranges that an explanation of a fault lists. */
const RANGES_SHOWN = 8;

export function explainWalk(scenario: ResolvedScenario, request: ExplainRequest): Explanation {
  const index = scenario.devices.findIndex(({ name }) => name === request.device);
  if (index < 0) throw new InputError('no-such-device', `no device "${request.device}"`);
  const clock = new Clock(scenario.clock);
  const memory = PhysicalMemory.create({ bytes: scenario.memory.size });
  const ranges = new MappedRanges();
  const machine = buildMachine(scenario, clock, memory, ranges);
  const access = request.write ? ACCESS_WRITE : ACCESS_READ;
  const asked = {
    scenario: scenario.name,
    device: request.device,
    iova: request.iova,
    access: request.write ? 'write' : 'read',
    mapped: ranges.of(machine.devices[index].domain.domain.index),
  };
  if (!scenario.iommu.enabled) {
    return { ...asked, references: [], other: [], output: request.iova, fault: null, total_ps: 0 };
  }
  const wanted = requestOf(firstRequester(scenario.iommu) + index, access, request.iova);
  const walks = createWalkCaches(walkCacheGeometries(scenario.iommu));
  const cached = translate(machine, memory, wanted, { ...NO_CACHES, walks });
  const plain = translate(machine, memory, wanted, NO_CACHES);
  const { outcome } = cached.iommu;
  const failed = outcome.kind === OUTCOME_FAULT;
  const steps = merge(plain.reads, cached.reads, shortcutOf(cached.iommu.walk));
  const { references, cycles, other } = timed(scenario, clock, steps);
  const context = outcome.context === null ? CONTEXT_MEANING : contextText(outcome.context);
  return {
    ...asked,
    references: references.map((reference) =>
      reference.meaning === CONTEXT_MEANING ? { ...reference, meaning: context } : reference,
    ),
    other,
    output: failed ? null : addressOf(outcome.outHi, outcome.outLo, wanted.offset),
    fault: failed ? faultText(scenario, outcome.code) : null,
    total_ps: clock.ps(cycles),
  };
}

/** The machine after its set-up, without an engine around it. */
function buildMachine(
  scenario: ResolvedScenario,
  clock: Clock,
  memory: PhysicalMemory,
  observer: MappingObserver,
): Machine {
  const buffers = { outbox: allocateMailbox(), inbox: allocateMailbox() };
  const window = transitCycles(scenario.iommu, clock);
  const partition = new Partition(0, 1 + scenario.iommu.walkers.shards, window, buffers);
  const log = new StoreLog(StoreLog.allocate());
  return new Machine(scenario, clock, partition, memory, log, SILENT_PROBE, {
    observers: [observer],
  });
}

function requestOf(deviceId: number, access: number, iova: bigint): DeviceRequest {
  return {
    deviceId,
    pasid: -1,
    kind: REQUEST_UNTRANSLATED,
    access,
    hi: pnHiOf(iova),
    lo: pnLoOf(iova),
    offset: pageOffsetOf(iova),
  };
}

interface Translated {
  readonly iommu: FunctionalIommu;
  readonly reads: readonly EntryRead[];
}

function translate(
  machine: Machine,
  memory: PhysicalMemory,
  request: DeviceRequest,
  caches: FunctionalCaches,
): Translated {
  const iommu = new FunctionalIommu(machine.iommu.unit, memory.direct, caches);
  const recorder = new ReadRecorder(memory.direct);
  iommu.observer = recorder;
  iommu.translate(request);
  return { iommu, reads: recorder.reads };
}

/** An entry on the way, and the cache that made reading it unnecessary (null: it was read). */
interface Step {
  readonly read: EntryRead;
  readonly saved: string | null;
}

/**
 * What was read with caches is a subsequence of what is read without; the rest was saved by the
 * cache that shortened the way to the next entry read (`last`: to the end).
 */
function merge(
  plain: readonly EntryRead[],
  cached: readonly EntryRead[],
  last: string | null,
): Step[] {
  const steps: Step[] = [];
  let next = 0;
  for (const read of plain) {
    while (cached[next]?.isUpdate) steps.push({ read: cached[next++], saved: null });
    const candidate = cached[next];
    if (candidate !== undefined && isSame(candidate, read)) {
      steps.push({ read: candidate, saved: null });
      next++;
    } else if (!read.isUpdate) {
      steps.push({ read, saved: candidate?.shortcut ?? last ?? 'walk cache' });
    }
  }
  for (; next < cached.length; next++) steps.push({ read: cached[next], saved: null });
  return steps;
}

function isSame(a: EntryRead, b: EntryRead): boolean {
  const place = a.hi === b.hi && a.lo === b.lo && a.offset === b.offset;
  return place && a.stage === b.stage && a.level === b.level;
}

/** Puts the steps one after the other, as the timed unit does when nothing else is going on. */
function timed(
  scenario: ResolvedScenario,
  clock: Clock,
  steps: readonly Step[],
): Required<Pick<Explanation, 'references' | 'other'>> & { readonly cycles: number } {
  const { iommu } = scenario;
  const config = memoryTimingConfig(scenario.memory, clock, 2 * iommu.walkers.shards);
  const frontEnd = new MemoryTiming(config);
  const shard = new MemoryTiming(config);
  const lookup = clock.nearest(iommu.caches.iotlb.latency);
  const lastContext = steps.findLastIndex(({ read }) => read.stage === 'context');
  const transit = lastContext < steps.length - 1 ? 2 * transitCycles(iommu, clock) : 0;
  let now = 0;
  const references = steps.map((step, i): ExplainedReference => {
    const began = now;
    if (step.read.isUpdate) now += clock.nearest(iommu.walkers.update);
    else if (step.saved === null) {
      const { hi, lo, offset, bytes } = step.read;
      const timing = i <= lastContext ? frontEnd : shard;
      now = timing.tableReadAt(now, hi, lo, offset, bytes);
    }
    return referenceOf(step, clock.ps(now - began));
  });
  const other = [
    { name: 'IOTLB lookup', cost_ps: clock.ps(lookup) },
    { name: 'to the walk unit and back', cost_ps: clock.ps(transit) },
  ];
  return { references, other, cycles: now + lookup + transit };
}

function referenceOf({ read, saved }: Step, cost_ps: number): ExplainedReference {
  const { stage, level, name, bytes, value, meaning, isUpdate } = read;
  return {
    stage,
    level,
    name,
    address: addressOfRead(read),
    bytes,
    value,
    source: isUpdate ? 'update' : (saved ?? 'memory'),
    cost_ps,
    meaning,
  };
}

function faultText(scenario: ResolvedScenario, code: number): string {
  const { arch } = scenario.iommu;
  return `${arch === 'vtd' ? 'reason' : 'cause'} ${code}, ${faultName(arch, code)}`;
}

/** Input ranges that software has mapped, by domain. */
class MappedRanges implements MappingObserver {
  private readonly domains = new Map<number, { first: number; pages: number }[]>();

  linear(domain: number, first: number, pages: number): void {
    this.add(domain, first, pages);
  }

  mapped(domain: number, hi: number, lo: number, pages: number): void {
    this.add(domain, pageNumber(hi, lo), pages);
  }

  unmapped(): void {}

  acknowledged(): void {}

  /** The lowest ranges, neighbours joined. */
  of(domain: number): MappedRange[] {
    const joined: { first: number; pages: number }[] = [];
    const ranges = [...(this.domains.get(domain) ?? [])].sort((a, b) => a.first - b.first);
    for (const { first, pages } of ranges) {
      const before = joined.at(-1);
      if (before !== undefined && before.first + before.pages === first) before.pages += pages;
      else joined.push({ first, pages });
    }
    return joined
      .slice(0, RANGES_SHOWN)
      .map(({ first, pages }) => ({ iova: BigInt(first) << 12n, pages }));
  }

  private add(domain: number, first: number, pages: number): void {
    const ranges = this.domains.get(domain);
    if (ranges === undefined) this.domains.set(domain, [{ first, pages }]);
    else ranges.push({ first, pages });
  }
}
