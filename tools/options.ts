/** Options that several commands share, and their parsing. */
import { existsSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import type { ScenarioPoint } from '../scenarios/loader.ts';
import { InputError } from '../sim/errors.ts';
import { TRACE_LEVELS, type TraceLevel } from '../sim/probe.ts';

export interface ScenarioOptions {
  readonly set: readonly string[];
  readonly seed?: number;
}

export interface RunFlags extends ScenarioOptions {
  readonly threads: number;
  readonly out?: string;
  readonly svg?: string;
  readonly traceLevel: TraceLevel;
  readonly json?: boolean;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('Expected a whole number.');
  }
  return value;
}

export function threadCount(text: string): number {
  const value = wholeNumber(text);
  if (value > 64) throw new InvalidArgumentError('Expected a whole number from 0 to 64.');
  return value;
}

export function address(text: string): bigint {
  if (!/^(0x[0-9a-f_]+|\d+)$/i.test(text)) {
    throw new InvalidArgumentError('Expected an address like 0x7f001000.');
  }
  const value = BigInt(text.replaceAll('_', ''));
  if (value >= 1n << 64n) throw new InvalidArgumentError('Expected an address of 64 bits.');
  return value;
}

/** `--set key=value`, any number of times. */
export function setOption(): Option {
  return new Option('--set <key=value>', 'override a key of the scenario; may be repeated')
    .default([], 'none')
    .argParser((text: string, before: unknown) => [...(before as string[]), text]);
}

export function seedOption(): Option {
  return new Option('--seed <number>', 'seed of all random streams').argParser(wholeNumber);
}

export function threadsOption(): Option {
  return new Option('--threads <number>', 'threads that carry the simulation')
    .default(1)
    .argParser(threadCount);
}

export function traceLevelOption(): Option {
  return new Option('--trace-level <level>', 'what the trace records')
    .choices(TRACE_LEVELS)
    .default('requests');
}

export function jsonOption(what: string): Option {
  return new Option('--json', `print ${what} as JSON on stdout`);
}

/** `key=value` words among the files are further overrides: `run f.yaml --set a=1 b=2`. */
export function splitOverrides(words: readonly string[]): { files: string[]; set: string[] } {
  const files: string[] = [];
  const set: string[] = [];
  for (const word of words) {
    const isOverride = /^[A-Za-z][\w.[\]-]*=/.test(word) && !existsSync(word);
    (isOverride ? set : files).push(word);
  }
  return { files, set };
}

/** Options of a load, without keys that were not given. */
export function loadOptionsOf(
  flags: ScenarioOptions,
  more: readonly string[],
): { readonly set: readonly string[]; readonly seed?: number } {
  const set = [...flags.set, ...more];
  return flags.seed === undefined ? { set } : { set, seed: flags.seed };
}

export function pointOption(): Option {
  return new Option('--point <name>', 'the point to take of a scenario that is a sweep');
}

export function pointNamed(points: readonly ScenarioPoint[], name: string): ScenarioPoint {
  const found = points.find((point) => point.name === name);
  if (found !== undefined) return found;
  const names = points.flatMap((point) => point.name ?? []);
  const known = names.length === 0 ? 'the scenario is no sweep' : `points: ${names.join('; ')}`;
  throw new InputError('no-such-point', `--point ${name}: no such point (${known})`);
}
