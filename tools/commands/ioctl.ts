/** `iommusim ioctl`: an interactive line tool on the /dev/iommu of a simulated machine. */
import { type Command, Option } from 'commander';
import { loadScenario } from '../../scenarios/loader.ts';
import type { ResolvedScenario } from '../../scenarios/schema/resolved.ts';
import { InputError } from '../../sim/errors.ts';
import { parseBytes } from '../../sim/units.ts';
import type { Io } from '../io.ts';
import {
  jsonOption,
  loadOptionsOf,
  pointNamed,
  pointOption,
  type ScenarioOptions,
  seedOption,
  setOption,
  wholeNumber,
} from '../options.ts';

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

  $ iommusim ioctl scenarios/quickstart.yaml --set iommufd.riscv_iommufd=true
  $ iommusim ioctl --driver paper-vtd -c 'open; ioas-alloc; bind vfio0; get-hw-info @vfio0'
  $ iommusim ioctl --json < script.txt
  $ iommusim ioctl -c 'open; destroy 7 --expect ENOENT' --strict

Drivers: mock (Linux's own, the default); vtd and riscv (simulated units, in no time: dma asks them);
paper-vtd, paper-vtd-legacy, paper-smmuv3, paper-tegra241, paper-amd, paper-riscv (what drivers
accept, without hardware). A scenario brings its own. devices lists what bind can have.

Every ioctl is a command by its name (help lists them, help hwpt-alloc tells fields, flags and
errors). A call prints its bytes field by field, marks what the kernel changed, and names the error
with the rule that refused it. Nothing here takes simulated time.

Reads stdin when that is no terminal, and stops at the first mistake (exit code 2). A call that is
not answered as its --expect says ends in exit code 1; with --strict so does every refused call
that has no --expect.`;

interface IoctlFlags extends ScenarioOptions {
  readonly driver?: string;
  readonly point?: string;
  readonly command: readonly string[];
  readonly memory: number;
  readonly memlock?: number;
  readonly json?: boolean;
  readonly strict?: boolean;
  readonly brief?: boolean;
}

/** 256 MiB. */
const MEMORY_DEFAULT = 1 << 28;

function scenarioOf(file: string, flags: IoctlFlags): ResolvedScenario {
  const { points } = loadScenario(file, loadOptionsOf(flags, []));
  return (flags.point === undefined ? points[0] : pointNamed(points, flags.point)).scenario;
}

function collect(text: string, before: unknown): string[] {
  return [...(before as string[]), text];
}

export function addIoctl(program: Command, io: Io): void {
  program
    .command('ioctl')
    .description('talk to /dev/iommu, ioctl by ioctl')
    .argument('[scenario]', 'scenario file, whose IOMMU and devices are used')
    .option('--driver <name>', 'driver of the IOMMU instead: mock (the default), vtd, riscv, ...')
    .addOption(
      new Option('-c, --command <commands>', 'run commands, with ; between; may be repeated')
        .default([], 'none')
        .argParser(collect),
    )
    .addOption(
      new Option('--memory <size>', 'memory of the machine that can be touched')
        .default(MEMORY_DEFAULT, '256MiB')
        .argParser(parseBytes),
    )
    .option('--memlock <pages>', 'pages that the process may lock (default no limit)', wholeNumber)
    .option('--brief', 'one line for each call')
    .option('--strict', 'exit code 1 when a call is refused that was not expected to be')
    .addOption(pointOption())
    .addOption(setOption())
    .addOption(seedOption())
    .addOption(jsonOption('a line for each command'))
    .addHelpText('after', EXAMPLES)
    .action(async (file: string | undefined, flags: IoctlFlags) => {
      const { driver, command, memory, memlock, json, strict, brief } = flags;
      const { driverMachine, scenarioMachine } = await import('../ioctl/machine.ts');
      const { runSession } = await import('../ioctl/run.ts');
      const options = {
        memoryBytes: memory,
        ...(memlock !== undefined && { memlockPages: memlock }),
      };
      if (file !== undefined && driver !== undefined) {
        throw new InputError('usage', 'give a scenario or --driver, not both');
      }
      const machine =
        file === undefined
          ? driverMachine(driver ?? 'mock', options)
          : scenarioMachine(scenarioOf(file, flags), options);
      await runSession(machine, io.input?.() ?? process.stdin, io, {
        commands: command,
        json: json === true,
        strict: strict === true,
        brief: brief === true,
      });
    });
}
