/** The benchmarks of `iommusim bench`, by name. */
import { holdHeap, holdWheel } from './engine.ts';
import { benchTraceRead, benchTraceWrite } from './trace.ts';
import { benchIotlbHit, benchNestedWalk } from './walk.ts';

export interface Benchmark {
  readonly unit: string;
  /** What is measured, in one sentence. */
  readonly doc: string;
  /** Makes one run, warm-up included, and returns its value. */
  run(): number | Promise<number>;
}

const EVENTS = 4_000_000;
/** Many pending events pass few cycles per event: enough for the far ones to come due. */
const EVENTS_OF_MANY = 16_000_000;
const TRACE_ROWS = 2_000_000;
const WALKS = 1_000_000;
const LOOKUPS = 20_000_000;

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
};
