/**
 * Events of a capture as columns of integers: what the kernel mapped and unmapped, what devices
 * accessed, what the IOMMU took from its command queue, in the order of the recording. One row is
 * one event; addresses are (hi, lo, offset) with lo the low 27 bits of the page number, as
 * everywhere in the simulator.
 */
import { InputError } from '../../sim/errors.ts';
import { countLines, eachLine, type Line, readBytes } from './json-lines.ts';

/** A device was attached to a domain. */
export const EVENT_ATTACH = 0;
/** The kernel mapped or unmapped a range of a domain. */
export const EVENT_MAP = 1;
export const EVENT_UNMAP = 2;
/** A device access was translated. */
export const EVENT_ACCESS = 3;
/** The IOMMU took a command from its queue. */
export const EVENT_COMMAND = 4;
/** A device access was refused. */
export const EVENT_FAULT = 5;
/** The kernel allocated a long-lived buffer for a device. */
export const EVENT_BUFFER = 6;
/** A phase of the workload, or a note; see `text`. */
export const EVENT_MARK = 7;
/** The end: memory image and registers were taken here. */
export const EVENT_DUMP = 8;
/** Anything else; `text` names the kind as the file does. */
export const EVENT_OTHER = 9;

const KINDS: Readonly<Record<string, number>> = {
  attach: EVENT_ATTACH,
  map: EVENT_MAP,
  unmap: EVENT_UNMAP,
  xl: EVENT_ACCESS,
  inv: EVENT_COMMAND,
  fault: EVENT_FAULT,
  dma_alloc: EVENT_BUFFER,
  mark: EVENT_MARK,
  dump: EVENT_DUMP,
};

/** Bits of the access column. */
export const CAPTURE_READ = 1;
export const CAPTURE_WRITE = 2;

const ACCESS_BITS: Readonly<Record<string, number>> = { '': 0, r: 1, w: 2, rw: 3, none: 0 };

/** Bits of a page number kept in the low half. */
const LO_RANGE = 2 ** 27;

export class CaptureEvents {
  readonly count: number;
  /** EVENT_*. */
  readonly kind: Uint8Array;
  /** Microseconds since the first event. */
  readonly timeUs: Float64Array;
  /** Requester id of the device, -1 where the event names none. */
  readonly sid: Int32Array;
  /** Domain of attach, map and unmap as the recording numbers them; -1 not known. */
  readonly domain: Int32Array;
  readonly iovaHi: Int32Array;
  readonly iovaLo: Int32Array;
  readonly iovaOffset: Uint16Array;
  readonly paHi: Int32Array;
  readonly paLo: Int32Array;
  readonly paOffset: Uint16Array;
  /** Bytes of map, unmap and buffer. */
  readonly bytes: Float64Array;
  /** CAPTURE_* bits: of an access what it did (0: not known), of a map what it permits. */
  readonly access: Uint8Array;
  /** Access: the permission of the leaf that served it (CAPTURE_* bits), 0 not known. */
  readonly leaf: Uint8Array;
  /** Access: log2 of the bytes of the page that served it, 12 where the file does not say. */
  readonly pageShift: Uint8Array;
  /** Attach: hardware domain id; fault: reason; -1 not known. */
  readonly code: Int32Array;
  /** Command: its row in `commands`; -1 for other kinds and where the raw words are not known. */
  readonly command: Int32Array;
  /** Row of `strings`: command's name, text of a mark, kind of EVENT_OTHER; -1 none. */
  readonly text: Int32Array;
  /** Four words for each command. */
  commands: Int32Array = new Int32Array(0);
  strings: readonly string[] = [];

  constructor(count: number) {
    this.count = count;
    this.kind = new Uint8Array(count);
    this.timeUs = new Float64Array(count);
    this.sid = new Int32Array(count).fill(-1);
    this.domain = new Int32Array(count).fill(-1);
    this.iovaHi = new Int32Array(count);
    this.iovaLo = new Int32Array(count);
    this.iovaOffset = new Uint16Array(count);
    this.paHi = new Int32Array(count);
    this.paLo = new Int32Array(count);
    this.paOffset = new Uint16Array(count);
    this.bytes = new Float64Array(count);
    this.access = new Uint8Array(count);
    this.leaf = new Uint8Array(count);
    this.pageShift = new Uint8Array(count).fill(12);
    this.code = new Int32Array(count).fill(-1);
    this.command = new Int32Array(count).fill(-1);
    this.text = new Int32Array(count).fill(-1);
  }

  textOf(row: number): string {
    return this.strings[this.text[row]!] ?? '';
  }

  /** Number of events of a kind. */
  total(kind: number): number {
    let n = 0;
    for (let i = 0; i < this.count; i++) if (this.kind[i] === kind) n++;
    return n;
  }
}

/** Reads an events file (`events.jsonl` or `events.jsonl.gz`). */
export function readEvents(path: string): CaptureEvents {
  const bytes = readBytes(path);
  return new EventReader(path, countLines(bytes)).read(bytes);
}

class EventReader {
  readonly #path: string;
  readonly #events: CaptureEvents;
  readonly #numbers = new Map<string, number>();
  #commands = new Int32Array(4096);
  #commandCount = 0;
  #row = 0;

  constructor(path: string, lines: number) {
    this.#path = path;
    this.#events = new CaptureEvents(lines);
  }

