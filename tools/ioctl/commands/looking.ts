/** Looking at a context from outside: objects, areas, translations, counters, names, history. */

import { PROT_READ, PROT_WRITE } from '../../../hw/host/iommufd/driver.ts';
import type { Area } from '../../../hw/host/iommufd/iopt/area.ts';
import type { IommufdObject } from '../../../hw/host/iommufd/object.ts';
import { HwptNested } from '../../../hw/host/iommufd/objects/hwpt-nested.ts';
import { HwptPaging } from '../../../hw/host/iommufd/objects/hwpt-paging.ts';
import { Ioas } from '../../../hw/host/iommufd/objects/ioas.ts';
import { InputError } from '../../../sim/errors.ts';
import { formatBytes } from '../../../sim/units.ts';
import { left, type Paint, right, tableLines } from '../../report/table.ts';
import { count } from '../../report/text.ts';
import { hexNumber } from '../dump.ts';
import { detailsOf, holdersOf } from '../holders.ts';
import type { Session } from '../session.ts';
import { parseAddress, parseCount } from '../values.ts';
import { type ToolCommand, told } from './command.ts';

/** Areas that are listed when nobody says how many. */
const AREAS_SHOWN = 40;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

const objects: ToolCommand = {
  name: 'objects',
  group: 'looking',
  usage: '',
  help: 'lists the objects of the open /dev/iommu: what they are, and who holds them',
  run(session, args) {
    args.end();
    const context = session.context();
    const holders = holdersOf(context);
    const list = context.objects.objects().map((object) => ({
      id: object.id,
      type: object.type,
      users: object.users,
      held_by: holders.get(object) ?? [],
      details: detailsOf(object),
    }));
    if (list.length === 0) return told(['no objects yet'], { objects: [] });
    const rows = list.map(({ id, type, users, held_by, details }) => [
      String(id),
      type,
      String(users),
      details,
      held_by.join(', '),
    ]);
    const heads = ['id', 'type', 'users', 'what', 'held by (and by the table)'];
    return told(columns(heads, rows, session.palette.head), { objects: list });
  },
};

