/**
 * The text of a scenario as a tree in which every key and value knows its place in its file, so
 * that an error found much later, in the merged scenario, still names file, line and column.
 */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
} from 'yaml';
import { dotted, type KeyPath, type Origin, type Problem, ScenarioError } from './problem.ts';

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly origin: Origin;
  readonly value: string | number | boolean | null;
}
export interface ListNode {
  readonly kind: 'list';
  readonly origin: Origin;
  readonly items: SourceNode[];
}
export interface Entry {
  readonly key: Origin;
  readonly value: SourceNode;
}
export interface MapNode {
  readonly kind: 'map';
  readonly origin: Origin;
  readonly entries: Map<string, Entry>;
}
export type SourceNode = ScalarNode | ListNode | MapNode;

const MAX_PROBLEMS = 50;

interface Conversion {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly file: string;
  readonly problems: Problem[];
}

/** Parses YAML (or JSON). Syntax errors and duplicate keys are all reported at once. */
export function parseSource(text: string, file: string): SourceNode {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
  });
  const problems: Problem[] = [];
  const conversion: Conversion = { document, lines, file, problems };
  for (const error of document.errors.slice(0, MAX_PROBLEMS)) {
    problems.push({ origin: originAt(conversion, error.pos[0]), path: '', message: error.message });
  }
  if (problems.length > 0) throw new ScenarioError(problems);
  const root = convert(conversion, document.contents, []);
  if (problems.length > 0) throw new ScenarioError(problems);
  return root;
}

function originAt(conversion: Conversion, offset: number): Origin {
  const { line, col } = conversion.lines.linePos(offset);
  return { file: conversion.file, line, column: col };
}

function convert(conversion: Conversion, node: unknown, path: KeyPath): SourceNode {
  const start = (node as { range?: [number, number, number] } | null)?.range?.[0] ?? 0;
  const origin = originAt(conversion, start);
  if (isAlias(node)) {
    const target = node.resolve(conversion.document);
    if (target !== undefined) return convert(conversion, target, path);
  }
  if (isMap(node)) return convertMap(conversion, node.items, origin, path);
  if (isSeq(node)) {
    const items = node.items.map((item, i) => convert(conversion, item, [...path, i]));
    return { kind: 'list', origin, items };
  }
  return { kind: 'scalar', origin, value: scalarValue(node) };
}

function scalarValue(node: unknown): ScalarNode['value'] {
  const value = isScalar(node) ? node.value : null;
  // An integer that a number cannot hold stays as it is written: an address.
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return isScalar(node) && typeof node.source === 'string' ? node.source : value;
  }
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return value;
  }
  return value === null || value === undefined ? null : String(value);
}

function convertMap(
  conversion: Conversion,
  items: readonly unknown[],
  origin: Origin,
  path: KeyPath,
): MapNode {
  const entries = new Map<string, Entry>();
  for (const item of items) {
    if (!isPair(item)) continue;
    const { key, value } = item as Pair;
    const keyNode = convert(conversion, key, path);
    const name = keyNode.kind === 'scalar' ? String(keyNode.value) : '?';
    const here = [...path, name];
    const earlier = entries.get(name);
    if (earlier !== undefined) {
      const message = `duplicate key; first given on line ${earlier.key.line}`;
      conversion.problems.push({ origin: keyNode.origin, path: dotted(here), message });
    }
    const child = value === null ? nothing(keyNode.origin) : convert(conversion, value, here);
    entries.set(name, { key: keyNode.origin, value: child });
  }
  return { kind: 'map', origin, entries };
}

function nothing(origin: Origin): ScalarNode {
  return { kind: 'scalar', origin, value: null };
}

/** The tree as plain values, for the schema. */
export function toPlain(node: SourceNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toPlain);
  const plain: Record<string, unknown> = {};
  for (const [name, entry] of node.entries) {
    Object.defineProperty(plain, name, {
      value: toPlain(entry.value),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return plain;
}

/** The place of a key path: of its last key, or of the nearest enclosing value that exists. */
export function locate(root: SourceNode, path: KeyPath, want: 'key' | 'value'): Origin {
  let node = root;
  let origin = root.origin;
  for (const [i, step] of path.entries()) {
    if (node.kind === 'map') {
      const entry = node.entries.get(String(step));
      if (entry === undefined) return origin;
      origin = want === 'key' && i === path.length - 1 ? entry.key : entry.value.origin;
      node = entry.value;
    } else if (node.kind === 'list') {
      const item = node.items[Number(step)];
      if (item === undefined) return origin;
      origin = item.origin;
      node = item;
    } else {
      return origin;
    }
  }
  return origin;
}
