/**
 * Overrides: `--set key.path=value` on the command line and `set:` in a sweep. A step of a path into
 * a list is an index or the `name` of an item (`devices.nic0.link.rate`). A mapping as value is merged.
 */
import { parseDocument } from 'yaml';
import { mergeMaps } from './extends.ts';
import { didYouMean } from './nearest.ts';
import { dotted, failAt, type Origin } from './problem.ts';
import type { ListNode, MapNode, SourceNode } from './source.ts';

export interface Override {
  readonly path: readonly string[];
  readonly value: SourceNode;
  /** Where the override itself stands. */
  readonly origin: Origin;
}

/** Parses the argument of `--set`. */
export function parseSet(argument: string): Override {
  const origin: Origin = { file: `--set ${argument}`, line: 0, column: 0 };
  const equals = argument.indexOf('=');
  if (equals <= 0) failAt(origin, [], 'expected key.path=value');
  const path = parsePath(argument.slice(0, equals).trim(), origin);
  const text = argument.slice(equals + 1);
  const document = parseDocument(text, { prettyErrors: false });
  const error = document.errors[0];
  if (error !== undefined) failAt(origin, path, `the value is not valid YAML: ${error.message}`);
  return { path, value: nodeOf(document.toJS(), origin), origin };
}

/** Splits `a.b[2].c`; empty steps are an error. */
export function parsePath(text: string, origin: Origin): string[] {
  const path = text.replace(/\[(\d+)\]/g, '.$1').split('.');
  if (path.some((step) => step === '')) failAt(origin, [], `"${text}" is not a key path`);
  return path;
}

/** Plain values as a tree whose every node has one origin. */
export function nodeOf(value: unknown, origin: Origin): SourceNode {
  if (Array.isArray(value)) {
    return { kind: 'list', origin, items: value.map((item) => nodeOf(item, origin)) };
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(
      ([name, item]) => [name, { key: origin, value: nodeOf(item, origin) }] as const,
    );
    return { kind: 'map', origin, entries: new Map(entries) };
  }
  const scalar = value as string | number | boolean | null | undefined;
  return { kind: 'scalar', origin, value: scalar ?? null };
}

/** The tree with the override applied; the original is left as it is. */
export function applyOverride(root: MapNode, override: Override): MapNode {
  return setIn(root, override, 0) as MapNode;
}

function setIn(node: SourceNode, override: Override, depth: number): SourceNode {
  const step = override.path[depth];
  if (step === undefined) {
    const both = node.kind === 'map' && override.value.kind === 'map';
    return both ? mergeMaps(node, override.value as MapNode) : override.value;
  }
  if (node.kind === 'list') return setInList(node, override, depth, step);
  if (node.kind === 'map') {
    const entries = new Map(node.entries);
    const child = entries.get(step)?.value ?? emptyMap(override.origin);
    entries.set(step, { key: override.origin, value: setIn(child, override, depth + 1) });
    return { ...node, entries };
  }
  if (node.value === null) return setIn(emptyMap(override.origin), override, depth);
  const here = override.path.slice(0, depth);
  failAt(
    override.origin,
    override.path,
    `"${dotted(here)}" is the single value ${JSON.stringify(node.value)}, it has no keys`,
  );
}

function setInList(list: ListNode, override: Override, depth: number, step: string): SourceNode {
  const index = /^\d+$/.test(step) ? Number(step) : list.items.findIndex((i) => nameOf(i) === step);
  const item = list.items[index];
  if (item === undefined) {
    const names = list.items.map(nameOf).filter((name) => name !== null);
    const here = dotted(override.path.slice(0, depth));
    const known = names.length > 0 ? ` with the names ${names.join(', ')}` : '';
    const message = `no item "${step}" in "${here}"${didYouMean(step, names)}; it has ${
      list.items.length
    } items${known}`;
    failAt(override.origin, override.path, message);
  }
  const items = [...list.items];
  items[index] = setIn(item, override, depth + 1);
  return { ...list, items };
}

function nameOf(node: SourceNode): string | null {
  if (node.kind !== 'map') return null;
  const name = node.entries.get('name')?.value;
  return name?.kind === 'scalar' && name.value !== null ? String(name.value) : null;
}

function emptyMap(origin: Origin): MapNode {
  return { kind: 'map', origin, entries: new Map() };
}
