/** `iommusim fuzz-ioctl`: random programs of system calls on /dev/iommu. */
import type { Command } from 'commander';
import type { FuzzResult } from '../../hw/host/iommufd/fuzz/fuzzer.ts';
import type { Io } from '../io.ts';
import { jsonOption, seedOption, wholeNumber } from '../options.ts';
import { left, right, tableLines } from '../report/table.ts';
import { count } from '../report/text.ts';

const EXAMPLES = `
Examples:
  $ iommusim fuzz-ioctl
  $ iommusim fuzz-ioctl --calls 1000000 --seed 7

Random ioctls of all kinds with hostile sizes and pointers, reads, writes, mmaps, forks; every
eighth call has an allocation fail. After each call the object graph must be sound; after the last
close of each program nothing may be left. Exit code 3 when something is wrong, with the calls that
led there; the same seed leads there again.`;

const CALLS_DEFAULT = 100_000;

interface FuzzFlags {
  readonly calls: number;
  readonly seed: number;
  readonly json?: boolean;
}

export function addFuzz(program: Command, io: Io): void {
  program
    .command('fuzz-ioctl')
    .description('try random programs on /dev/iommu')
    .option('--calls <n>', 'system calls to make', wholeNumber, CALLS_DEFAULT)
    .addOption(seedOption().default(1))
    .addOption(jsonOption('the counts'))
    .addHelpText('after', EXAMPLES)
    .action(async ({ calls, seed, json }: FuzzFlags) => {
      const { fuzz } = await import('../../hw/host/iommufd/fuzz/fuzzer.ts');
      const onProgress = (done: number): void => {
        if (io.errIsTerminal) io.err(`\r\u001b[K${count(done)} of ${count(calls)} calls`);
      };
      const result = fuzz({ seed, calls, onProgress });
      if (io.errIsTerminal) io.err('\r\u001b[K');
      io.out(json === true ? asJson(result) : table(result, io));
    });
}

function asJson({ programs, calls, counts }: FuzzResult): string {
  return `${JSON.stringify({ programs, calls, counts: Object.fromEntries(counts) }, null, 2)}\n`;
}

function table({ programs, calls, counts }: FuzzResult, io: Io): string {
  const heads = [left('call'), right('done'), right('refused')];
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const rows = sorted.map(([name, { done, refused }]) => [name, count(done), count(refused)]);
  const lines = tableLines(heads, rows, io.palette.head);
  return `${lines.join('\n')}\n${count(calls)} calls in ${count(programs)} programs, all sound\n`;
}
