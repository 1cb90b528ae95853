/** `iommusim check` and `iommusim schema`: scenarios without running them. */
import type { Command } from 'commander';
import { loadScenario } from '../../scenarios/loader.ts';
import { ScenarioError } from '../../scenarios/problem.ts';
import { scenarioJsonSchema } from '../../scenarios/schema/json.ts';
import { InputError } from '../../sim/errors.ts';
import type { Io } from '../io.ts';
import {
  jsonOption,
  loadOptionsOf,
  type ScenarioOptions,
  seedOption,
  setOption,
  splitOverrides,
} from '../options.ts';

const CHECK_EXAMPLES = `
Examples:
  $ iommusim check scenarios/*.yaml
  $ iommusim check mine.yaml --set clock=3GHz --json

--json prints the resolved scenarios: every parameter, in canonical units (ps, b/s, bytes, Hz).
Exit code 2 when a scenario is wrong; all mistakes of all files are listed.`;

const SCHEMA_EXAMPLES = `
Examples:
  $ iommusim schema > schema.json

Then begin a scenario with
  # yaml-language-server: $schema=./schema.json
and an editor completes keys and shows what they mean.`;

interface CheckFlags extends ScenarioOptions {
  readonly json?: boolean;
}

export function addCheck(program: Command, io: Io): void {
  program
    .command('check')
    .description('validate scenarios without running them')
    .argument('<file...>', 'scenario files, and key=value overrides')
    .addOption(setOption())
    .addOption(seedOption())
    .addOption(jsonOption('the resolved scenarios'))
    .addHelpText('after', CHECK_EXAMPLES)
    .action((words: string[], flags: CheckFlags) => check(words, flags, io));

  program
    .command('schema')
    .description('print the JSON Schema of scenario files, for editors')
    .addHelpText('after', SCHEMA_EXAMPLES)
    .action(() => io.out(`${JSON.stringify(scenarioJsonSchema(), null, 2)}\n`));
}

function check(words: readonly string[], flags: CheckFlags, io: Io): void {
  const { files, set } = splitOverrides(words);
  if (files.length === 0) throw new InputError('usage', 'no scenario file given');
  const problems: ScenarioError[] = [];
  const resolved: unknown[] = [];
  for (const file of files) {
    try {
      const loaded = loadScenario(file, loadOptionsOf(flags, set));
      resolved.push(...loaded.points);
      if (flags.json !== true) {
        const points = loaded.points.length;
        io.out(`${file}: ok${points > 1 ? `, ${points} points` : ''}\n`);
      }
    } catch (error) {
      if (!(error instanceof ScenarioError)) throw error;
      problems.push(error);
    }
  }
  if (flags.json === true) io.out(`${JSON.stringify(resolved, null, 2)}\n`);
  if (problems.length > 0) throw new ScenarioError(problems.flatMap((p) => [...p.problems]));
}
