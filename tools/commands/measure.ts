/** `iommusim conform` and `iommusim bench`: is the simulator right, and is it fast. */
import type { Command } from 'commander';
import { MismatchError } from '../../sim/errors.ts';
import type { BenchResults } from '../bench/harness.ts';
import type { Engine } from '../engine.ts';
import type { Io } from '../io.ts';
import { jsonOption, wholeNumber } from '../options.ts';
import { left, right, tableLines } from '../report/table.ts';
import { count } from '../report/text.ts';

const CONFORM_EXAMPLES = `
Examples:
  $ iommusim conform vectors/riscv
  $ iommusim conform vectors/qemu captures/x86-legacy-strict
  $ iommusim conform vectors/iommufd --only fuzz/00125

Files and folders are told apart by content. Of every failure the first field that differs is
printed; the last line is "N passed, N failed". Exit code 1 when something failed.`;

/** Failures of one file that are printed when nobody says how many. */
const SHOWN_DEFAULT = 20;

interface ConformFlags {
  readonly only?: string;
  readonly show: number;
  readonly profile?: boolean;
}

const BENCH_EXAMPLES = `
Examples:
  $ iommusim bench
  $ iommusim bench engine.hold.1k walk.nested.functional
  $ iommusim bench --json > bench.json

Each figure is the median of five runs. --json gives {machine, results: [{name, value, unit, runs}]}.`;

export function addMeasure(program: Command, io: Io, engine: Engine): void {
  program
    .command('conform')
    .description('run conformance vectors and captures of real kernels')
    .argument('<path...>', 'vector files, folders of them, capture folders')
    .option('--only <ids>', 'run only the cases with these ids, separated by commas')
    .option('--show <n>', 'failures of a file to print', wholeNumber, SHOWN_DEFAULT)
    .option('--profile', 'say where the time went (recorded system calls)')
    .addHelpText('after', CONFORM_EXAMPLES)
    .action(async (paths: string[], { only, show, profile = false }: ConformFlags) => {
      const print = (line: string): void => io.out(`${line}\n`);
      const options = { shown: show, profile, ...(only && { only: new Set(only.split(',')) }) };
      const { passed, failed, skipped } = await engine.conform(paths, print, options);
      if (skipped > 0) print(`${skipped} skipped: what they test is not modelled`);
      io.out(`${passed} passed, ${failed} failed\n`);
      if (failed > 0) throw new MismatchError('conform', `${failed} cases differ`);
    });

  program
    .command('bench')
    .description('measure the speed of the simulator on this machine')
    .argument('[name...]', 'benchmarks; all of them if none is given')
    .addOption(jsonOption('the figures'))
    .addHelpText('after', BENCH_EXAMPLES)
    .action(async (names: string[], flags: { readonly json?: boolean }) => {
      const { machine, results } = await engine.bench(names, (name, run, runs) => {
        if (io.errIsTerminal) io.err(`\r\u001b[K${name} ${run}/${runs}`);
      });
      if (io.errIsTerminal) io.err('\r\u001b[K');
      const report = { machine, results };
      io.out(flags.json === true ? `${JSON.stringify(report, null, 2)}\n` : table(report, io));
    });
}

function table({ machine, results }: BenchResults, io: Io): string {
  const heads = [left('benchmark'), right('median'), right('lowest'), right('highest'), left('')];
  const rows = results.map(({ name, value, unit, runs }) => [
    name,
    ...[value, Math.min(...runs), Math.max(...runs)].map(figure),
    unit,
  ]);
  const { cpu, cores, os, node } = machine;
  const lines = tableLines(heads, rows, io.palette.head);
  return `${[...lines, io.palette.dim(`${cpu}, ${cores} cores, ${os}, Node ${node}`)].join('\n')}\n`;
}

function figure(value: number): string {
  return value >= 1000 ? count(value) : value.toPrecision(3);
}
