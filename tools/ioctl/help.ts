/** Help inside the line tool: commands, ioctls with fields and errors, errors with reasons. */
import { ioctlHelp } from '../../hw/host/iommufd/uapi/help.ts';
import { IOCTLS, type IoctlSpec, PLAIN_IOCTLS } from '../../hw/host/iommufd/uapi/ioctls.ts';
import { ERRNO, type ErrnoName } from '../../hw/host/kernel/errno.ts';
import { didYouMean } from '../../scenarios/nearest.ts';
import { InputError } from '../../sim/errors.ts';
import type { Palette } from '../report/model.ts';
import type { CommandGroup, ToolCommand } from './commands/command.ts';
import { errnosOf, givesErrno } from './errnos.ts';
import { IOCTL_WORDS, ioctlKey } from './fields.ts';
import { kebab } from './values.ts';

const GROUPS: Readonly<Record<CommandGroup, string>> = {
  files: 'Open files',
  memory: 'User memory',
  devices: 'Devices',
  looking: 'Looking inside',
  session: 'Session',
};

const VALUES = [
  'Fields are given as name=value or --name value; dev stands for dev_id. Values:',
  '  5  0x1000  2MiB  -1          numbers; negative ones as the field has them',
  '  @ioas  @m1+0x1000            ids, descriptors and addresses by name (names)',
  '  readable|writeable  vtd-s1   names of flags and types (help <ioctl>)',
  '  hex:0102ff                   bytes, put into memory and pointed to',
  'Data behind a pointer: --data TYPE field=value ..., more entries after --entry; --range A-B.',
  'Options of every call: --fd n, --as name, --expect ERRNO, --at ADDRESS (of the structure),',
  '  --tail hex:... (bytes after it), --exact (nothing is filled in), size=n.',
] as const;

const COMMAND_WIDTH = 26;

/** Text of `help` and `help word`. */
export function helpLines(
  commands: readonly ToolCommand[],
  word: string | null,
  palette: Palette,
): string[] {
  if (word === null) return overview(commands, palette);
  const command = commands.find(({ name }) => name === word);
  if (command !== undefined) return commandLines(command);
  const key = ioctlKey(word);
  if (key !== null) return ioctlLines(key, palette);
  const errno = word.toUpperCase();
  if (errno in ERRNO) return errnoLines(errno as ErrnoName);
  const known = [...commands.map(({ name }) => name), ...IOCTL_WORDS];
  const hint = didYouMean(word, known) || ' (help lists everything)';
  throw new InputError('ioctl-help', `there is no help on "${word}"${hint}`);
}

function overview(commands: readonly ToolCommand[], palette: Palette): string[] {
  const lines: string[] = [];
  for (const [group, title] of Object.entries(GROUPS)) {
    lines.push(palette.title(title));
    for (const { name, usage, help } of commands.filter((found) => found.group === group)) {
      lines.push(...described(`${name} ${usage}`.trimEnd(), help));
    }
  }
  lines.push(palette.title('Ioctls (help <ioctl> tells fields and errors)'));
  const specs: readonly (readonly [string, { readonly help: string }])[] = [
    ...Object.entries(IOCTLS),
    ...Object.entries(PLAIN_IOCTLS),
  ];
  for (const [key, { help }] of specs) lines.push(...described(kebab(key), help));
  return [...lines, palette.title('Words'), ...VALUES.map((line) => `  ${line}`)];
}

function described(what: string, help: string): string[] {
  if (what.length <= COMMAND_WIDTH) return [`  ${what.padEnd(COMMAND_WIDTH)}  ${help}`];
  return [`  ${what}`, `  ${' '.repeat(COMMAND_WIDTH)}  ${help}`];
}

function commandLines({ name, usage, help }: ToolCommand): string[] {
  return [`${name} ${usage}`.trimEnd(), `  ${help}`];
}

function ioctlLines(key: string, palette: Palette): string[] {
  const plain = PLAIN_IOCTLS[key];
  if (plain !== undefined) {
    return [palette.title(`${plain.name} 0x${plain.word.toString(16)}: ${plain.help}`), '  arg'];
  }
  const [head = '', ...lines] = ioctlHelp(IOCTLS[key] as IoctlSpec);
  const errors = errnosOf(key).map(({ errno, when }) => `  ${errno.padEnd(11)} ${when}`);
  return [
    palette.title(head),
    ...lines,
    ...(errors.length === 0
      ? []
      : [palette.head('errors, in the order of the checks:'), ...errors]),
  ];
}

function errnoLines(errno: ErrnoName): string[] {
  const found = givesErrno(errno);
  const lines = found.map(({ key, when }) => {
    const name = key === '' ? 'every ioctl' : kebab(key);
    return `  ${name.padEnd(COMMAND_WIDTH)}  ${when}`;
  });
  const nothing = '  no ioctl gives it by itself; drivers may';
  return [`${errno} (${ERRNO[errno]})`, ...(lines.length === 0 ? [nothing] : lines)];
}