  read(bytes: Buffer): CaptureEvents {
    const events = this.#events;
    eachLine(this.#path, bytes, (line) => this.#event(line));
    if (this.#row !== events.count) {
      throw new InputError('capture.lines', `${this.#path}: has empty lines`);
    }
    events.commands = this.#commands.slice(0, this.#commandCount * 4);
    events.strings = [...this.#numbers.keys()];
    return events;
  }

  #event(line: Line): void {
    const events = this.#events;
    const row = this.#row++;
    const name = line.text('k');
    const kind = KINDS[name] ?? EVENT_OTHER;
    events.kind[row] = kind;
    events.timeUs[row] = line.integer('t');
    if (row > 0 && events.timeUs[row]! < events.timeUs[row - 1]!) {
      throw line.error('time goes backwards');
    }
    if (line.has('sid')) events.sid[row] = line.integer('sid');
    if (line.has('dom')) events.domain[row] = line.integer('dom');
    switch (kind) {
      case EVENT_ATTACH:
        if (line.has('did')) events.code[row] = line.integer('did');
        break;
      case EVENT_MAP:
        this.#address(line, row);
        this.#physical(line, row);
        events.bytes[row] = line.integer('size');
        events.access[row] = this.#access(line, 'prot');
        break;
      case EVENT_UNMAP:
      case EVENT_BUFFER:
        this.#address(line, row);
        events.bytes[row] = line.integer('size');
        break;
      case EVENT_ACCESS:
        this.#translated(line, row);
        break;
      case EVENT_FAULT:
        this.#fault(line, row);
        break;
      case EVENT_COMMAND:
        this.#command(line, row);
        break;
      case EVENT_MARK:
        events.text[row] = this.#intern(line.text('text'));
        break;
      case EVENT_OTHER:
        events.text[row] = this.#intern(name);
        break;
      default:
    }
  }

  #translated(line: Line, row: number): void {
    const events = this.#events;
    if (events.sid[row]! < 0) throw line.error('"sid": missing');
    this.#address(line, row);
    this.#physical(line, row);
    if (line.has('acc')) events.access[row] = this.#access(line, 'acc');
    if (line.has('leaf')) events.leaf[row] = line.integer('leaf') & 3;
    if (line.has('mask')) events.pageShift[row] = shiftOfMask(line);
  }

  #fault(line: Line, row: number): void {
    const events = this.#events;
    if (line.has('iova')) this.#address(line, row);
    if (line.has('write')) {
      events.access[row] = line.integer('write') !== 0 ? CAPTURE_WRITE : CAPTURE_READ;
    }
    const reason = line.object.reason;
    if (typeof reason === 'number') events.code[row] = reason;
    else if (typeof reason === 'string') events.text[row] = this.#intern(reason);
  }

  #command(line: Line, row: number): void {
    const events = this.#events;
    if (line.has('type')) events.text[row] = this.#intern(commandName(line));
    const low = line.has('lo') ? 'lo' : 'cmd0';
    const high = line.has('lo') ? 'hi' : 'cmd1';
    if (!line.has(low)) return;
    if (this.#commandCount * 4 === this.#commands.length) {
      const larger = new Int32Array(this.#commands.length * 2);
      larger.set(this.#commands);
      this.#commands = larger;
    }
    const at = this.#commandCount * 4;
    putWords(this.#commands, at, line.hex(low));
    putWords(this.#commands, at + 2, line.hex(high));
    events.command[row] = this.#commandCount++;
  }

  #address(line: Line, row: number): void {
    const text = line.hex('iova');
    const page = pageOf(text);
    this.#events.iovaHi[row] = Math.floor(page / LO_RANGE);
    this.#events.iovaLo[row] = page % LO_RANGE;
    this.#events.iovaOffset[row] = offsetOf(text);
  }

  #physical(line: Line, row: number): void {
    const text = line.hex('pa');
    const page = pageOf(text);
    this.#events.paHi[row] = Math.floor(page / LO_RANGE);
    this.#events.paLo[row] = page % LO_RANGE;
    this.#events.paOffset[row] = offsetOf(text);
  }

  #access(line: Line, key: string): number {
    const bits = ACCESS_BITS[line.text(key)];
    if (bits === undefined) throw line.error(`"${key}": expected r, w or rw`);
    return bits;
  }

  #intern(text: string): number {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(text, number);
    }
    return number;
  }
}

/** `iotlb:page`, `wait:`: type and granularity as the file names them. */
function commandName(line: Line): string {
  return `${line.text('type')}:${line.has('g') ? line.text('g') : ''}`;
}

/** Page number of a hexadecimal string; exact, as 52 bits fit. */
function pageOf(text: string): number {
  return text.length <= 5 ? 0 : Number.parseInt(text.slice(2, -3), 16);
}

function offsetOf(text: string): number {
  return Number.parseInt(text.length <= 5 ? text : text.slice(-3), 16);
}

/** Stores a 64-bit hexadecimal string as two words. */
function putWords(words: Int32Array, at: number, text: string): void {
  const split = Math.max(2, text.length - 8);
  words[at] = Number.parseInt(text.slice(split), 16);
  words[at + 1] = split === 2 ? 0 : Number.parseInt(text.slice(2, split), 16);
}

function shiftOfMask(line: Line): number {
  const size = line.big('mask') + 1n;
  const shift = size.toString(2).length - 1;
  if (1n << BigInt(shift) !== size) throw line.error('"mask": not one less than a power of two');
  return shift;
}
