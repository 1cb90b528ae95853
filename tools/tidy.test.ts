/** Rules of the house that a compiler does not know, checked on the sources of the package. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { diskFiles, scenarioHome } from '../scenarios/extends.ts';
import { loadScenario } from '../scenarios/loader.ts';

const ROOT = dirname(scenarioHome());
const FLOORS: Readonly<Record<string, number>> = {
  sim: 1,
  hw: 2,
  traces: 2,
  scenarios: 3,
  tools: 4,
};
const MAX_FILE_LINES = 400;
const MAX_FUNCTION_LINES = 70;
const MAX_COLUMNS = 100;

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

const SOURCES: ReadonlyMap<string, string> = new Map(
  Object.keys(FLOORS)
    .flatMap(filesBelow)
    .filter((path) => path.endsWith('.ts'))
    .map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]),
);
const UNITS = [...SOURCES.keys()].filter((path) => !path.endsWith('.test.ts'));
const IMPORT = /^(?:import|export)\b[^;'"]*?from\s*'(\.[^']+)'/gm;

function roomOf(path: string): string {
  return path.split('/')[0] as string;
}

/** Relative imports of a file, those of types included. */
function importsOf(path: string): string[] {
  const text = SOURCES.get(path) as string;
  return [...text.matchAll(IMPORT)].map(([, target]) => normalize(join(dirname(path), target)));
}

function none(what: string, findings: readonly string[]): void {
  assert.is(findings.length, 0, `${what}:\n  ${findings.join('\n  ')}`);
}

test('every source file begins with a comment that says what it is', () => {
  const bare = UNITS.filter((path) => !/^(#!.*\n)?\/\*\*/.test(SOURCES.get(path) as string));
  none('files without a header comment', bare);
});

test('no file is longer than 400 lines, no line wider than 100 columns', () => {
  const findings: string[] = [];
  for (const [path, text] of SOURCES) {
    const lines = text.split('\n');
    if (lines.length > MAX_FILE_LINES) findings.push(`${path}: ${lines.length} lines`);
    for (const [i, line] of lines.entries()) {
      // The formatter cannot break a long string or an import path.
      const isText = /['"`]/.test(line);
      if (line.length > MAX_COLUMNS && !isText) findings.push(`${path}:${i + 1}: ${line.length}`);
    }
  }
  none('too long', findings);
});

/** Functions and methods by indentation: the formatter closes a block at the column it opened. */
function longFunctions(path: string, text: string): string[] {
  const lines = text.split('\n');
  const findings: string[] = [];
  const modifiers = '(?:private |protected |public |static |override |async |get |set )*';
  const method = `${modifiers}[\\w$#]+(?:<[^>]*>)?\\(`;
  const open = new RegExp(`^( *)(?:export )?(?:default )?(?:${method}|(?:async )?function\\*? )`);
  for (const [start, line] of lines.entries()) {
    const match = open.exec(line);
    if (
      match === null ||
      !/[{(]$/.test(line) ||
      /^\s*(?:if|for|while|switch|return|test|throw)\b/.test(line)
    )
      continue;
    const indent = match[1] as string;
    const close = lines.findIndex((l, i) => i > start && new RegExp(`^${indent}[}\\])]`).test(l));
    if (close < 0) continue;
    let end = close;
    if (/^ *\)/.test(lines[close]) && lines[close].endsWith('{')) {
      end = lines.findIndex((l, i) => i > close && new RegExp(`^${indent}}`).test(l));
    }
    const length = end - start + 1;
    if (length > MAX_FUNCTION_LINES) findings.push(`${path}:${start + 1}: ${length} lines`);
  }
  return findings;
}

test('no function is longer than 70 lines', () => {
  none(
    'long functions',
    UNITS.flatMap((path) => longFunctions(path, SOURCES.get(path) as string)),
  );
});

test('every test file runs its tests', () => {
  const silent = [...SOURCES].filter(
    ([path, text]) => path.endsWith('.test.ts') && !/\n\w+\.run\(\);\s*$/.test(text),
  );
  none(
    'test files that do not end with test.run()',
    silent.map(([path]) => path),
  );
});

test('no test is skipped or alone, none waits for a hook that may fail in silence', () => {
  const banned = /^\s*\w+\.(skip|only|before(\.each)?)\(/m;
  const findings = [...SOURCES].filter(
    ([path, text]) => path.endsWith('.test.ts') && banned.test(text),
  );
  none(
    'skipped or lone tests, hooks (uvu passes over a before-hook that throws)',
    findings.map(([path]) => path),
  );
});

test('sim and hw know no wall clock, no timer and no unseeded randomness', () => {
  const banned =
    /\bDate\b(?!`)|\bMath\.random\b|\bperformance\.|\bset(?:Timeout|Interval|Immediate)\(/;
  const findings: string[] = [];
  for (const path of UNITS.filter((p) => roomOf(p) === 'sim' || roomOf(p) === 'hw')) {
    const code = (SOURCES.get(path) as string).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    const hit = banned.exec(code);
    if (hit !== null) findings.push(`${path}: ${hit[0]}`);
  }
  none('wall clock or randomness', findings);
});

test('a room imports from floors below it only', () => {
  const findings: string[] = [];
  for (const path of SOURCES.keys()) {
    const room = roomOf(path);
    for (const target of importsOf(path)) {
      const other = roomOf(target);
      // Tests may fetch a helper from a room of their own floor or below.
      const highest = path.endsWith('.test.ts') ? FLOORS[room] : FLOORS[room] - 1;
      if (other !== room && !(FLOORS[other] <= highest)) findings.push(`${path} -> ${target}`);
    }
  }
  none('imports that climb', findings);
});

test('imports make no circles', () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      circles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    if (done.has(path) || !SOURCES.has(path)) return;
    for (const target of importsOf(path)) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of UNITS) visit(path, []);
  none('circles', circles);
});

test('relative imports name files that exist, with their extension', () => {
  const findings = [...SOURCES.keys()].flatMap((path) =>
    importsOf(path)
      .filter((target) => !target.endsWith('.ts') || !existsSync(join(ROOT, target)))
      .map((target) => `${path} -> ${target}`),
  );
  none('imports of nothing', findings);
});

test('every scenario in scenarios/ is valid', () => {
  const names = readdirSync(scenarioHome()).filter((name) => name.endsWith('.yaml'));
  assert.ok(names.length >= 6, `only ${names.length} scenarios`);
  for (const name of names) {
    // Throws with every mistake of the file.
    assert.ok(loadScenario(join(scenarioHome(), name)).points.length > 0);
  }
});

test('the scenario in the README is valid', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const text = /```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  const disk = diskFiles();
  const files = { ...disk, read: (path: string) => (path === 'README' ? text : disk.read(path)) };
  assert.is(loadScenario('README', { files }).points.length, 4);
});

test.run();
