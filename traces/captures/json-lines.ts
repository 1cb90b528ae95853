/**
 * Files of a capture folder: JSON lines, plain or gzip. Every complaint names file and line. The
 * text of a file is never held as one string: lines are decoded one at a time.
 */
import { readFileSync } from 'node:fs';
import { constants, gunzipSync } from 'node:zlib';
import { InputError } from '../../sim/errors.ts';

const NEWLINE = 0x0a;

/** One line of a JSON-lines file, checked to be an object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The bytes of a file, inflated when its name ends in `.gz`. */
export function readBytes(path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new InputError('capture.file', `${path}: cannot be read: ${reasonOf(error)}`);
  }
  if (!path.endsWith('.gz')) return bytes;
  try {
    return gunzipSync(bytes);
  } catch (error) {
    throw new InputError(
      'capture.gzip',
      `${path}: damaged or cut short${lastWholeLine(bytes)}: ${reasonOf(error)}`,
    );
  }
}

/** How far a damaged gzip file can be read, for the message. */
function lastWholeLine(bytes: Buffer): string {
  try {
    const part = gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
    return ` after ${part.length} bytes (line ${countLines(part)})`;
  } catch {
    return '';
  }
}

/** Number of lines; a last line without its newline counts. */
export function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return bytes.length > 0 && bytes[bytes.length - 1] !== NEWLINE ? lines + 1 : lines;
}

/** A line being read, with typed access to its fields. Reused from line to line. */
export class Line {
  readonly path: string;
  number = 0;
  object: JsonObject = {};

  constructor(path: string) {
    this.path = path;
  }

  error(what: string): InputError {
    return new InputError('capture.line', `${this.path}:${this.number}: ${what}`);
  }

  has(key: string): boolean {
    return this.object[key] !== undefined && this.object[key] !== null;
  }

  text(key: string): string {
    const value = this.object[key];
    if (typeof value === 'string') return value;
    throw this.error(`"${key}": expected a string, found ${shown(value)}`);
  }

  /** A whole number that is not negative. */
  integer(key: string): number {
    const value = this.object[key];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.error(`"${key}": expected a whole number, found ${shown(value)}`);
  }

  integerOr(key: string, absent: number): number {
    return this.has(key) ? this.integer(key) : absent;
  }

  /** A hexadecimal string `0x...` of at most 64 bits. */
  hex(key: string): string {
    const value = this.object[key];
    if (typeof value === 'string' && /^0x[0-9a-fA-F]{1,16}$/.test(value)) return value;
    throw this.error(`"${key}": expected a hexadecimal string, found ${shown(value)}`);
  }

  big(key: string): bigint {
    return BigInt(this.hex(key));
  }
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

/** Calls `visit` for each line of `bytes`; empty lines are skipped. */
export function eachLine(path: string, bytes: Buffer, visit: (line: Line) => void): void {
  const line = new Line(path);
  for (let start = 0; start < bytes.length; ) {
    let end = bytes.indexOf(NEWLINE, start);
    if (end < 0) end = bytes.length;
    line.number++;
    if (end > start) {
      line.object = parseObject(line, bytes.toString('utf8', start, end));
      visit(line);
    }
    start = end + 1;
  }
}

function parseObject(line: Line, text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw line.error(`not JSON: ${reasonOf(error)}`);
  }
  if (typeof value === 'object' && value !== null) return value as JsonObject;
  throw line.error(`expected an object, found ${shown(value)}`);
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
