/** Open files: open, close, read and write with their messages decoded, poll, mmap. */
import { VEVENTS } from '../../../hw/host/iommufd/client/driver-data.ts';
import { IommufdFile } from '../../../hw/host/iommufd/iommufd-file.ts';
import { EventQueue } from '../../../hw/host/iommufd/objects/event-queue.ts';
import { Veventq } from '../../../hw/host/iommufd/objects/veventq.ts';
import { encode, type Inputs } from '../../../hw/host/iommufd/uapi/codec.ts';
import * as C from '../../../hw/host/iommufd/uapi/constants.ts';
import type { Fields, Layout } from '../../../hw/host/iommufd/uapi/layout.ts';
import {
  HWPT_PAGE_RESPONSE,
  HWPT_PGFAULT,
  VEVENT_HEADER,
} from '../../../hw/host/iommufd/uapi/structs.ts';
import { errnoName } from '../../../hw/host/kernel/errno.ts';
import type { SyscallResult } from '../../../hw/host/kernel/syscalls.ts';
import { InputError } from '../../../sim/errors.ts';
import { resultLine } from '../calls.ts';
import { type DumpField, dumpFields, fieldLines, hexNumber, hexOf, memoryLines } from '../dump.ts';
import type { Answer, Outcome, Session } from '../session.ts';
import { bytesOf, fieldValue, parseAddress, parseCount } from '../values.ts';
import type { Item } from '../words.ts';
import type { ToolCommand } from './command.ts';

const READ_BYTES = 4096;
/** Room that a read finds at most; more than files here ever have. */
const ROOM_BYTES = 1 << 20;
const EVENTS: readonly (readonly [string, number])[] = [
  ['IN', 0x1],
  ['OUT', 0x4],
  ['ERR', 0x8],
  ['HUP', 0x10],
  ['NVAL', 0x20],
  ['RDNORM', 0x40],
  ['WRNORM', 0x100],
];
const ALL_EVENTS = 0x145;

export function answerOf({ value, errno, rule }: SyscallResult): Answer {
  return { value, errno, error: errno === 0 ? '' : errnoName(errno), rule };
}

/** Outcome of a system call that says little but its result. */
export function syscall(
  session: Session,
  what: string,
  answer: Answer,
  more: readonly string[] = [],
  record: Readonly<Record<string, unknown>> = {},
): Outcome {
  return {
    lines: [`${what} ${resultLine(session, answer)}`, ...more],
    record: { call: what, ...answer, ...record },
    answer,
  };
}

const open: ToolCommand = {
  name: 'open',
  group: 'files',
  usage: '[/dev/iommu]',
  help: 'opens a node; ioctls go to the /dev/iommu or /dev/vfio/vfio opened last',
  run(session, args) {
    const path = args.word() ?? '/dev/iommu';
    const name = args.named('as');
    args.end();
    const answer = answerOf(session.machine.process.calls.open(path));
    const device = session.machine.devices.find((found) => found.path === path);
    if (answer.errno === 0) {
      session.names.set(name ?? 'fd', BigInt(answer.value));
      if (device !== undefined) session.deviceFds.set(device.name, answer.value);
      if (session.file(answer.value) instanceof IommufdFile) session.fd = answer.value;
    }
    return syscall(session, `open ${path}`, answer);
  },
};

const close: ToolCommand = {
  name: 'close',
  group: 'files',
  usage: '[fd | device]',
  help: 'closes a descriptor, by default that of /dev/iommu; a device is unbound by it',
  run(session, args) {
    const word = args.word();
    args.end();
    const fd = word === null ? session.openFd : fdOf(session, word);
    const answer = answerOf(session.machine.process.calls.close(fd));
    if (answer.errno === 0) {
      if (fd === session.fd) session.fd = -1;
      for (const [name, known] of session.deviceFds) {
        if (known === fd) session.deviceFds.delete(name);
      }
    }
    return syscall(session, `close ${fd}`, answer);
  },
};

const use: ToolCommand = {
  name: 'use',
  group: 'files',
  usage: '<fd>',
  help: 'lets ioctls go to another descriptor',
  run(session, args) {
    const fd = parseCount(args.needed('a descriptor'), 'fd', session.names);
    args.end();
    const file = session.file(fd);
    if (file === null) throw new InputError('ioctl-fd', `descriptor ${fd} is not open`);
    session.fd = fd;
    return {
      lines: [`ioctls go to fd ${fd} (${file.kind})`],
      record: { fd, kind: file.kind },
      answer: null,
    };
  },
};

