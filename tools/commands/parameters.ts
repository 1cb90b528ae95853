/** `iommusim parameters`: every key of a scenario with its default and one sentence. */
import type { Command } from 'commander';
import { nearest } from '../../scenarios/nearest.ts';
import { scenarioJsonSchema } from '../../scenarios/schema/json.ts';
import { InputError } from '../../sim/errors.ts';
import type { Io } from '../io.ts';

const EXAMPLES = `
Examples:
  $ iommusim parameters                 all keys
  $ iommusim parameters iommu.caches    those below a key`;

type Json = Readonly<Record<string, unknown>>;

interface ParameterLine {
  readonly path: string;
  readonly default: string;
  readonly doc: string;
}

export function addParameters(program: Command, io: Io): void {
  program
    .command('parameters')
    .description('list the keys of a scenario with defaults and meaning')
    .argument('[key]', 'only keys below this one')
    .addHelpText('after', EXAMPLES)
    .action((key: string | undefined) => {
      const all = parameterLines(scenarioJsonSchema(), '');
      const shown = key === undefined ? all : all.filter(({ path }) => isBelow(path, key));
      if (shown.length === 0) {
        const hit = nearest(
          key ?? '',
          all.flatMap(({ path }) => prefixes(path)),
        );
        const hint = hit === null ? '' : ` (did you mean "${hit}"?)`;
        throw new InputError('no-such-key', `no key "${key}"${hint}`);
      }
      io.out(shown.map((line) => parameterText(line, io)).join(''));
    });
}

function isBelow(path: string, key: string): boolean {
  return path === key || path.startsWith(`${key}.`);
}

function prefixes(path: string): string[] {
  const steps = path.split('.');
  return steps.map((_step, i) => steps.slice(0, i + 1).join('.'));
}

/** The leaves of the schema; `[]` stands for the items of a list. */
export function parameterLines(schema: Json, path: string): ParameterLine[] {
  if (schema.$ref !== undefined) return [];
  const doc = String(schema.description ?? '');
  const branches = (schema.anyOf ?? schema.oneOf) as readonly Json[] | undefined;
  if (branches?.some((branch) => branch.properties !== undefined)) {
    return branches.flatMap((branch) => parameterLines(branch, `${path}${kindOf(branch)}`));
  }
  if (schema.properties !== undefined) {
    return Object.entries(schema.properties as Record<string, Json>).flatMap(([key, child]) =>
      parameterLines(child, path === '' ? key : `${path}.${key}`),
    );
  }
  const items = schema.items as Json | undefined;
  if (items?.properties !== undefined) return parameterLines(items, `${path}[]`);
  if (schema.const !== undefined) return [];
  const value = schema.default === undefined ? '' : JSON.stringify(schema.default);
  const choices = (schema.enum as readonly string[] | undefined)?.join(', ');
  const text = choices === undefined ? doc : `${doc} One of ${choices}.`;
  return [{ path, default: value.replaceAll('"', ''), doc: text }];
}

function kindOf(branch: Json): string {
  const kind = (branch.properties as Record<string, Json>).kind?.const;
  return kind === undefined ? '' : `(${String(kind)})`;
}

function parameterText(line: ParameterLine, io: Io): string {
  const { palette } = io;
  const value = line.default === '' ? '' : ` = ${line.default}`;
  return `${palette.title(line.path)}${palette.dim(value)}\n    ${line.doc}\n`;
}
