/** An ioctl by name: makes the call and tells its bytes, answers, and the rule that refused. */
import {
  type BufferReport,
  type CallReport,
  callByName,
  type DecodedFields,
} from '../../hw/host/iommufd/client/call.ts';
import { decode, type Integer } from '../../hw/host/iommufd/uapi/codec.ts';
import { IOCTLS, type IoctlSpec } from '../../hw/host/iommufd/uapi/ioctls.ts';
import type { Fields, Layout } from '../../hw/host/iommufd/uapi/layout.ts';
import { IOVA_RANGE } from '../../hw/host/iommufd/uapi/structs.ts';
import { type Described, describe } from '../../hw/host/iommufd/uapi/symbolic.ts';
import {
  type DumpField,
  dumpFields,
  fieldLines,
  hexNumber,
  hexOf,
  memoryLines,
  valueText,
} from './dump.ts';
import { type CallPlan, planCall } from './fields.ts';
import type { Answer, Outcome, Session } from './session.ts';
import { kebab } from './values.ts';
import type { Item } from './words.ts';

/** Pages of a bitmap that are listed. */
const PAGES_SHOWN = 16;

/** Runs an ioctl as it was typed. */
export function runIoctl(session: Session, key: string, items: readonly Item[]): Outcome {
  return runPlan(session, planCall(session, key, items));
}

/** Runs an ioctl with the words of a command that stands for it. */
export function runAs(session: Session, key: string, ...words: readonly string[]): Outcome {
  const items = words.map((word): Item => {
    const [, name, value] = /^(?:--)?([\w-]+)=(.*)$/.exec(word) ?? [];
    if (name === undefined || value === undefined) return { kind: 'word', text: word };
    return { kind: word.startsWith('--') ? 'option' : 'pair', name, value };
  });
  return runIoctl(session, key, items);
}

function runPlan(session: Session, plan: CallPlan): Outcome {
  const { process } = session.machine;
  const report = callByName(process, session.scratch, plan.fd, plan.key, plan.fields, plan.options);
  nameAnswers(session, plan, report);
  const spec = IOCTLS[plan.key] ?? null;
  const fields = plan.layout === null ? [] : dumpFields(plan.layout, report.sent, report.returned);
  const buffers = report.buffers.map((buffer) => describeBuffer(spec, plan.layout, report, buffer));
  return {
    lines: [
      ...(session.brief
        ? [briefLine(session, plan, report)]
        : callLines(session, plan, report, fields, buffers)),
    ],
    record: {
      call: report.name,
      fd: report.fd,
      word: hexNumber(report.word),
      argument: hexNumber(report.address),
      value: report.value,
      errno: report.errno,
      error: report.error,
      rule: report.rule,
      sent: hexOf(report.sent),
      returned: hexOf(report.returned),
      changed: fields.filter(({ changed }) => changed).map(({ name }) => name),
      out: report.out,
      data: report.data,
      buffers: report.buffers.map(({ field, address, sent, returned }) => ({
        field,
        address: hexNumber(address),
        sent: hexOf(sent),
        returned: hexOf(returned),
      })),
      ...(plan.notes.length > 0 && { filled: plan.notes }),
    },
    answer: report,
  };
}

/** Ids and descriptors of an answer get names: @ioas is the IOAS made last. */
function nameAnswers(session: Session, plan: CallPlan, report: CallReport): void {
  if (report.errno !== 0) return;
  let first = true;
  const { data } = report;
  const told = data === null || Array.isArray(data) ? {} : (data as DecodedFields);
  for (const [field, value] of [...Object.entries(report.out), ...Object.entries(told)]) {
    const [, what] = /^out_(\w+?)(?:_id)?$/.exec(field) ?? [];
    if (what === undefined || !isNewName(field) || typeof value === 'object') continue;
    session.names.set(what, BigInt(value));
    if (first && plan.name !== null) session.names.set(plan.name, BigInt(value));
    first = false;
  }
  const { iova, dst_iova } = report.out;
  if (first && plan.name !== null && (iova ?? dst_iova) !== undefined) {
    session.names.set(plan.name, BigInt((iova ?? dst_iova) as bigint));
  }
}

function isNewName(field: string): boolean {
  return /_id$|_fd$|_devid$|offset$|length$/.test(field);
}

interface DescribedBuffer extends BufferReport {
  /** What is in it; empty: plain bytes. */
  readonly struct: string;
  readonly fields: readonly DumpField[];
  /** Bytes at the end that are zero and stay so. */
  readonly silent: number;
}

