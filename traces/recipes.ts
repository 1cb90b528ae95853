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
  /** Of a sum: column with the bits above 32, and column that each row is multiplied by. */
  readonly high?: string;
  readonly times?: string;
  /** Of a sum: a number of cycles; reported as time, its name with `_ps`. */
  readonly isTime?: boolean;
}

/** One sum of a group by others of it, by their names. */
export interface Ratio {
  readonly name: string;
  readonly part: string;
  readonly whole: readonly string[];
}

/** Takes only rows whose bits are all zero, or only the others. */
export interface Condition {
  readonly column: string;
  readonly mask: number;
  readonly isZero: boolean;
}

export interface Recipe {
  readonly name: string;
  readonly title: string;
  readonly kind: string;
  readonly where?: Condition;
  /** Rows with the same values here form a group; no field: one group. 53 bits in all. */
  readonly by: readonly Field[];
  /** A number of cycles, reported as a distribution of time. */
  readonly duration?: Field;
  /** Summed over each group; those named `bytes` also give a throughput. */
  readonly sums?: readonly Field[];
  /** Rows are themselves sums of many things: how many rows there are says nothing. */
  readonly isSummary?: boolean;
  readonly ratios?: readonly Ratio[];
  /** The sum, or `count`, of which each group's share of the whole table is told. */
  readonly share?: string;
}

const device: Field = { name: 'device', column: 'device', mask: 0xffff };
const latency: Field = { name: 'latency', column: 'latency' };
const cycles: Field = { name: 'time', column: 'cycles' };
const time: Field = { name: 'time', column: 'cycles', high: 'cycles_hi', isTime: true };
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
    share: 'count',
  },
  {
    name: 'lookups_by_device',
    title: 'IOTLB lookups by device',
    kind: DMA_KIND,
    by: [device, outcome],
    duration: latency,
    share: 'count',
  },
  {
    name: 'waits',
    title: 'Where the time of DMAs went',
    kind: 'wait',
    by: [{ name: 'reason', column: 'reason', mask: 0xff }],
    isSummary: true,
    sums: [time],
    share: 'time',
  },
  {
    name: 'waits_by_device',
    title: 'Where the time of each device went',
    kind: 'wait',
    by: [device, { name: 'reason', column: 'reason', mask: 0xff }],
    isSummary: true,
    sums: [time],
    share: 'time',
  },
  {
    name: 'walks',
    title: 'Page walks',
    kind: 'walk_total',
    where: { column: 'kind', mask: 0xf, isZero: true },
    by: [],
    isSummary: true,
    sums: [{ name: 'walks', column: 'count' }, time],
    ratios: [{ name: 'mean', part: 'time', whole: ['walks'] }],
  },
  {
    name: 'references',
    title: 'Memory references of walks by stage and level',
    kind: 'walk_total',
    where: { column: 'kind', mask: 0xf, isZero: false },
    by: [
      { name: 'stage', column: 'kind', mask: 0xf, labels: ['', 'stage1', 'stage2', 'redirect'] },
      { name: 'level', column: 'kind', shift: 4, mask: 0xf },
    ],
    isSummary: true,
    sums: [{ name: 'read', column: 'count' }, { name: 'saved', column: 'saved' }, time],
    ratios: [
      { name: 'hit_rate', part: 'saved', whole: ['read', 'saved'] },
      { name: 'mean', part: 'time', whole: ['read'] },
    ],
  },
  {
    name: 'invalidations',
    title: 'Unmaps, from the cleared entry to the acknowledged invalidation',
    kind: 'invalidation',
    by: [{ name: 'state', column: 'open', mask: 1, labels: ['acknowledged', 'open at the end'] }],
    duration: cycles,
    sums: [
      { name: 'pages', column: 'pages' },
      { name: 'page_time', column: 'cycles', times: 'pages', isTime: true },
    ],
  },
  {
    name: 'exposed_uses',
    title: 'Uses of translations that software had unmapped',
    kind: 'exposed_use',
    by: [
      { name: 'domain', column: 'domain', mask: 0xfff },
      { name: 'finding', column: 'violation', mask: 1, labels: ['exposed', 'violation'] },
    ],
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
    title: 'Faults by device and cause',
    kind: 'fault',
    by: [device, { name: 'cause', column: 'code', mask: 0xffff }],
  },
];
