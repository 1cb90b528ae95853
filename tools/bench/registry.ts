/** The benchmarks of `iommusim bench`, by name. */
import { holdHeap, holdWheel } from './engine.ts';
import { benchManyAreas, benchMapUnmap } from './iommufd.ts';
import {
  benchHit,
  benchManyDevices,
  benchMemoryGrowth,
  benchMillionPages,
  benchNestedCold,
  benchQuickstart,
  benchSpeedup,
  benchTraceBytes,
  benchTraceOverhead,
  benchTraceOverheadHit,
} from './simulation.ts';
import { benchTraceRead, benchTraceWrite } from './trace.ts';
import { benchIotlbHit, benchNestedWalk } from './walk.ts';

export interface Benchmark {
  readonly unit: string;
  /** What is measured, in one sentence. */
  readonly doc: string;
  /** Takes minutes: runs only when it is named, and once. */
  readonly isLong?: boolean;
  /** Makes one run, warm-up included, and returns its value. */
  run(): number | Promise<number>;
}

const EVENTS = 4_000_000;
/** Many pending events pass few cycles per event: enough for the far ones to come due. */
const EVENTS_OF_MANY = 16_000_000;
const TRACE_ROWS = 2_000_000;
const WALKS = 1_000_000;
const LOOKUPS = 20_000_000;
const HIT_DMAS = 2_000_000;
const QUICKSTART_RUNS = 10;
const QUICKSTART_DMAS = 100_000;
const COLD_DMAS = 900_000;
const TENANT_DMAS = 1_000_000;
const DEVICE_DMAS = 400_000;
const LONG_DMAS = 50_000_000;
const PAIRS = 300_000;

export const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  'engine.hold.1k': {
    unit: 'events/s',
    doc: 'Hold model on the timing wheel, 1,000 events pending.',
    run: () => holdWheel(1000, EVENTS),
  },
  'engine.hold.100k': {
    unit: 'events/s',
    doc: 'Hold model on the timing wheel, 100,000 events pending.',
    run: () => holdWheel(100_000, EVENTS_OF_MANY),
  },
  'engine.heap.1k': {
    unit: 'events/s',
    doc: 'The same on a branch-free binary heap over typed arrays, 1,000 events pending.',
    run: () => holdHeap(1000, EVENTS),
  },
  'engine.heap.100k': {
    unit: 'events/s',
    doc: 'The same on a branch-free binary heap over typed arrays, 100,000 events pending.',
    run: () => holdHeap(100_000, EVENTS_OF_MANY),
  },
  'walk.nested.functional': {
    unit: 'walks/s',
    doc: 'Nested Sv48 over Sv48x4 walks of 24 references, without caches or timing.',
    run: () => benchNestedWalk(WALKS),
  },
  'iotlb.hit.functional': {
    unit: 'lookups/s',
    doc: 'IOTLB lookups that hit, permission check and translation included.',
    run: () => benchIotlbHit(LOOKUPS),
  },
  'iommufd.map-unmap': {
    unit: 'pairs/s',
    doc: 'IOAS_MAP and IOAS_UNMAP of a page, one mock domain, through raw system calls.',
    run: () => benchMapUnmap(PAIRS),
  },
  'iommufd.many-areas': {
    unit: 'ratio',
    doc: 'Worst of map, unmap, look-up: time among a million areas over that among a thousand.',
    run: benchManyAreas,
  },
  'trace.write': {
    unit: 'records/s',
    doc: 'DMA records from emission to the closed file.',
    run: () => benchTraceWrite(TRACE_ROWS),
  },
  'trace.read': {
    unit: 'records/s',
    doc: 'DMA records from a file to checked, decoded columns.',
    run: () => benchTraceRead(TRACE_ROWS),
  },
  'sim.hit': {
    unit: 'DMA/s',
    doc: 'Timed simulation on one thread when the IOTLB hits.',
    run: () => benchHit(HIT_DMAS),
  },
  'sim.quickstart': {
    unit: 'DMA/s',
    doc: 'Timed simulation of scenarios/quickstart.yaml on one thread.',
    run: () => benchQuickstart(QUICKSTART_RUNS),
  },
  'sim.nested-cold': {
    unit: 'DMA/s',
    doc: 'Timed simulation on one thread when every DMA walks all 24 references.',
    run: () => benchNestedCold(COLD_DMAS),
  },
  'trace.overhead': {
    unit: 'ratio',
    doc: 'Time of quickstart with a trace of level requests over that without.',
    run: () => benchTraceOverhead(QUICKSTART_DMAS / 2),
  },
  'trace.overhead.hit': {
    unit: 'ratio',
    doc: 'The same when the IOTLB always hits, so that a DMA costs least.',
    run: () => benchTraceOverheadHit(HIT_DMAS / 4),
  },
  'trace.bytes-per-dma': {
    unit: 'bytes',
    doc: 'Size of the trace of quickstart at level requests, per DMA.',
    run: () => benchTraceBytes(QUICKSTART_DMAS),
  },
  'parallel.speedup.2': {
    unit: 'ratio',
    doc: 'Time of scenarios/tenants-64.yaml on one thread over that on two.',
    run: () => benchSpeedup(TENANT_DMAS),
  },
  'memory.million-pages': {
    unit: 'bytes',
    doc: 'Most memory that a run with a million mapped 4 KiB pages takes.',
    run: () => benchMillionPages(),
  },
  'scale.devices': {
    unit: 'ratio',
    doc: 'Time per DMA with 1,024 devices over that with one of the same rate.',
    isLong: true,
    run: () => benchManyDevices(1024, DEVICE_DMAS),
  },
  'scale.memory-growth': {
    unit: 'bytes',
    doc: 'Growth of the process from a tenth to the end of a run of 50 million DMAs.',
    isLong: true,
    run: () => benchMemoryGrowth(LONG_DMAS),
  },
};