function describeBuffer(
  spec: IoctlSpec | null,
  argument: Layout | null,
  report: CallReport,
  buffer: BufferReport,
): DescribedBuffer {
  const { layout, size } = bufferLayout(spec, argument, report, buffer.field);
  if (layout === null || size === 0) return { ...buffer, struct: '', fields: [], silent: 0 };
  const fields: DumpField[] = [];
  const many = buffer.sent.length > size;
  let told = buffer.sent.length;
  while (told > size && isSilent(buffer, told - size, told)) told -= size;
  for (let at = 0; at < told; at += size) {
    const slice = (bytes: Uint8Array): Uint8Array => bytes.subarray(at, at + size);
    const prefix = many && told > size ? `[${at / size}].` : '';
    const own = dumpFields(layout, slice(buffer.sent), slice(buffer.returned), prefix);
    fields.push(...own.map((field) => ({ ...field, offset: field.offset + at })));
  }
  return { ...buffer, struct: layout.name, fields, silent: buffer.sent.length - told };
}

function isSilent({ sent, returned }: BufferReport, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (sent[i] !== 0 || returned[i] !== 0) return false;
  return true;
}

/** The structure in a buffer, and how far apart its elements are. */
function bufferLayout(
  spec: IoctlSpec | null,
  argument: Layout | null,
  report: CallReport,
  field: string,
): { layout: Layout | null; size: number } {
  const data = spec?.data ?? null;
  const nothing = { layout: null, size: 0 };
  if (data === null || argument === null || data.pointer !== field) return nothing;
  if (data.form === 'ranges') return { layout: IOVA_RANGE, size: IOVA_RANGE.size };
  if (data.form === 'bitmap') return nothing;
  const values = decode<Fields>(argument, report.returned) as Readonly<Record<string, unknown>>;
  const type = describe(argument.name, data.type, values[data.type] as Integer);
  const layout = data.layouts[String(type)] ?? null;
  if (data.form === 'entries') return { layout, size: Number(values[data.entryLength]) };
  return { layout, size: layout?.size ?? 0 };
}

function callLines(
  session: Session,
  plan: CallPlan,
  report: CallReport,
  fields: readonly DumpField[],
  buffers: readonly DescribedBuffer[],
): string[] {
  const { palette } = session;
  const { name, word, fd, address } = report;
  const where =
    plan.layout === null ? `argument ${hexNumber(address)}` : `at ${hexNumber(address)}`;
  const size = plan.layout === null ? '' : `, ${report.sent.length} bytes`;
  const lines = [palette.title(`${name} (${hexNumber(word)}) on fd ${fd}${size} ${where}`)];
  if (plan.notes.length > 0) lines.push(palette.dim(`  filled in: ${plan.notes.join(', ')}`));
  lines.push(...fieldLines(fields, palette));
  for (const buffer of buffers) lines.push(...bufferLines(session, buffer));
  lines.push(...dataLines(report));
  lines.push(resultLine(session, report));
  return lines;
}

function bufferLines(session: Session, buffer: DescribedBuffer): string[] {
  const { palette } = session;
  const { field, address, sent, returned, struct, fields, silent } = buffer;
  const what = struct === '' ? '' : ` struct ${struct},`;
  const lines = [
    palette.head(`  ${field} ->${what} ${sent.length} bytes at ${hexNumber(address)}`),
    ...(struct === '' ? memoryLines(sent, returned, palette) : fieldLines(fields, palette)),
  ];
  if (silent > 0) lines.push(palette.dim(`         ${silent} bytes more, all zero`));
  return lines;
}

/** What the kernel told of pages; structures are seen in their bytes. */
function dataLines({ data }: CallReport): string[] {
  if (!Array.isArray(data) || data.some((element) => typeof element !== 'number')) return [];
  const shown = data.slice(0, PAGES_SHOWN).map((page) => hexNumber(page as number));
  const more = data.length > PAGES_SHOWN ? ', …' : '';
  return [`  ${data.length} dirty pages${data.length > 0 ? `: ${shown.join(', ')}${more}` : ''}`];
}

/** `-> 0`, or the error with its rule. */
export function resultLine(session: Session, { value, errno, error, rule }: Answer): string {
  const { good, bad } = session.palette;
  const result = value > 0xffff ? hexNumber(value) : value;
  return errno === 0 ? good(`-> ${result}`) : `${bad(`-> ${error} (${errno})`)}: ${rule}`;
}

function briefLine(session: Session, plan: CallPlan, report: CallReport): string {
  const answers = report.errno === 0 ? outText(report.out) : '';
  return `${kebab(plan.key)}${answers} ${resultLine(session, report)}`;
}

function outText(out: DecodedFields): string {
  return Object.entries(out)
    .map(([name, value]: [string, Described]) => ` ${name}=${valueText(value, name)}`)
    .join('');
}
