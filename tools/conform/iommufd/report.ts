/** Differences for a person: one case in full, and all of a file in groups. */
import { bytesOf, type IoctlOp, type RecordedCase, type RecordedOp } from './cases.ts';
import type { CaseMismatch } from './replay.ts';
import { layoutOf, structText } from './structs.ts';

const SHOWN_BYTES = 48;

/** Several lines: where, what differs, the rule, and what the call was given. */
export function mismatchText(of: RecordedCase, mismatch: CaseMismatch): string {
  const { step, op, field, expected, got, rule } = mismatch;
  const where = op === null ? 'at the end' : `op ${step} of ${of.ops.length}, ${callText(op)}`;
  const lines = [`${of.id} ${where}`, `  ${field}: expected ${expected}, got ${got}`];
  if (rule !== '') lines.push(`  rule: ${rule}`);
  if (op?.op === 'ioctl') lines.push(...inputLines(op));
  return lines.join('\n');
}

/** The call in one line, without its argument. */
function callText(op: RecordedOp): string {
  const process = op.proc === undefined ? '' : ` by process ${op.proc}`;
  switch (op.op) {
    case 'ioctl':
      return `${op.name === '?' ? `ioctl ${op.cmd}` : op.name} on fd ${op.fd}${process}`;
    case 'open':
      return `open ${op.path}${process}`;
    case 'phys':
    case 'mem':
      return `${op.op} at ${op.va}${process}`;
    case 'poll':
      return `poll of ${op.fds.map(([fd, events]) => `fd ${fd} for ${events}`).join(', ')}${process}`;
    default: {
      const { op: name, ret: _ret, err: _err, proc: _proc, ...fields } = op as unknown as Fields;
      const text = Object.entries(fields).map(([key, value]) => `${key} ${value}`);
      return `${name} ${text.join(', ')}${process}`;
    }
  }
}

type Fields = Readonly<Record<string, unknown>>;

function inputLines(op: IoctlOp): string[] {
  const lines: string[] = [];
  if (op.arg !== undefined) lines.push(`  argument: ${op.arg}`);
  if (op.in !== undefined) {
    const layout = layoutOf(op.name);
    const bytes = bytesOf(op.in);
    const text = layout === null ? hexText(op.in) : structText(layout, bytes);
    const cut = op.w === undefined ? '' : ` (${bytes.length} of ${op.w} bytes are mapped)`;
    lines.push(`  argument${op.a === undefined ? '' : ` at ${op.a}`}: ${text}${cut}`);
  }
  for (const { va, len, in: before } of op.ptr ?? []) {
    const text = before === undefined ? '' : `: ${hexText(before)}`;
    lines.push(`  ${len} bytes at ${va}${text}`);
  }
  return lines;
}

function hexText(hex: string): string {
  if (hex === '') return 'not readable';
  const words = hex.slice(0, 2 * SHOWN_BYTES).match(/.{1,8}/g) ?? [];
  return `${words.join(' ')}${hex.length > 2 * SHOWN_BYTES ? ' ...' : ''}`;
}

/** Counts differences that look alike. */
export class MismatchGroups {
  private readonly groups = new Map<string, { count: number; example: string }>();

  add(of: RecordedCase, { step, op, field, expected, got }: CaseMismatch): void {
    const call = op === null ? 'end' : op.op === 'ioctl' ? op.name : op.op;
    // Numbers differ from case to case; names of errors and of failures do not.
    const named = /^[A-Z]|success/.test(expected);
    const values = named ? `expected ${expected}, got ${got}` : field === 'simulator' ? got : '';
    const text = values === '' ? field : `${field}: ${values}`;
    const key = `${call}: ${text.replace(/0x[0-9a-f]+|\d+/g, 'n')}`;
    const group = this.groups.get(key);
    if (group === undefined) this.groups.set(key, { count: 1, example: `${of.id} op ${step}` });
    else group.count++;
  }

  /** Largest group first. */
  lines(): string[] {
    const sorted = [...this.groups].sort(([, a], [, b]) => b.count - a.count);
    return sorted.map(([key, { count, example }]) => {
      return `${String(count).padStart(5)} x ${key} (${example})`;
    });
  }
}
