/**
 * `sweep:` makes many points of one scenario. An entry has a name, overrides (`set`), figures
 * (`expect`), and varies by `axes` (the product of lists) or by a table: `columns` of key paths, or
 * of `expect <figure>`, and `rows` of values, one row a point.
 */
import { didYouMean } from './nearest.ts';
import { applyOverride, type Override, parsePath } from './override.ts';
import { failAt, type KeyPath, type Origin } from './problem.ts';
import type { Entry, ListNode, MapNode, SourceNode } from './source.ts';

/** One point before validation. */
export interface SweepPoint {
  readonly name: string;
  readonly overrides: readonly Override[];
  readonly expect: MapNode;
}

const ENTRY_KEYS = ['name', 'set', 'expect', 'axes', 'columns', 'rows'];
const MAX_POINTS = 10_000;
const EXPECT_COLUMN = /^expect\s+(\S+)$/;

/** JSON Schema of the sweep list. */
export const SWEEP_JSON_SCHEMA: Record<string, unknown> = {
  type: 'array',
  description: 'Points to run one after the other: overrides of this scenario with own figures.',
  items: {
    type: 'object',
    additionalProperties: false,
    properties: {
      name: { type: 'string', description: 'Name of the entry; its points are name/value,...' },
      set: { type: 'object', description: 'Overrides of every point: key path to value.' },
      expect: { type: 'object', description: 'Expected figures of every point.' },
      axes: { type: 'object', description: 'Key path to list of values; all combinations run.' },
      columns: {
        type: 'array',
        items: { type: 'string' },
        description: 'Heads of a table: a key path, or "expect <figure>".',
      },
      rows: { type: 'array', items: { type: 'array' }, description: 'One point a row.' },
    },
    required: ['name'],
  },
};

/** The points of a sweep in order. */
export function sweepPoints(sweep: SourceNode): readonly SweepPoint[] {
  if (sweep.kind !== 'list') failAt(sweep.origin, ['sweep'], 'expected a list of entries');
  const points = sweep.items.flatMap((entry, i) => entryPoints(entry, ['sweep', i]));
  const seen = new Map<string, true>();
  for (const point of points) {
    if (seen.has(point.name)) {
      failAt(sweep.origin, ['sweep'], `two points have the name "${point.name}"`);
    }
    seen.set(point.name, true);
  }
  if (points.length > MAX_POINTS) {
    failAt(sweep.origin, ['sweep'], `${points.length} points are more than ${MAX_POINTS}`);
  }
  return points;
}

function entryPoints(entry: SourceNode, path: KeyPath): SweepPoint[] {
  if (entry.kind !== 'map') {
    failAt(entry.origin, path, `expected a mapping (${ENTRY_KEYS.join(', ')})`);
  }
  for (const [key, { key: origin }] of entry.entries) {
    if (ENTRY_KEYS.includes(key)) continue;
    const hint = didYouMean(key, ENTRY_KEYS);
    failAt(origin, [...path, key], `unknown key${hint}; valid keys: ${ENTRY_KEYS.join(', ')}`);
  }
  const nameNode = entry.entries.get('name')?.value;
  if (nameNode?.kind !== 'scalar' || nameNode.value === null) {
    failAt(entry.origin, [...path, 'name'], 'a sweep entry needs a name');
  }
  const name = String(nameNode.value);
  const common = mapOf(entry, 'set', path);
  const base: SweepPoint = {
    name,
    overrides: [...common.entries].map(([key, e]) => override(key, e.key, e.value)),
    expect: mapOf(entry, 'expect', path),
  };
  const points = withAxes([base], mapOf(entry, 'axes', path), path);
  return withRows(points, entry, path);
}

function override(key: string, origin: Origin, value: SourceNode): Override {
  return { path: parsePath(key, origin), value, origin };
}

function mapOf(entry: MapNode, key: string, path: KeyPath): MapNode {
  const value = entry.entries.get(key)?.value;
  if (value === undefined) return { kind: 'map', origin: entry.origin, entries: new Map() };
  return value.kind === 'map' ? value : failAt(value.origin, [...path, key], 'expected a mapping');
}

