/**
 * Finds the parts of a trace file. A finished file ends in a footer that names every chunk; one
 * that was cut or damaged there is scanned from its start, frame by frame, as far as it goes.
 */
import { InputError } from '../sim/errors.ts';
import {
  type ByteSource,
  END_FRAME_BYTES,
  FORMAT_VERSION,
  FRAME_CHUNK,
  FRAME_END,
  FRAME_FOOTER,
  FRAME_HEADER,
  FRAME_NAMES,
  FRAME_PREFIX_BYTES,
  isFlaw,
  MAGIC,
  PRELUDE_BYTES,
  readFrame,
  unpackPayload,
} from './format/frame.ts';
import { TraceIndex } from './format/index.ts';
import {
  asChunk,
  asFooter,
  type ChunkMessage,
  checkHeader,
  type FooterMessage,
  type TraceHeader,
} from './format/message.ts';

export interface Located {
  readonly header: TraceHeader;
  readonly index: TraceIndex;
  /** Offset of the first byte behind the last chunk. */
  readonly chunksEnd: number;
  /** Null when the trace is complete. */
  readonly reason: string | null;
}

/** Raises an {@link InputError} when there is no readable header. */
export function locate(source: ByteSource): Located {
  checkPrelude(source);
  const [header, chunksStart] = readHeader(source);
  const footer = findFooter(source, chunksStart);
  if (footer) {
    const index = TraceIndex.fromFooter(footer.message);
    return { header, index, chunksEnd: footer.offset, reason: null };
  }
  return { header, ...scan(source, chunksStart) };
}

function checkPrelude(source: ByteSource): void {
  const start = source.read(0, Math.min(source.size, PRELUDE_BYTES));
  for (let i = 0; i < Math.min(start.length, MAGIC.length); i++) {
    if (start[i] !== MAGIC[i]) {
      throw new InputError('trace-foreign', `${source.name}: not a trace of this program`);
    }
  }
  if (start.length < PRELUDE_BYTES) {
    const detail = `ends after ${start.length} bytes, before its header`;
    throw new InputError('trace-cut', `${source.name}: the trace ${detail}`);
  }
  const version = (start[10] << 8) | start[11];
  if (version === FORMAT_VERSION) return;
  const other = version > FORMAT_VERSION ? 'newer' : 'unknown';
  throw new InputError(
    version > FORMAT_VERSION ? 'trace-newer' : 'trace-version',
    `${source.name}: trace format ${version} is ${other}; this program reads ${FORMAT_VERSION}`,
  );
}

function readHeader(source: ByteSource): [header: TraceHeader, end: number] {
  const frame = readFrame(source, PRELUDE_BYTES);
  const at = `the header at byte ${PRELUDE_BYTES}`;
  if (isFlaw(frame)) {
    const [code, what] =
      frame.kind === 'cut' ? ['trace-cut', 'is cut short'] : ['trace-damaged', 'is damaged'];
    throw new InputError(code, `${source.name}: ${at} ${what} (${frame.detail})`);
  }
  if (frame.type !== FRAME_HEADER) {
    throw new InputError('trace-header', `${source.name}: no header at byte ${PRELUDE_BYTES}`);
  }
  const message = attempt(() => unpackPayload(frame.payload));
  return [checkHeader(message, source.name), PRELUDE_BYTES + frame.bytes];
}

/** The result, or null when a decoder gave up: its errors are of no use to a person. */
function attempt<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch {
    return null;
  }
}

interface FoundFooter {
  readonly offset: number;
  readonly message: FooterMessage;
}

/** The footer that the end of the file points at, if all of that is sound. */
function findFooter(source: ByteSource, chunksStart: number): FoundFooter | null {
  const endOffset = source.size - END_FRAME_BYTES;
  if (endOffset < chunksStart) return null;
  const end = readFrame(source, endOffset);
  if (isFlaw(end) || end.type !== FRAME_END || end.bytes !== END_FRAME_BYTES) return null;
  const offset = attempt(() => unpackPayload(end.payload));
  if (!Number.isSafeInteger(offset)) return null;
  const footerOffset = offset as number;
  if (footerOffset < chunksStart || footerOffset >= endOffset) return null;
  const frame = readFrame(source, footerOffset);
  if (isFlaw(frame) || frame.type !== FRAME_FOOTER) return null;
  if (footerOffset + frame.bytes !== endOffset) return null;
  const message = attempt(() => asFooter(unpackPayload(frame.payload)));
  if (message === null || !entriesFit(message, chunksStart, footerOffset)) return null;
  return { offset: footerOffset, message };
}

/** Chunks must follow one another from the header to the footer, and cycles be cycles. */
function entriesFit(footer: FooterMessage, chunksStart: number, end: number): boolean {
  const { entries } = TraceIndex.fromFooter(footer);
  let least = chunksStart;
  for (let i = 0; i < entries.length; i++) {
    const { offset, first, last } = entries[i];
    if (!Number.isInteger(offset) || offset < least || offset >= end) return false;
    if (i === 0 && offset !== chunksStart) return false;
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) return false;
    if (first < 0 || last < first) return false;
    least = offset + FRAME_PREFIX_BYTES;
  }
  return footer.chunks > 0 || end === chunksStart;
}

/** Indexes the whole chunks from the start on; stops at the first thing that is not one. */
function scan(source: ByteSource, start: number): Omit<Located, 'header'> {
  const index = new TraceIndex();
  let offset = start;
  const stop = (why: string): Omit<Located, 'header'> => ({
    index,
    chunksEnd: offset,
    reason: `${why} at byte ${offset}, after ${index.entries.length} whole chunks`,
  });
  while (offset < source.size) {
    const frame = readFrame(source, offset);
    if (isFlaw(frame)) {
      const cause = frame.kind === 'cut' ? 'is cut short' : 'is damaged';
      return stop(`the file ${cause} (${frame.detail})`);
    }
    if (frame.type === FRAME_FOOTER)
      return stop('the end of the file is missing or damaged: footer');
    if (frame.type !== FRAME_CHUNK) return stop(`unexpected ${FRAME_NAMES[frame.type]} frame`);
    const message: ChunkMessage | null = attempt(() => asChunk(unpackPayload(frame.payload)));
    if (message === null) return stop('a chunk holds no chunk message');
    index.add(offset, message);
    offset += frame.bytes;
  }
  return stop('the file ends without a footer');
}
