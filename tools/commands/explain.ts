/** `iommusim explain`: one walk, reference by reference. */
import type { Command } from 'commander';
import { loadScenario } from '../../scenarios/loader.ts';
import { nearest } from '../../scenarios/nearest.ts';
import type { Explanation } from '../../scenarios/run-api.ts';
import { InputError } from '../../sim/errors.ts';
import type { Engine } from '../engine.ts';
import type { Io } from '../io.ts';
import {
  address,
  jsonOption,
  loadOptionsOf,
  pointNamed,
  pointOption,
  type ScenarioOptions,
  seedOption,
  setOption,
} from '../options.ts';
import type { Palette } from '../report/model.ts';
import { left, right, tableLines } from '../report/table.ts';
import { count, time } from '../report/text.ts';

const EXAMPLES = `
Examples:
  $ iommusim explain scenarios/quickstart.yaml --iova 0xfdf80000 --device nic0
  $ iommusim explain scenarios/walk-costs.yaml --point nested/Sv48,Sv48x4 --iova 0x3ff00000 \\
      --device probe --write

Lists every memory reference of the translation: stage, level, address, what the entry says, where
it came from and what it cost. The unit is cold: what its caches hold, this walk brought there. Of
an address that is not mapped it says which ones are.`;

interface ExplainFlags extends ScenarioOptions {
  readonly iova: bigint;
  readonly device: string;
  readonly write?: boolean;
  readonly point?: string;
  readonly json?: boolean;
}

export function addExplain(program: Command, io: Io, engine: Engine): void {
  program
    .command('explain')
    .description('print one translation, memory reference by memory reference')
    .argument('<file>', 'scenario file')
    .requiredOption('--iova <address>', 'input address, like 0x7f001000', address)
    .requiredOption('--device <name>', 'device that issues the DMA')
    .option('--write', 'a write instead of a read')
    .addOption(pointOption())
    .addOption(setOption())
    .addOption(seedOption())
    .addOption(jsonOption('the walk'))
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, flags: ExplainFlags) => {
      const { points } = loadScenario(file, loadOptionsOf(flags, []));
      const { scenario } = flags.point === undefined ? points[0] : pointNamed(points, flags.point);
      const names = scenario.devices.map(({ name }) => name);
      if (!names.includes(flags.device)) {
        const hit = nearest(flags.device, names);
        const hint =
          hit === null ? `devices: ${names.slice(0, 8).join(', ')}` : `did you mean "${hit}"?`;
        throw new InputError(
          'no-such-device',
          `--device ${flags.device}: no such device (${hint})`,
        );
      }
      const { device, iova } = flags;
      const explanation = await engine.explain(scenario, {
        device,
        iova,
        write: flags.write === true,
      });
      io.out(
        flags.json === true
          ? explanationJson(explanation)
          : explanationText(explanation, io.palette),
      );
    });
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** Addresses and entries as hexadecimal text: they do not fit a JSON number. */
function explanationJson(explanation: Explanation): string {
  const plain = (_key: string, value: unknown): unknown =>
    typeof value === 'bigint' ? hex(value) : value;
  return `${JSON.stringify(explanation, plain, 2)}\n`;
}

export function explanationText(explanation: Explanation, palette: Palette): string {
  const { device, access, iova, references, output, fault } = explanation;
  const heads = [
    right('#'),
    left('stage'),
    right('level'),
    left('entry'),
    right('address'),
    right('value'),
    left('says'),
    left('from'),
    right('cost'),
  ];
  const rows = references.map((reference, i) => [
    String(i + 1),
    reference.stage,
    String(reference.level),
    reference.name,
    hex(reference.address),
    hex(reference.value),
    reference.meaning,
    reference.source,
    time(reference.cost_ps),
  ]);
  const end =
    output === null
      ? palette.bad(`fault: ${fault ?? 'unknown'}`)
      : palette.good(`${hex(iova)} -> ${hex(output)}`);
  const lines = [
    palette.title(`${device}: ${access} of ${hex(iova)}`),
    ...tableLines(heads, rows, palette.head),
    `${end}  ${costText(explanation)}`,
    ...(output === null ? [mappedText(explanation)] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function costText({ references, other = [], total_ps }: Explanation): string {
  const walk = references.filter(({ stage }) => stage !== 'context');
  const read = walk.filter(({ source }) => source === 'memory').length;
  const context = references.length - walk.length;
  const parts = [
    `${read} references${context > 0 ? ` and ${context} of the context` : ''}, ${time(total_ps)}`,
    ...other
      .filter(({ cost_ps }) => cost_ps > 0)
      .map(({ name, cost_ps }) => `${name} ${time(cost_ps)}`),
  ];
  const [total, ...rest] = parts;
  return rest.length === 0 ? total : `${total} (of which ${rest.join(', ')})`;
}

function mappedText({ device, mapped = [] }: Explanation): string {
  const ranges = mapped.map(({ iova, pages }) => `${hex(iova)} (${count(pages)} pages)`);
  return `mapped for ${device}: ${ranges.length === 0 ? 'nothing' : ranges.join(', ')}`;
}
