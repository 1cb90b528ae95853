/** `iommusim ioctl`: an interactive line tool on the /dev/iommu of a simulated machine. */
import { type Command, Option } from 'commander';
import { parseBytes } from '../../sim/units.ts';
import type { Io } from '../io.ts';
import { jsonOption, wholeNumber } from '../options.ts';

const EXAMPLES = `
Examples:
  $ iommusim ioctl
  iommu> open
  iommu> ioas-alloc
  iommu> ioas-map --ioas @ioas --length 2MiB --iova 0x2000000
  iommu> mock-device @ioas
  iommu> hwpt-alloc --dev @idev --parent @ioas --flags nest-parent
  iommu> hwpt-alloc --dev @idev --parent @hwpt --data selftest iotlb=7
  iommu> objects

  $ iommusim ioctl --driver paper-vtd -c 'open; ioas-alloc; bind vfio0; get-hw-info @vfio0'
  $ iommusim ioctl --json < script.txt
  $ iommusim ioctl -c 'open; destroy 7 --expect ENOENT' --strict

Every ioctl is a command by its name (help lists them, help hwpt-alloc tells fields, flags and
errors). A call prints its bytes field by field, marks what the kernel changed, and names the error
with the rule that refused it. Nothing here takes simulated time.

Reads stdin when that is no terminal, and stops at the first mistake (exit code 2). A call that is
not answered as its --expect says ends in exit code 1; with --strict so does every refused call
that has no --expect.`;

interface IoctlFlags {
  readonly driver: string;
  readonly command: readonly string[];
  readonly memory: number;
  readonly memlock?: number;
  readonly json?: boolean;
  readonly strict?: boolean;
  readonly brief?: boolean;
}

/** 256 MiB: user memory of the session. */
const MEMORY_DEFAULT = 1 << 28;

function collect(text: string, before: unknown): string[] {
  return [...(before as string[]), text];
}

export function addIoctl(program: Command, io: Io): void {
  program
    .command('ioctl')
    .description('talk to /dev/iommu, ioctl by ioctl')
    .option('--driver <name>', 'IOMMU driver: mock, paper-vtd, paper-smmuv3, ...', 'mock')
    .addOption(
      new Option('-c, --command <commands>', 'run commands, with ; between; may be repeated')
        .default([], 'none')
        .argParser(collect),
    )
    .option('--memory <size>', 'user memory that there is', parseBytes, MEMORY_DEFAULT)
    .option('--memlock <pages>', 'pages that the process may lock (default no limit)', wholeNumber)
    .option('--brief', 'one line for each call')
    .option('--strict', 'exit code 1 when a call is refused that was not expected to be')
    .addOption(jsonOption('a line for each command'))
    .addHelpText('after', EXAMPLES)
    .action(async (flags: IoctlFlags) => {
      const { driver, command, memory, memlock, json, strict, brief } = flags;
      const { buildMachine } = await import('../ioctl/machine.ts');
      const { runSession } = await import('../ioctl/run.ts');
      const machine = buildMachine({
        driver,
        memoryBytes: memory,
        ...(memlock !== undefined && { memlockPages: memlock }),
      });
      await runSession(machine, io.input?.() ?? process.stdin, io, {
        commands: command,
        json: json === true,
        strict: strict === true,
        brief: brief === true,
      });
    });
}