/** A descriptor, or the name of a device that is open. */
export function fdOf(session: Session, word: string): number {
  return session.deviceFds.get(word) ?? parseCount(word, 'descriptor', session.names);
}

const read: ToolCommand = {
  name: 'read',
  group: 'files',
  usage: '<fd> [bytes]',
  help: 'reads a file; page requests and events of a vIOMMU are decoded',
  run(session, args) {
    const fd = fdOf(session, args.needed('a descriptor, like @fault_fd'));
    const word = args.word();
    args.end();
    const whole = session.file(fd)?.kind === 'fault' ? HWPT_PGFAULT.size : 1;
    const room = READ_BYTES - (READ_BYTES % whole);
    const count = word === null ? room : parseCount(word, 'bytes', session.names);
    const { process } = session.machine;
    session.scratch.reset();
    const address = session.scratch.place(new Uint8Array(Math.min(count, ROOM_BYTES)));
    const answer = answerOf(process.read(fd, address, count));
    if (answer.errno !== 0) return syscall(session, `read ${fd} ${count}`, answer);
    const bytes = new Uint8Array(answer.value);
    process.peek(address, bytes);
    const messages = messagesOf(session, fd, bytes);
    const lines =
      messages === null
        ? memoryLines(bytes, bytes, session.palette)
        : messages.flatMap(({ title, fields }) => [
            session.palette.head(`  ${title}`),
            ...fieldLines(fields, session.palette),
          ]);
    const nothing = bytes.length === 0 ? ['  nothing waits to be read'] : [];
    return syscall(session, `read ${fd} ${count}`, answer, [...lines, ...nothing], {
      bytes: hexOf(bytes),
      messages: messages?.map(({ title, fields }) => ({
        message: title,
        ...Object.fromEntries(fields.map(({ name, after }) => [name, after])),
      })),
    });
  },
};

interface Message {
  readonly title: string;
  readonly fields: readonly DumpField[];
}

/** Messages of a queue; null: the file has none that are known. */
function messagesOf(session: Session, fd: number, bytes: Uint8Array): Message[] | null {
  const file = session.file(fd);
  if (file?.kind === 'fault') {
    const { size } = HWPT_PGFAULT;
    return Array.from({ length: bytes.length / size }, (_, i) =>
      message(`page request ${i}`, HWPT_PGFAULT, bytes.subarray(i * size)),
    );
  }
  if (file?.kind !== 'veventq') return null;
  const layout = eventLayout(session, fd);
  const messages: Message[] = [];
  const { size } = VEVENT_HEADER;
  for (let at = 0; at + size <= bytes.length; ) {
    const header = message(`event ${messages.length}`, VEVENT_HEADER, bytes.subarray(at));
    const flags = new DataView(bytes.buffer, at).getUint32(VEVENT_HEADER.at.flags, true);
    at += size;
    if ((flags & C.IOMMU_VEVENTQ_FLAG_LOST_EVENTS) !== 0 || layout === null) {
      messages.push(header);
      if (layout === null) break;
      continue;
    }
    const data = message('', layout, bytes.subarray(at)).fields;
    const moved = data.map((field) => ({ ...field, offset: field.offset + size }));
    messages.push({ title: header.title, fields: [...header.fields, ...moved] });
    at += layout.size;
  }
  return messages;
}

function message(title: string, layout: Layout, bytes: Uint8Array): Message {
  const own = bytes.subarray(0, layout.size);
  return { title, fields: dumpFields(layout, own, own) };
}

/** What the events of a queue's descriptor look like. */
function eventLayout(session: Session, fd: number): Layout | null {
  const file = session.file(fd);
  const { process } = session.machine.process.calls;
  for (const open of process.openFds()) {
    const known = process.file(open);
    if (!(known instanceof IommufdFile)) continue;
    const queue = known.context.objects
      .objects()
      .find((object) => object instanceof EventQueue && object.file === file);
    if (!(queue instanceof Veventq)) continue;
    const type = Object.values(VEVENTS).find(({ number }) => number === queue.events);
    if (type !== undefined) return type.layout as Layout;
  }
  return null;
}

