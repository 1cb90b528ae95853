/** Completion of what was typed so far: commands, fields, names of values, @names, devices. */
import { IOCTLS, TEST_FORMS } from '../../hw/host/iommufd/uapi/ioctls.ts';
import type { Layout } from '../../hw/host/iommufd/uapi/layout.ts';
import { symbolsOf, TEST_OPS } from '../../hw/host/iommufd/uapi/symbols.ts';
import { TOOL_COMMANDS, toolCommand } from './commands/table.ts';
import { findField, positionalFields } from './field-names.ts';
import { IOCTL_WORDS, ioctlKey } from './fields.ts';
import type { Session } from './session.ts';
import { kebab } from './values.ts';

const CALL_OPTIONS = ['--fd', '--as', '--expect', '--at', '--tail', '--exact'] as const;

/** Words that the last word of a line can become, and that last word. */
export function complete(session: Session, line: string): [string[], string] {
  const command = line.slice(line.lastIndexOf(';') + 1).trimStart();
  const words = command.split(/\s+/);
  const last = words.at(-1) ?? '';
  const candidates = words.length <= 1 ? commandWords() : argumentWords(session, words, last);
  return [candidates.filter((word) => word.startsWith(last)), last];
}

function commandWords(): string[] {
  return [...TOOL_COMMANDS.map(({ name }) => name), ...IOCTL_WORDS].map((name) => `${name} `);
}

function argumentWords(session: Session, words: readonly string[], last: string): string[] {
  const [name = '', ...rest] = words;
  if (last.startsWith('@')) return [...session.names.keys()].map((known) => `@${known}`);
  if (name === 'help') return commandWords().map((word) => word.trimEnd());
  const tool = toolCommand(name);
  if (tool !== null) {
    const devices = tool.group === 'devices' ? session.machine.devices.map((d) => d.name) : [];
    return [...devices, ...(tool.options ?? []), '--expect'];
  }
  const key = ioctlKey(name);
  return key === null ? [] : ioctlWords(key, rest, last);
}

function ioctlWords(key: string, rest: readonly string[], last: string): string[] {
  const spec = IOCTLS[key];
  if (spec === undefined) return ['arg=', ...CALL_OPTIONS];
  const op = (rest.find((word) => kebabOp(word) !== null) ?? '').replace(/^(--)?op=/, '');
  const form = key === 'TEST_CMD' ? TEST_FORMS[kebabOp(op) ?? ''] : undefined;
  const layouts = [form ?? spec.layout, ...dataLayouts(key, rest)];
  const [, field, before] = /^(?:--)?([\w-]+)=((?:.*[|,])?)/.exec(last) ?? [];
  const previous = rest.at(-2) ?? '';
  if (field !== undefined) {
    const prefix = last.slice(0, last.indexOf('=') + 1) + (before ?? '');
    return valueWords(key, layouts, field).map((value) => prefix + value);
  }
  if (previous === '--data') return dataTypes(key);
  if (/^--[\w-]+$/.test(previous)) {
    const values = valueWords(key, layouts, previous.slice(2));
    if (values.length > 0) return values;
  }
  const positional = positionalFields(key)[0];
  return [
    ...(positional === undefined ? [] : valueWords(key, layouts, positional)),
    ...layouts.flatMap((layout) => Object.keys(layout.fields).map((name) => `${name}=`)),
    ...Object.keys((form ?? spec.layout).fields).map((name) => `--${kebab(name)}`),
    ...(spec.data === null ? [] : ['--data', '--entry', '--range']),
    ...CALL_OPTIONS,
  ].filter((word) => !/^(--)?(out_|out-|__)/.test(word));
}

function kebabOp(word: string): string | null {
  const name = word
    .replace(/^(--)?op=/, '')
    .toUpperCase()
    .replaceAll('-', '_');
  return name in TEST_OPS.names ? name : null;
}

function valueWords(key: string, layouts: readonly Layout[], name: string): string[] {
  for (const layout of layouts) {
    const field = findField(key, layout, name);
    const symbols = field === null ? undefined : symbolsOf(layout.name, field);
    if (symbols !== undefined) return Object.keys(symbols.names).map(kebab);
  }
  return [];
}

function dataTypes(key: string): string[] {
  const data = IOCTLS[key]?.data ?? null;
  return data !== null && 'layouts' in data ? Object.keys(data.layouts).map(kebab) : [];
}

/** Structures that the words so far speak of. */
function dataLayouts(key: string, rest: readonly string[]): Layout[] {
  const data = IOCTLS[key]?.data ?? null;
  if (data === null || !('layouts' in data)) return [];
  const types = rest.map((word) => word.replace(/^.*=/, '').toUpperCase().replaceAll('-', '_'));
  return types.flatMap((type) => data.layouts[type] ?? []);
}
