/**
 * `extends`: a mapping anywhere in a scenario can bring in files, given relative to its own file or
 * by the name of a preset. Later files override earlier ones and the mapping's own keys override
 * them all; mappings are merged, everything else is replaced.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { InputError } from '../sim/errors.ts';
import { didYouMean } from './nearest.ts';
import { failAt, type KeyPath } from './problem.ts';
import { type Entry, type MapNode, parseSource, type SourceNode } from './source.ts';

/** Where scenario text comes from; tests hand in their own. */
export interface Files {
  /** Text of a file, or null when there is none. */
  read(path: string): string | null;
  /** Folder that holds `presets/`. */
  readonly home: string;
  /** Names of all presets, for suggestions. */
  presets(): readonly string[];
}

/** The scenarios folder of the package: the first `scenarios/presets` above this file. */
export function scenarioHome(): string {
  let folder = import.meta.dirname;
  while (dirname(folder) !== folder) {
    const home = join(folder, 'scenarios');
    if (existsSync(join(home, 'presets'))) return home;
    folder = dirname(folder);
  }
  throw new InputError('installation', 'the scenarios/presets folder of the package is missing');
}

export function diskFiles(): Files {
  const home = scenarioHome();
  return {
    home,
    read(path) {
      try {
        return readFileSync(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw new InputError('unreadable', `${path}: cannot be read (${(error as Error).message})`);
      }
    },
    presets: () =>
      readdirSync(join(home, 'presets'))
        .filter((name) => name.endsWith('.yaml'))
        .map((name) => name.slice(0, -'.yaml'.length))
        .sort(),
  };
}

/** Reads a scenario file with everything that it extends. */
export function loadMerged(files: Files, path: string): MapNode {
  const text = files.read(path);
  if (text === null) throw new InputError('no-such-file', `${path}: no such file`);
  return mergedText(files, text, path, [path]);
}

function mergedText(files: Files, text: string, path: string, chain: readonly string[]): MapNode {
  const root = parseSource(text, path);
  if (root.kind !== 'map') {
    failAt(root.origin, [], 'expected a mapping of scenario keys (name:, devices:, ...)');
  }
  return expandMap(files, root, chain, []);
}

function expand(
  files: Files,
  node: SourceNode,
  chain: readonly string[],
  path: KeyPath,
): SourceNode {
  if (node.kind === 'map') return expandMap(files, node, chain, path);
  if (node.kind === 'scalar') return node;
  const items = node.items.map((item, i) => expand(files, item, chain, [...path, i]));
  return { ...node, items };
}

function expandMap(files: Files, map: MapNode, chain: readonly string[], path: KeyPath): MapNode {
  const entries = new Map<string, Entry>();
  for (const [name, entry] of map.entries) {
    if (name === 'extends') continue;
    entries.set(name, { ...entry, value: expand(files, entry.value, chain, [...path, name]) });
  }
  const own: MapNode = { ...map, entries };
  const extended = map.entries.get('extends');
  if (extended === undefined) return own;
  let base: MapNode | null = null;
  for (const name of extendNames(extended.value, [...path, 'extends'])) {
    const layer = loadLayer(files, name.text, name.node, chain, [...path, 'extends']);
    base = base === null ? layer : mergeMaps(base, layer);
  }
  return base === null ? own : mergeMaps(base, own);
}

function extendNames(
  value: SourceNode,
  path: KeyPath,
): readonly { readonly text: string; readonly node: SourceNode }[] {
  const nodes = value.kind === 'list' ? value.items : [value];
  return nodes.map((node) => {
    if (node.kind === 'scalar' && typeof node.value === 'string') return { text: node.value, node };
    return failAt(node.origin, path, 'expected the name of a preset or a file, or a list of them');
  });
}

function loadLayer(
  files: Files,
  name: string,
  node: SourceNode,
  chain: readonly string[],
  path: KeyPath,
): MapNode {
  const includer = chain[chain.length - 1] as string;
  const tried = candidatePaths(files, includer, name);
  for (const candidate of tried) {
    const text = files.read(candidate);
    if (text === null) continue;
    const shown = displayPath(candidate);
    const again = chain.findIndex((p) => resolve(p) === resolve(shown));
    if (again >= 0) {
      const circle = [...chain.slice(again), shown].join(' -> ');
      failAt(node.origin, path, `circular extends: ${circle}`);
    }
    return mergedText(files, text, shown, [...chain, shown]);
  }
  const hint = didYouMean(basename(name).replace(/\.yaml$/, ''), files.presets());
  failAt(
    node.origin,
    path,
    `no such file or preset "${name}"${hint}; looked for ${tried.map(displayPath).join(', ')}`,
  );
}

function candidatePaths(files: Files, includer: string, name: string): string[] {
  const file = /\.(ya?ml|json)$/.test(name) ? name : `${name}.yaml`;
  if (isAbsolute(file)) return [file];
  const beside = join(dirname(includer), file);
  if (name.startsWith('.')) return [beside];
  return [...new Set([beside, join(files.home, file), join(files.home, 'presets', file)])];
}

/** Paths below the current folder are shown relative to it. */
function displayPath(path: string): string {
  const short = relative(process.cwd(), path);
  return isAbsolute(path) && !short.startsWith('..') ? short : path;
}

/** Deep merge: `over` wins, mappings are merged, lists and scalars are replaced. */
export function mergeMaps(base: MapNode, over: MapNode): MapNode {
  const entries = new Map(base.entries);
  for (const [name, entry] of over.entries) {
    const below = entries.get(name);
    const bothMaps = below?.value.kind === 'map' && entry.value.kind === 'map';
    entries.set(
      name,
      bothMaps
        ? { key: entry.key, value: mergeMaps(below.value as MapNode, entry.value as MapNode) }
        : entry,
    );
  }
  return { kind: 'map', origin: over.origin, entries };
}
