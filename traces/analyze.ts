/**
 * Statistics from a trace alone: one pass over its chunks feeds every recipe that fits the trace's
 * schema. Times come out in picoseconds; throughput is over the span of cycles that the trace has.
 */
import { InternalError } from '../sim/errors.ts';
import { Histogram } from '../sim/stats/histogram.ts';
import { Clock } from '../sim/time/clock.ts';
import type { RecordBlock } from './chunk.ts';
import type { ReadOptions, TraceReader, TraceSummary } from './reader.ts';
import { type Condition, type Field, RECIPES, type Recipe } from './recipes.ts';

/** A distribution of time; the names are those of `stats.json`. */
export interface DurationFigures {
  readonly count: number;
  readonly min_ps: number;
  readonly mean_ps: number;
  readonly p50_ps: number;
  readonly p90_ps: number;
  readonly p95_ps: number;
  readonly p99_ps: number;
  readonly p999_ps: number;
  readonly max_ps: number;
}

export interface GroupFigures {
  /** By field name: the number, or its label where there is one. */
  readonly key: Readonly<Record<string, number | string>>;
  readonly count: number;
  readonly rate_per_s: number;
  /** By name; times are in picoseconds and their names end in `_ps`. */
  readonly sums: Readonly<Record<string, number>>;
  /** By name; null where the whole is zero. Of a time, likewise in picoseconds. */
  readonly ratios: Readonly<Record<string, number | null>>;
  /** Share of the table's total; null in tables that have none. */
  readonly share: number | null;
  /** Of the sum named `bytes`; null without one. */
  readonly throughput_bps: number | null;
  readonly duration: DurationFigures | null;
}

export interface GroupTable {
  readonly name: string;
  readonly title: string;
  readonly kind: string;
  /** Rows are sums themselves: `count` and `rate_per_s` of its groups are of no interest. */
  readonly is_summary: boolean;
  readonly groups: readonly GroupFigures[];
}

export interface TraceAnalysis {
  readonly schema: 'iommusim.analysis/1';
  readonly program: string;
  readonly seed: number;
  readonly clock_hz: number;
  /** Span of the records, first to last cycle. */
  readonly span_ps: number;
  readonly trace: TraceSummary;
  readonly tables: readonly GroupTable[];
}

export interface AnalyzeOptions extends Pick<ReadOptions, 'onDamage'> {
  /** Names for the values of a field, by field name: `{ device: ['nic0', 'nvme0'] }`. */
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  readonly recipes?: readonly Recipe[];
}

export function analyzeTrace(reader: TraceReader, options: AnalyzeOptions = {}): TraceAnalysis {
  const fitting = (options.recipes ?? RECIPES).filter((recipe) => fits(reader, recipe));
  const groupings = fitting.map((recipe) => new Grouping(reader, recipe));
  const { onDamage, labels = {} } = options;
  const kinds = [...new Set(fitting.map((recipe) => recipe.kind))];
  for (const chunk of reader.chunks({ kinds, ...(onDamage && { onDamage }) })) {
    for (const block of chunk.blocks) {
      for (const grouping of groupings) {
        if (grouping.recipe.kind === block.kind.name) grouping.add(block);
      }
    }
  }
  const trace = reader.summary();
  const clock = new Clock(reader.header.clockHz);
  const span = trace.last - trace.first;
  return {
    schema: 'iommusim.analysis/1',
    program: reader.header.program,
    seed: reader.header.seed,
    clock_hz: clock.hertz,
    span_ps: clock.ps(span),
    trace,
    tables: groupings.map((grouping) => grouping.table(clock, span, labels)),
  };
}

function fits(reader: TraceReader, recipe: Recipe): boolean {
  if (!reader.hasKind(recipe.kind)) return false;
  const names = new Set(reader.kind(recipe.kind).columns.map((column) => column.name));
  return fieldsOf(recipe).every(({ column, high = column, times = column }) =>
    [column, high, times].every((name) => names.has(name)),
  );
}

function fieldsOf(recipe: Recipe): Field[] {
  return [...recipe.by, ...(recipe.duration ? [recipe.duration] : []), ...(recipe.sums ?? [])];
}

/** A field bound to a schema: where its column is and which bits it takes. */
interface BoundField {
  readonly field: Field;
  readonly column: number;
  /** Columns of the bits above 32 and of the factor; -1 without. */
  readonly high: number;
  readonly times: number;
  readonly shift: number;
  readonly mask: number;
  /** How many values it can have: a power of two. */
  readonly range: number;
}

/** Keys are exact doubles; the low ones find their group without hashing. */
const KEY_LIMIT = 2 ** 53;
const NEAR_KEYS = 4096;

interface Group {
  readonly key: number;
  count: number;
  readonly sums: Float64Array;
  readonly durations: Histogram;
}

class Grouping {
  readonly recipe: Recipe;
  private readonly by: readonly BoundField[];
  private readonly sums: readonly BoundField[];
  private readonly duration: BoundField | null;
  private readonly groups = new Map<number, Group>();
  private readonly near: (Group | null)[] = new Array<Group | null>(NEAR_KEYS).fill(null);

  constructor(reader: TraceReader, recipe: Recipe) {
    const columns = reader.kind(recipe.kind).columns.map((column) => column.name);
    const bind = (field: Field): BoundField => {
      const { shift = 0, mask = 0xffffffff } = field;
      const range = 2 ** (32 - Math.max(Math.clz32(mask), shift));
      const place = (name = ''): number => columns.indexOf(name);
      const { column, high, times } = field;
      return {
        field,
        column: place(column),
        high: place(high),
        times: place(times),
        shift,
        mask,
        range,
      };
    };
    this.recipe = recipe;
    this.by = recipe.by.map(bind);
    this.sums = (recipe.sums ?? []).map(bind);
    this.duration = recipe.duration ? bind(recipe.duration) : null;
    if (this.by.reduce((product, field) => product * field.range, 1) > KEY_LIMIT) {
      throw new InternalError('recipe', `recipe '${recipe.name}' groups by too many bits`);
    }
  }

