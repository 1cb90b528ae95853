/**
 * What `analyze` tells of each record kind: which columns (or bits of them) make the groups, which
 * one is a duration, which are summed. Data only: a further kind needs a line here and no code.
 * A recipe whose kind or columns a trace does not have is left out.
 */
import {
  DMA_KIND,
  EXTENT_SHIFT,
  FLAG_ACCESS_MASK,
  FLAG_OUTCOME_MASK,
  FLAG_OUTCOME_SHIFT,
  FLAG_STATUS_MASK,
  FLAG_STATUS_SHIFT,
} from './stream.ts';

/** A column, or some of its bits: (value >>> shift) & mask. */
export interface Field {
  readonly name: string;
  readonly column: string;
  readonly shift?: number;
  readonly mask?: number;
  /** Names of the values 0, 1, ... */
  readonly labels?: readonly string[];
}

export interface Recipe {
  readonly name: string;
  readonly title: string;
  readonly kind: string;
  /** Rows with the same values here form a group; no field: one group. 53 bits in all. */
  readonly by: readonly Field[];
  /** A number of cycles, reported as a distribution of time. */
  readonly duration?: Field;
  /** Summed over each group; those named `bytes` also give a throughput. */
  readonly sums?: readonly Field[];
}

const device: Field = { name: 'device', column: 'device', mask: 0xffff };
const latency: Field = { name: 'latency', column: 'latency' };
const cycles: Field = { name: 'time', column: 'cycles' };
const bytes: Field = { name: 'bytes', column: 'extent', shift: EXTENT_SHIFT };
const access: Field = {
  name: 'access',
  column: 'flags',
  mask: FLAG_ACCESS_MASK & 3,
  labels: ['none', 'read', 'write', 'read+write'],
};
const outcome: Field = {
  name: 'lookup',
  column: 'flags',
  shift: FLAG_OUTCOME_SHIFT,
  mask: FLAG_OUTCOME_MASK,
  labels: ['none', 'hit', 'miss', 'merged'],
};
const status: Field = {
  name: 'status',
  column: 'flags',
  shift: FLAG_STATUS_SHIFT,
  mask: FLAG_STATUS_MASK,
  labels: ['done', 'aborted'],
};

export const RECIPES: readonly Recipe[] = [
  {
    name: 'dma',
    title: 'DMAs',
    kind: DMA_KIND,
    by: [],
    duration: latency,
    sums: [bytes],
  },
  {
    name: 'dma_by_device',
    title: 'DMAs by device',
    kind: DMA_KIND,
    by: [device],
    duration: latency,
    sums: [bytes],
  },
  {
    name: 'dma_by_cause',
    title: 'DMAs by access, IOTLB lookup and status',
    kind: DMA_KIND,
    by: [access, outcome, status],
    duration: latency,
    sums: [bytes],
  },
  {
    name: 'walk_by_outcome',
    title: 'Page walks by outcome',
    kind: 'walk',
    by: [{ name: 'outcome', column: 'outcome' }],
    duration: cycles,
    sums: [
      { name: 'stage1_refs', column: 'refs', mask: 0xffff },
      { name: 'stage2_refs', column: 'refs', shift: 16 },
      { name: 'queued_cycles', column: 'queued' },
    ],
  },
  {
    name: 'refs_by_level',
    title: 'Memory references by stage and level',
    kind: 'ref',
    by: [
      {
        name: 'stage',
        column: 'kind',
        mask: 0xf,
        labels: ['context', 'stage 1', 'stage 2', 'redirect'],
      },
      { name: 'level', column: 'kind', shift: 4, mask: 0xf },
    ],
    duration: cycles,
    sums: [{ name: 'updates', column: 'update' }],
  },
  {
    name: 'commands',
    title: 'Commands by what they ask for',
    kind: 'command',
    by: [
      { name: 'kind', column: 'kind', mask: 0xff },
      { name: 'code', column: 'code', mask: 0xffff },
    ],
    duration: cycles,
    sums: [{ name: 'dropped', column: 'dropped' }],
  },
  {
    name: 'faults',
    title: 'Faults by device and code',
    kind: 'fault',
    by: [device, { name: 'code', column: 'code', mask: 0xffff }],
  },
];
