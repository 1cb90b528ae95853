/** What there is to call and to give, as text: the list of ioctls, and the fields of one. */
import { type DataSpec, IOCTLS, type IoctlSpec, PLAIN_IOCTLS, TEST_FORMS } from './ioctls.ts';
import type { Field, Layout } from './layout.ts';
import { symbolsOf } from './symbols.ts';

/** One line for each ioctl: name and purpose. */
export function ioctlList(): string[] {
  const rows = [...Object.entries(IOCTLS), ...Object.entries(PLAIN_IOCTLS)];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, { help }]) => `${name.padEnd(width)}  ${help}`);
}

/** The fields of an ioctl with the names of their values, and the structures of its data. */
export function ioctlHelp(spec: IoctlSpec): string[] {
  const { name, layout, help } = spec;
  const word = `0x${layout.word.toString(16)}`;
  const sizes = `struct ${layout.name}, ${layout.size} bytes, at least ${layout.minSize}`;
  const lines = [`${name} ${word}: ${help}`, sizes, ...fieldLines(layout, spec)];
  if (spec === IOCTLS.TEST_CMD) {
    for (const [op, form] of Object.entries(TEST_FORMS)) {
      const own = Object.keys(form.fields).filter((field) => !(field in layout.fields));
      lines.push(`op ${op}: ${own.join(', ')}`);
    }
  }
  return spec.data === null ? lines : [...lines, ...dataLines(spec.data)];
}

function fieldLines(layout: Layout, spec?: IoctlSpec): string[] {
  return Object.entries(layout.fields).map(([name, { kind, offset, count }]: [string, Field]) => {
    const type = count > 1 ? `${kind}[${count}]` : kind;
    const both = spec?.answers.includes(name) ?? false;
    const direction = name.startsWith('out_') ? 'out' : both ? 'in/out' : 'in';
    const symbols = symbolsOf(layout.name, name);
    const names =
      symbols === undefined ? '' : Object.keys(symbols.names).join(nameSeparator(symbols.kind));
    const place = `  ${String(offset).padStart(3)} ${type.padEnd(6)} ${direction.padEnd(6)}`;
    return `${place} ${name}${names && `  (${names})`}`;
  });
}

function nameSeparator(kind: 'flags' | 'enum'): string {
  return kind === 'flags' ? ' | ' : ', ';
}

function dataLines(data: DataSpec): string[] {
  switch (data.form) {
    case 'ranges':
      return [
        data.filled ? 'data: answered, a list of {start, last}' : 'data: list of {start, last}',
      ];
    case 'bitmap':
      return ['data: answered, the numbers (IOVA / page_size) of the pages that were written'];
    default:
      return Object.entries(data.layouts).flatMap(([type, layout]) =>
        layout === null
          ? []
          : [`data of type ${type}: struct ${layout.name}`, ...fieldLines(layout)],
      );
  }
}
