/** Scenario files held in memory, so that a test reads as text in, outcome out. */
import type { Files } from './extends.ts';
import { loadScenario } from './loader.ts';
import { ScenarioError } from './problem.ts';
import type { ResolvedScenario } from './schema/resolved.ts';

/** The shortest valid scenario; tests append what they are about. */
export const SMALL = `
domains:
  - { name: guest, translation: nested }
devices:
  - { name: nic, domain: guest, master: { kind: pattern } }
`;

export function memoryFiles(texts: Readonly<Record<string, string>>): Files {
  return {
    home: 'home',
    read: (path) => texts[path] ?? null,
    presets: () =>
      Object.keys(texts)
        .filter((path) => path.startsWith('home/presets/'))
        .map((path) => path.slice('home/presets/'.length, -'.yaml'.length)),
  };
}

/** Resolves `text` as file `a.yaml`. */
export function resolveText(
  text: string,
  set: readonly string[] = [],
  others: Readonly<Record<string, string>> = {},
): ResolvedScenario {
  const files = memoryFiles({ 'a.yaml': text, ...others });
  return loadScenario('a.yaml', { set, files }).points[0].scenario;
}

/** Lines of the error that loading `text` ends in. */
export function problemsIn(
  text: string,
  set: readonly string[] = [],
  others: Readonly<Record<string, string>> = {},
): string[] {
  try {
    resolveText(text, set, others);
  } catch (error) {
    if (error instanceof ScenarioError) return error.message.split('\n');
    throw error;
  }
  return [];
}