/** Like a table of a report, but nothing is cut. */
function columns(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  paint: Paint,
): string[] {
  const widths = heads.map((head, c) =>
    Math.max(head.length, ...rows.map((row) => (row[c] ?? '').length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, c) => cell.padEnd(widths[c] ?? 0))
      .join('  ')
      .trimEnd();
  return [paint(line(heads)), ...rows.map(line)];
}

/** An object by its id; the type is the caller's business. */
function objectOf(session: Session, word: string): IommufdObject {
  const id = parseCount(word, 'object', session.names);
  const object = session.context().objects.peek(id);
  if (object !== null) return object;
  throw new InputError('ioctl-object', `there is no object ${id} (objects)`);
}

function ioasOf(session: Session, word: string): Ioas {
  const object = objectOf(session, word);
  if (object instanceof Ioas) return object;
  if (object instanceof HwptPaging) return object.ioas;
  throw new InputError('ioctl-object', `object ${object.id} is a ${object.type}, and has no areas`);
}

const areas: ToolCommand = {
  name: 'areas',
  group: 'looking',
  usage: '[ioas] [--first n]',
  help: 'lists the mappings of an IOAS, its reserved and allowed ranges; by default of @ioas',
  options: ['--first'],
  run(session, args) {
    const { table, id } = ioasOf(session, args.word() ?? '@ioas');
    const first = args.named('first');
    args.end();
    const most = first === null ? AREAS_SHOWN : parseCount(first, '--first', session.names);
    const shown: Area[] = [];
    for (
      let area = table.areas.first;
      area !== null && shown.length < most;
      area = table.areas.next(area)
    ) {
      shown.push(area);
    }
    const heads = ['iova', 'last', 'length', 'access', 'memory', 'state'].map(left);
    const rows = shown.map(areaRow);
    const more = table.areas.size - shown.length;
    const lines = [
      `ioas ${id}: ${count(table.areas.size)} areas in ${table.domains.length} domains, ` +
        `alignment ${table.alignment}, large pages ${table.largePages ? 'on' : 'off'}`,
      ...(shown.length === 0 ? [] : tableLines(heads, rows, session.palette.head)),
      ...(more > 0 ? [`${count(more)} more (--first n)`] : []),
      ...rangeLines('reserved', table.reserved),
      ...rangeLines('allowed', table.allowed),
    ];
    return told(lines, {
      ioas: id,
      count: table.areas.size,
      alignment: table.alignment,
      areas: shown.map(areaRecord),
      reserved: table.reserved.map(rangeRecord),
      allowed: table.allowed.map(rangeRecord),
    });
  },
};

interface Range {
  readonly start: bigint;
  readonly last: bigint;
}

function rangeLines(what: string, ranges: readonly Range[]): string[] {
  return ranges.map(({ start, last }) => `${what} ${hexNumber(start)}-${hexNumber(last)}`);
}

function rangeRecord({ start, last }: Range): Readonly<Record<string, unknown>> {
  return { start: hexNumber(start), last: hexNumber(last) };
}

function accessText({ prot }: Area): string {
  return `${(prot & PROT_READ) !== 0 ? 'r' : '-'}${(prot & PROT_WRITE) !== 0 ? 'w' : '-'}`;
}

function areaRow(area: Area): string[] {
  const { iova, last, length, pages } = area;
  const exact = length <= BigInt(Number.MAX_SAFE_INTEGER);
  const offset = BigInt(area.index) * 4096n + BigInt(area.pageOffset);
  const state = [
    area.filled ? 'mapped' : 'in no domain',
    ...(pages.refs > 1 ? [`pages shared by ${pages.refs}`] : []),
    ...(area.accesses > 0 ? [`${area.accesses} pins`] : []),
    ...(area.locks > 0 ? ['locked'] : []),
  ];
  return [
    hexNumber(iova),
    hexNumber(last),
    exact ? formatBytes(Number(length)) : hexNumber(length),
    accessText(area),
    `${pages.kind} ${hexNumber(pages.addressOf(offset))}`,
    state.join(', '),
  ];
}

function areaRecord(area: Area): Readonly<Record<string, unknown>> {
  const { iova, last, length, pages, filled, accesses, locks } = area;
  return {
    ...rangeRecord({ start: iova, last }),
    length: hexNumber(length),
    access: accessText(area),
    memory: pages.kind,
    shared_by: pages.refs,
    filled,
    accesses,
    locks,
  };
}

const translate: ToolCommand = {
  name: 'translate',
  group: 'looking',
  usage: '<hwpt or ioas> <iova>',
  help: 'says where an IOVA leads in the tables of a page table, or of all of an IOAS',
  run(session, args) {
    const object = objectOf(session, args.needed('a page table, like @hwpt'));
    const iova = parseAddress(args.needed('an IOVA'), 'iova', session.names);
    args.end();
    const tables = translatedBy(object);
    const results = tables.map((hwpt) => ({
      hwpt: hwpt.id,
      address: hwpt.domain.iovaToPhys(iova),
    }));
    const lines = results.map(({ hwpt, address }) => {
      const to = address === null ? 'nothing is mapped' : hexNumber(address);
      const paint = address === null ? session.palette.bad : session.palette.good;
      return `hwpt ${hwpt}: ${hexNumber(iova)} -> ${paint(to)}`;
    });
    const record = results.map(({ hwpt, address }) => ({
      hwpt,
      address: address === null ? null : hexNumber(address),
    }));
    return told(lines, { iova: hexNumber(iova), translations: record });
  },
};

function translatedBy(object: IommufdObject): readonly HwptPaging[] {
  if (object instanceof HwptPaging) return [object];
  if (object instanceof HwptNested) {
    throw new InputError(
      'ioctl-object',
      `hwpt ${object.id} is nested: its first stage is the guest's own; what it leads to is ` +
        `translated by its parent (translate ${object.parent.id} ...)`,
    );
  }
  if (object instanceof Ioas && object.hwpts.length > 0) return object.hwpts as HwptPaging[];
  const why =
    object instanceof Ioas ? 'has no page table yet: attach a device' : 'translates nothing';
  throw new InputError('ioctl-object', `object ${object.id} (${object.type}) ${why}`);
}

const counters: ToolCommand = {
  name: 'counters',
  group: 'looking',
  usage: '',
  help: 'tells what is pinned, charged and allocated',
  run(session, args) {
    args.end();
    const { kernel, process } = session.machine;
    const { space, user } = process.calls.process;
    const { memory, pins, pages } = kernel;
    const figures: Readonly<Record<string, number>> = {
      'pinned frames (all pins)': pins.total,
      'frames of memory in use': pages.inUse,
      'pinned_vm of the process, pages': space.pinnedVm,
      'locked_vm of the process, pages': space.lockedVm,
      'locked memory of the user, pages': user.lockedPages,
      'kernel memory, bytes': memory.bytes,
      'kernel memory at most, bytes': memory.peakBytes,
      'kernel allocations': memory.allocations,
      ...session.machine.counters(),
    };
    const heads = [left('counter'), right('')];
    const rows = Object.entries(figures).map(([name, value]) => [name, count(value)]);
    return told(tableLines(heads, rows, session.palette.head).slice(1), { counters: figures });
  },
};

const names: ToolCommand = {
  name: 'names',
  group: 'looking',
  usage: '',
  help: 'lists the names for ids, descriptors and addresses; write them with @',
  run(session, args) {
    args.end();
    const lines = [...session.names].map(([name, value]) => {
      const large = value > U64_MAX >> 48n;
      return `@${name} = ${large ? hexNumber(value) : value}`;
    });
    const list = Object.fromEntries([...session.names].map(([n, v]) => [n, hexNumber(v)]));
    return told(lines.length === 0 ? ['no names yet'] : lines, { names: list });
  },
};

const history: ToolCommand = {
  name: 'history',
  group: 'looking',
  usage: '',
  help: 'lists the commands so far with their results',
  run(session, args) {
    args.end();
    const lines = session.history.map(
      ({ line, result }, i) => `${String(i + 1).padStart(4)}  ${line}${result && `  ${result}`}`,
    );
    return told(lines, { history: [...session.history] });
  },
};

export const LOOKING_COMMANDS: readonly ToolCommand[] = [
  objects,
  areas,
  translate,
  counters,
  names,
  history,
];