const write: ToolCommand = {
  name: 'write',
  group: 'files',
  usage: '<fd> cookie=1 code=success [cookie=2 ...] | <fd> hex:...',
  help: 'writes to a file; answers to page requests are given by their fields',
  options: ['cookie=', 'code='],
  run(session, args) {
    const fd = fdOf(session, args.needed('a descriptor, like @fault_fd'));
    const word = args.word();
    const items = args.rest();
    const bytes =
      word === null ? responses(session, items) : (bytesOf(word) ?? refuse(`"${word}"`));
    const { process } = session.machine;
    session.scratch.reset();
    const address = bytes.length === 0 ? 0n : session.scratch.place(bytes);
    const answer = answerOf(process.write(fd, address, bytes.length));
    const lines =
      word === null
        ? fieldLines(
            Array.from({ length: bytes.length / HWPT_PAGE_RESPONSE.size }, (_, i) => {
              const at = i * HWPT_PAGE_RESPONSE.size;
              return message('', HWPT_PAGE_RESPONSE, bytes.subarray(at)).fields;
            }).flat(),
            session.palette,
          )
        : memoryLines(bytes, bytes, session.palette);
    return {
      lines: [...lines, `write ${fd} ${bytes.length} ${resultLine(session, answer)}`],
      record: { call: `write ${fd}`, bytes: hexOf(bytes), ...answer },
      answer,
    };
  },
};

/** Responses to page requests; each `cookie=` begins one. */
function responses(session: Session, items: readonly Item[]): Uint8Array {
  const list: Record<string, number>[] = [];
  for (const item of items) {
    if (item.kind === 'word' || item.value === null || !(item.name in HWPT_PAGE_RESPONSE.fields)) {
      refuse(`"${item.kind === 'word' ? item.text : item.name}"`);
    }
    const { name } = item;
    if (name === 'cookie' || list.length === 0) list.push({});
    const value = fieldValue(HWPT_PAGE_RESPONSE, name, item.value, session.names);
    (list.at(-1) as Record<string, number>)[name] = Number(value);
  }
  const parts = list.map((fields) =>
    encode<Fields>(HWPT_PAGE_RESPONSE, fields as unknown as Inputs<Fields>),
  );
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function refuse(what: string): never {
  throw new InputError(
    'ioctl-usage',
    `write: ${what} is neither cookie= and code= nor bytes (hex:0102)`,
  );
}

const poll: ToolCommand = {
  name: 'poll',
  group: 'files',
  usage: '<fd>',
  help: 'tells what a descriptor is ready for',
  run(session, args) {
    const fd = fdOf(session, args.needed('a descriptor'));
    args.end();
    const ready = session.machine.process.poll(fd, ALL_EVENTS);
    const names = EVENTS.flatMap(([name, bit]) => ((ready & bit) !== 0 ? [name] : []));
    return {
      lines: [`poll ${fd}: ${names.length === 0 ? 'not ready' : names.join(' ')}`],
      record: { call: `poll ${fd}`, ready: names },
      answer: null,
    };
  },
};

const mmap: ToolCommand = {
  name: 'mmap',
  group: 'files',
  usage: '<fd> <offset> <length> [name]',
  help: 'maps pages of a file, such as those that a vIOMMU offers; names the address',
  run(session, args) {
    const { names } = session;
    const fd = fdOf(session, args.needed('a descriptor'));
    const offset = parseAddress(args.needed('an offset'), 'offset', names);
    const length = parseAddress(args.needed('a length'), 'length', names);
    const name = args.word();
    args.end();
    const answer = answerOf(session.machine.process.mapRegion(fd, offset, length));
    const what = `mmap fd ${fd} offset ${hexNumber(offset)} length ${hexNumber(length)}`;
    if (answer.errno !== 0) return syscall(session, what, answer);
    const memory = session.remember(
      name,
      BigInt(answer.value),
      Number(length),
      `pages of fd ${fd}`,
    );
    const lines = [`  @${memory.name} = ${hexNumber(memory.address)}`];
    return syscall(session, what, answer, lines, { name: memory.name });
  },
};

export const FILE_COMMANDS: readonly ToolCommand[] = [open, close, use, read, write, poll, mmap];
