/**
 * A recording of host and devices as columns: what a kernel mapped and unmapped, the commands that
 * it posted, and which devices accessed memory in between, in order. `RecordingPlayer` plays it.
 */

/** A device is attached to a domain. */
export const ROW_ATTACH = 0;
export const ROW_MAP = 1;
export const ROW_UNMAP = 2;
/** The next access of a stream. */
export const ROW_ACCESS = 3;
export const ROW_COMMAND = 4;

export interface RecordedRows {
  readonly count: number;
  /** ROW_*. */
  readonly kind: Uint8Array;
  /** Attach, map, unmap: row of the player's domains. */
  readonly domain: Int32Array;
  /** Attach: device id; access: row of the player's streams; command: row of the commands. */
  readonly subject: Int32Array;
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  readonly frameHi: Int32Array;
  readonly frameLo: Int32Array;
  readonly pages: Int32Array;
  /** ACCESS_* bits that a map permits. */
  readonly access: Uint8Array;
  /** Map: pages of the range are still mapped, and are taken down first. */
  readonly replaces: Uint8Array;
}

/** Commands as the unit reads them, and what it takes them for. */
export interface RecordedCommands {
  readonly count: number;
  /** Four words each. */
  readonly words: Int32Array;
  /** OP_*. */
  readonly kind: Uint8Array;
  /** What an invalidation of translations covers: tags, and pages [first, end). */
  readonly tag1: Int32Array;
  readonly tag2: Int32Array;
  readonly first: Float64Array;
  readonly end: Float64Array;
}

/** What is expected of the accesses of one device, in their order. */
export interface RecordedAnswers {
  readonly frameHi: Int32Array;
  readonly frameLo: Int32Array;
  /** log2 of the pages of the leaf: a recording may name the first page of a large one. */
  readonly order: Uint8Array;
  /** Place of the access in the recording's file. */
  readonly event: Int32Array;
}

export function recordedRows(count: number): RecordedRows {
  const column = (): Int32Array => new Int32Array(count);
  return {
    count,
    kind: new Uint8Array(count),
    domain: column(),
    subject: column(),
    hi: column(),
    lo: column(),
    frameHi: column(),
    frameLo: column(),
    pages: column(),
    access: new Uint8Array(count),
    replaces: new Uint8Array(count),
  };
}
