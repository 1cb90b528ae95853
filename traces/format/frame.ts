/**
 * Frames: how a trace file is cut into messages. The file is a plain sequence of MessagePack
 * values, so any decoder can walk it: a string (the magic), a version, then frames. A frame is the
 * array [crc32, type, payload] with every length at its widest, hence a prefix of 12 fixed bytes:
 *
 *     93  ce <crc32, 4 bytes>  <type>  c6 <payload length, 4 bytes>  <payload>
 *
 * Numbers in the prefix are big endian. The checksum covers everything from <type> on.
 */
import { Packr, Unpackr } from 'msgpackr';
import { crc32 } from './crc32.ts';

export const FORMAT_VERSION = 1;
/** Bytes before the first frame: fixstr(8) "IOMMUTRC", then uint16 version. */
export const PRELUDE_BYTES = 12;
export const MAGIC: Uint8Array = new Uint8Array([0xa8, ...Buffer.from('IOMMUTRC'), 0xcd]);

export const FRAME_HEADER = 1;
export const FRAME_CHUNK = 2;
export const FRAME_FOOTER = 3;
export const FRAME_END = 4;
export const FRAME_NAMES: readonly string[] = ['none', 'header', 'chunk', 'footer', 'end'];

export const FRAME_PREFIX_BYTES = 12;
/** Payload of the end frame: a MessagePack float64, the offset of the footer frame. */
export const END_FRAME_BYTES = 21;
/** No frame is larger: bounds what a reader allocates on the word of a file. */
export const MAX_PAYLOAD_BYTES: number = 256 * 1024 * 1024;

/** msgpackr: keep the buffer for the next message, leave room for the prefix in front. */
const PACK_OPTIONS = 1024 | 2048 | FRAME_PREFIX_BYTES;

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, int64AsType: 'number' });

export function prelude(version: number = FORMAT_VERSION): Uint8Array {
  const bytes = new Uint8Array(PRELUDE_BYTES);
  bytes.set(MAGIC);
  bytes[10] = version >>> 8;
  bytes[11] = version;
  return bytes;
}

/** A whole frame around a message. The bytes are valid until the next call. */
export function packFrame(type: number, message: unknown): Uint8Array {
  const frame = packr.pack(message, PACK_OPTIONS);
  const length = frame.length - FRAME_PREFIX_BYTES;
  frame[0] = 0x93;
  frame[1] = 0xce;
  frame[6] = type;
  frame[7] = 0xc6;
  frame.writeUInt32BE(length, 8);
  frame.writeUInt32BE(crc32(frame.subarray(6)), 2);
  // Not as a Buffer, whose slice() copies nothing.
  return new Uint8Array(frame.buffer, frame.byteOffset, frame.length);
}

/** Decodes a payload; throws whatever the decoder throws. Binary parts are views, not copies. */
export function unpackPayload(payload: Uint8Array): unknown {
  return unpackr.unpack(payload);
}

/** The end frame: a float64 of fixed width, so that it is found from the end of the file. */
export function packEnd(footerOffset: number): Uint8Array {
  const frame = Buffer.alloc(END_FRAME_BYTES);
  frame.set([0x93, 0xce, 0, 0, 0, 0, FRAME_END, 0xc6, 0, 0, 0, 9, 0xcb]);
  frame.writeDoubleBE(footerOffset, 13);
  frame.writeUInt32BE(crc32(frame.subarray(6)), 2);
  return frame;
}

/** Why a frame cannot be used: the file ends inside it, or its bytes are not as written. */
export interface FrameFlaw {
  readonly kind: 'cut' | 'damaged';
  readonly detail: string;
}

export interface Frame {
  readonly type: number;
  readonly payload: Uint8Array;
  /** Bytes of the whole frame. */
  readonly bytes: number;
}

/** Random access to the bytes of a trace. */
export interface ByteSource {
  readonly name: string;
  readonly size: number;
  /** `length` bytes from `offset`; the caller keeps to the size. May be a view. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

export function isFlaw(frame: Frame | FrameFlaw): frame is FrameFlaw {
  return 'kind' in frame;
}

/** Reads and checks the frame at `offset`. Reads no more than the file has. */
export function readFrame(source: ByteSource, offset: number): Frame | FrameFlaw {
  const rest = source.size - offset;
  const prefix = source.read(offset, Math.min(rest, FRAME_PREFIX_BYTES));
  const flaw = checkPrefix(prefix);
  if (flaw) return { kind: 'damaged', detail: flaw };
  if (rest < FRAME_PREFIX_BYTES) {
    return { kind: 'cut', detail: `${rest} of ${FRAME_PREFIX_BYTES} bytes of a frame's start` };
  }
  const type = prefix[6];
  const stated = readU32(prefix, 2);
  const length = readU32(prefix, 8);
  const bytes = FRAME_PREFIX_BYTES + length;
  if (length > MAX_PAYLOAD_BYTES) return { kind: 'damaged', detail: `length ${length}` };
  if (bytes > rest) return { kind: 'cut', detail: `${rest} of ${bytes} bytes of a frame` };
  const whole = source.read(offset, bytes);
  const actual = crc32(whole.subarray(6));
  if (actual !== stated) {
    return { kind: 'damaged', detail: `checksum ${hex8(actual)}, stated ${hex8(stated)}` };
  }
  return { type, payload: whole.subarray(FRAME_PREFIX_BYTES), bytes };
}

/** Says what is wrong with the fixed bytes of a prefix, of which the last ones may be missing. */
function checkPrefix(prefix: Uint8Array): string | null {
  const expected = [0x93, 0xce, -1, -1, -1, -1, -1, 0xc6];
  for (let i = 0; i < Math.min(prefix.length, expected.length); i++) {
    if (expected[i] >= 0 && prefix[i] !== expected[i]) return 'no frame starts here';
  }
  if (prefix.length > 6 && (prefix[6] < FRAME_HEADER || prefix[6] > FRAME_END)) {
    return `unknown frame type ${prefix[6]}`;
  }
  return null;
}

function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

function hex8(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
