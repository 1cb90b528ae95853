/** The command line: commands, common behaviour, and one exit code for each class of error. */
import { Command } from 'commander';
import { VERSION } from '../scenarios/version.ts';
import { addCheck } from './commands/check.ts';
import { addExplain } from './commands/explain.ts';
import { addFuzz } from './commands/fuzz.ts';
import { addIoctl } from './commands/ioctl.ts';
import { addMeasure } from './commands/measure.ts';
import { addParameters } from './commands/parameters.ts';
import { addReplay } from './commands/replay.ts';
import { addRun } from './commands/run.ts';
import type { Engine } from './engine.ts';
import { EXIT_DONE, errorText, exitCodeOf } from './exit.ts';
import type { Io } from './io.ts';

const AFTER = `
Start here:
  $ iommusim run scenarios/quickstart.yaml
  $ iommusim run --help

Exit codes: 0 done, 1 expectation or comparison failed, 2 bad input, 3 internal error.`;

export function buildProgram(io: Io, engine: Engine): Command {
  const program = new Command('iommusim')
    .description('Deterministic simulator of IOMMU hardware and of the software that drives it.')
    .version(VERSION, '-V, --version')
    .addHelpText('after', AFTER)
    .showHelpAfterError('(add --help for what is possible)')
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(text) })
    .exitOverride();
  addRun(program, io, engine);
  addReplay(program, io, engine);
  addExplain(program, io, engine);
  addCheck(program, io);
  addParameters(program, io);
  addIoctl(program, io);
  addFuzz(program, io);
  addMeasure(program, io, engine);
  return program;
}

/** Runs one command line (without node and script); never throws. */
export async function main(words: readonly string[], io: Io, engine: Engine): Promise<number> {
  try {
    await buildProgram(io, engine).parseAsync([...words], { from: 'user' });
    return EXIT_DONE;
  } catch (error) {
    io.err(errorText(error));
    return exitCodeOf(error);
  }
}