function withAxes(points: SweepPoint[], axes: MapNode, path: KeyPath): SweepPoint[] {
  let result = points;
  for (const [key, { key: origin, value: values }] of axes.entries) {
    if (values.kind !== 'list' || values.items.length === 0) {
      failAt(values.origin, [...path, 'axes', key], 'expected a list of values');
    }
    result = result.flatMap((point) =>
      values.items.map((value) => ({
        ...point,
        name: `${point.name}${separator(point, points)}${labelOf(value)}`,
        overrides: [...point.overrides, override(key, origin, value)],
      })),
    );
    if (result.length > MAX_POINTS) {
      failAt(axes.origin, [...path, 'axes'], `more than ${MAX_POINTS} points`);
    }
  }
  return result;
}

/** A slash after the entry's own name, commas between the values that vary. */
function separator(point: SweepPoint, bases: readonly SweepPoint[]): string {
  return bases.some((base) => base.name === point.name) ? '/' : ',';
}

function withRows(points: SweepPoint[], entry: MapNode, path: KeyPath): SweepPoint[] {
  const columns = listOf(entry, 'columns', path);
  const rows = listOf(entry, 'rows', path);
  if (columns === null && rows === null) return points;
  if (columns === null || rows === null) {
    failAt(entry.origin, path, 'columns and rows come together');
  }
  const heads = columns.items.map((node, i) => {
    if (node.kind === 'scalar' && typeof node.value === 'string') return node.value;
    return failAt(node.origin, [...path, 'columns', i], 'expected a key path or "expect <figure>"');
  });
  return points.flatMap((point) =>
    rows.items.map((row, r) => rowPoint(point, heads, row, [...path, 'rows', r], points)),
  );
}

function listOf(entry: MapNode, key: string, path: KeyPath): ListNode | null {
  const value = entry.entries.get(key)?.value;
  if (value === undefined) return null;
  return value.kind === 'list' ? value : failAt(value.origin, [...path, key], 'expected a list');
}

function rowPoint(
  base: SweepPoint,
  heads: readonly string[],
  row: SourceNode,
  path: KeyPath,
  bases: readonly SweepPoint[],
): SweepPoint {
  if (row.kind !== 'list' || row.items.length !== heads.length) {
    failAt(row.origin, path, `expected a list of ${heads.length} values: ${heads.join(', ')}`);
  }
  let point = base;
  for (const [c, value] of row.items.entries()) {
    const head = heads[c];
    const figure = EXPECT_COLUMN.exec(head)?.[1];
    point =
      figure === undefined
        ? {
            ...point,
            name: `${point.name}${separator(point, bases)}${labelOf(value)}`,
            overrides: [...point.overrides, override(head, value.origin, value)],
          }
        : { ...point, expect: withFigure(point.expect, figure, value) };
  }
  return point;
}

/** Puts a figure beside the tolerance that the entry may give; `~` means nothing is expected. */
function withFigure(expect: MapNode, figure: string, value: SourceNode): MapNode {
  const entries = new Map(expect.entries);
  const given = entries.get(figure)?.value;
  if (value.kind === 'scalar' && value.value === null) {
    entries.delete(figure);
  } else if (given?.kind === 'map') {
    const inner = new Map<string, Entry>(given.entries);
    inner.set('value', { key: value.origin, value });
    entries.set(figure, { key: value.origin, value: { ...given, entries: inner } });
  } else {
    entries.set(figure, { key: value.origin, value });
  }
  return { ...expect, entries };
}

function labelOf(value: SourceNode): string {
  return value.kind === 'scalar' ? String(value.value) : value.kind;
}

/** The scenario's tree at one point. */
export function treeAt(root: MapNode, point: SweepPoint): MapNode {
  const entries = new Map(root.entries);
  entries.delete('sweep');
  let tree: MapNode = { ...root, entries };
  for (const o of point.overrides) tree = applyOverride(tree, o);
  const expect: Override = { path: ['expect'], value: point.expect, origin: point.expect.origin };
  return applyOverride(tree, expect);
}