  add(block: RecordBlock): void {
    const { by, sums, duration } = this;
    const { where = null } = this.recipe;
    let group: Group | null = null;
    for (let row = 0; row < block.rows; row++) {
      if (where !== null && this.leavesOut(block, where, row)) continue;
      let key = 0;
      for (const field of by) key = key * field.range + fieldValue(block, field, row);
      if (group === null || group.key !== key) {
        group = (key < NEAR_KEYS ? this.near[key] : null) ?? this.group(key);
      }
      group.count++;
      for (let i = 0; i < sums.length; i++) group.sums[i] += summand(block, sums[i], row);
      if (duration) group.durations.record(fieldValue(block, duration, row));
    }
  }

  table(
    clock: Clock,
    span: number,
    labels: Readonly<Record<string, readonly string[]>>,
  ): GroupTable {
    const { name, title, kind, isSummary = false } = this.recipe;
    const ascending = [...this.groups.values()].sort((a, b) => a.key - b.key);
    const groups = ascending.map((group) => this.figures(group, clock, span, labels));
    return { name, title, kind, is_summary: isSummary, groups };
  }

  private leavesOut(block: RecordBlock, where: Condition, row: number): boolean {
    const column = block.column(where.column) as ArrayLike<number>;
    return ((column[row] & where.mask) === 0) !== where.isZero;
  }

  private group(key: number): Group {
    const known = this.groups.get(key);
    if (known) return known;
    const sums = new Float64Array(this.sums.length);
    const group: Group = { key, count: 0, sums, durations: new Histogram() };
    this.groups.set(key, group);
    if (key < NEAR_KEYS) this.near[key] = group;
    return group;
  }

  private ratios(group: Group, clock: Clock): Record<string, number | null> {
    const { ratios = [] } = this.recipe;
    return Object.fromEntries(
      ratios.map(({ name, part, whole }) => {
        const sum = this.sums[this.sumAt(part)].field;
        const divisor = whole.reduce((total, other) => total + group.sums[this.sumAt(other)], 0);
        const amount = inUnits(sum, group.sums[this.sumAt(part)], clock);
        const ratio = divisor === 0 ? null : amount / divisor;
        if (sum.isTime !== true) return [name, ratio];
        return [`${name}_ps`, ratio === null ? null : Math.round(ratio)];
      }),
    );
  }

  private share(group: Group): number | null {
    const { share } = this.recipe;
    if (share === undefined) return null;
    const at = share === 'count' ? -1 : this.sumAt(share);
    const part = (of: Group): number => (at < 0 ? of.count : of.sums[at]);
    let whole = 0;
    for (const other of this.groups.values()) whole += part(other);
    return whole === 0 ? 0 : part(group) / whole;
  }

  private sumAt(name: string): number {
    const at = this.sums.findIndex(({ field }) => field.name === name);
    if (at < 0) throw new InternalError('recipe', `recipe '${this.recipe.name}': no sum '${name}'`);
    return at;
  }

  private figures(
    group: Group,
    clock: Clock,
    span: number,
    labels: Readonly<Record<string, readonly string[]>>,
  ): GroupFigures {
    const key: [string, number | string][] = [];
    let rest = group.key;
    for (const { field, range } of [...this.by].reverse()) {
      const value = rest % range;
      rest = Math.floor(rest / range);
      key.unshift([field.name, (labels[field.name] ?? field.labels)?.[value] ?? value]);
    }
    const sums = Object.fromEntries(
      this.sums.map(({ field }, i) => [sumName(field), inUnits(field, group.sums[i], clock)]),
    );
    const perSecond = (amount: number): number =>
      span === 0 ? 0 : Math.round((amount * clock.hertz) / span);
    return {
      key: Object.fromEntries(key),
      count: group.count,
      rate_per_s: perSecond(group.count),
      sums,
      ratios: this.ratios(group, clock),
      share: this.share(group),
      throughput_bps: sums.bytes === undefined ? null : perSecond(sums.bytes * 8),
      duration: this.duration ? durationFigures(group.durations, clock) : null,
    };
  }
}

function fieldValue(block: RecordBlock, field: BoundField, row: number): number {
  return ((block.columns[field.column][row] >>> field.shift) & field.mask) >>> 0;
}

function summand(block: RecordBlock, field: BoundField, row: number): number {
  let value = fieldValue(block, field, row);
  if (field.high >= 0) value += (block.columns[field.high][row] >>> 0) * 2 ** 32;
  return field.times < 0 ? value : value * (block.columns[field.times][row] >>> 0);
}

function sumName(field: Field): string {
  return field.isTime === true ? `${field.name}_ps` : field.name;
}

function inUnits(field: Field, sum: number, clock: Clock): number {
  return field.isTime === true ? clock.ps(sum) : sum;
}

export function durationFigures(durations: Histogram, clock: Clock): DurationFigures {
  const at = (numerator: number): number => clock.ps(durations.percentile(numerator, 1000));
  return {
    count: durations.count,
    min_ps: clock.ps(durations.min),
    mean_ps: Math.round((durations.mean() * 1e12) / clock.hertz),
    p50_ps: at(500),
    p90_ps: at(900),
    p95_ps: at(950),
    p99_ps: at(990),
    p999_ps: at(999),
    max_ps: clock.ps(durations.max),
  };
}
