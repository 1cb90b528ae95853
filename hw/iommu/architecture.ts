/**
 * What an IOMMU architecture is to the shared machinery: registers, decoding of contexts, commands
 * and faults. An architecture holds no timing: it says which memory to read and what the data
 * means; the functional unit (functional.ts) does it at once, the timed unit as events.
 */
import type { MemoryPort } from '../memory/port.ts';
import type { PageTableFormat } from './walk/format.ts';
import type { Redirect } from './walk/redirect.ts';
import type { Walk } from './walk/walk.ts';

// ---------------------------------------------------------------------------------------------
// Requests and contexts

/** Untranslated request. */
export const REQUEST_UNTRANSLATED = 0;
/** Request with an address that the device translated by ATS. */
export const REQUEST_TRANSLATED = 1;
/** ATS translation request. */
export const REQUEST_ATS = 2;
/** Page request message: has no address of its own, only its device context is wanted. */
export const REQUEST_PAGE = 3;

/** One request of a device, as the unit sees it. */
export interface DeviceRequest {
  /** Requester id (with segment where the architecture has one). */
  deviceId: number;
  /** Process address space id, -1 when the request carries none. */
  pasid: number;
  /** REQUEST_*. */
  kind: number;
  /** ACCESS_* bits. */
  access: number;
  /** Page number halves and byte offset of the input address. */
  hi: number;
  lo: number;
  offset: number;
}

/** How requests with a context are answered. */
export const CONTEXT_WALK = 0;
/** Output address = input address, no table is read. */
export const CONTEXT_BYPASS = 1;

/** A device or process context, decoded once and cached. Immutable after creation. */
export interface TranslationContext {
  readonly deviceId: number;
  readonly pasid: number;
  /** CONTEXT_WALK or CONTEXT_BYPASS. */
  readonly mode: number;
  /** Words of walk/context.ts. */
  readonly walk: Int32Array;
  /** Tags of IOTLB entries made under this context (-1: none). */
  readonly tag1: number;
  readonly tag2: number;
  /** Access bits removed or added before walking (e.g. privilege ignored). */
  readonly accessMask: number;
  /** Faults of this context are not reported. */
  readonly quiet: boolean;
  /** Widest legal input page number in bits (page offset included), checked before the walk. */
  readonly inputBits: number;
  /** The architecture's own decoded fields. */
  readonly arch: unknown;
}

/** What a context fetch wants next. */
/** Read `bytes` at the system physical address (hi, lo, offset) into `data`. */
export const FETCH_READ = 0;
/** Translate guest page (hi, lo) by stage 2 of `stage2`, then read `bytes` there into `data`. */
export const FETCH_READ_GUEST = 1;
export const FETCH_DONE = 2;
export const FETCH_FAULT = 3;

/** A context being fetched from memory. */
export class ContextFetch {
  request: DeviceRequest;
  hi = 0;
  lo = 0;
  offset = 0;
  bytes = 0;
  /** Words read, little-endian view of memory. */
  readonly data: Int32Array = new Int32Array(16);
  /** Walk context whose second stage serves FETCH_READ_GUEST. */
  stage2: Int32Array | null = null;
  /** What kind of structure is being read and its level: for explaining and statistics. */
  refName = '';
  refLevel = 0;
  /** The architecture's own position. */
  step = 0;
  scratch: unknown = null;
  result: TranslationContext | null = null;
  /**
   * Context of the device alone, from the first directory. A driver that caches contexts may set
   * it (entry KEY_DEVICE) before `begin` to skip that directory; the resolver sets it otherwise.
   */
  parent: TranslationContext | null = null;
  /** The architecture's fault code, where FETCH_FAULT was returned. */
  faultCode = 0;
  /** Second faulting address (guest address of the structure), for guest faults. */
  faultAddress2: bigint = 0n;

  constructor(request: DeviceRequest) {
    this.request = request;
  }
}

/** Keys of cached contexts beside process address space ids (and -1: requests without one). */
export const KEY_TRANSLATED = -2;
/** The device's part alone (see {@link ContextFetch.parent}). */
export const KEY_DEVICE = -3;

export interface ContextResolver {
  /** What the context of a request is cached under, beside its device: a pasid, -1, or KEY_*. */
  cacheKey(request: DeviceRequest): number;
  /** Checks the request against registers and starts; may finish at once. Returns FETCH_*. */
  begin(fetch: ContextFetch): number;
  /** Consumes `fetch.data`. */
  next(fetch: ContextFetch): number;
  /** The read met MEM_ACCESS_FAULT or MEM_POISON; sets the fault. Returns FETCH_FAULT. */
  failRead(fetch: ContextFetch, status: number): number;
  /** The stage-2 walk for FETCH_READ_GUEST ended in a fault. Returns FETCH_FAULT. */
  failWalk(fetch: ContextFetch, walk: Walk): number;
}

// ---------------------------------------------------------------------------------------------
// Commands

/** What a decoded command asks the machinery to do. */
export const OP_NONE = 0;
/** Drop cached contexts: by device (and pasid) or all. */
export const OP_INVALIDATE_CONTEXT = 1;
/** Drop cached translations and walk-cache entries. */
export const OP_INVALIDATE_TRANSLATIONS = 2;
/** Complete when all earlier commands are complete; then `complete` does stores and interrupts. */
export const OP_FENCE = 3;
/** A message to a device (ATS invalidation, page group response). */
export const OP_DEVICE_MESSAGE = 4;
/** The command is illegal; the queue stops after `reject`. */
export const OP_ILLEGAL = 5;
/** The command must wait (for devices' answers): fetch again after the next doorbell. */
export const OP_WAIT = 6;

/** In an operation's tag: only entries that do not have that tag (e.g. those of the host). */
export const TAG_NONE = -2;

/** Reused by the command processor; -1 in a field means "any". */
export class Operation {
  kind: number = OP_NONE;
  /** Short name of the command, for traces. */
  name = '';
  /** Command number in the record (opcode and function), for traces. */
  code = 0;
  // OP_INVALIDATE_CONTEXT
  deviceId = -1;
  /** Bits of deviceId that need not match. */
  deviceMask = 0;
  pasid = -1;
  domain = -1;
  // OP_INVALIDATE_TRANSLATIONS
  tag1 = -1;
  tag2 = -1;
  /** 1: only entries under a first stage (keep second-stage-only and nested-by-guest ones). */
  stage = 0;
  /** 1 when an address range is given: pages (hi, lo) with 2^order pages. */
  hasAddress = 0;
  hi = 0;
  lo = 0;
  order = 0;
  /** The address range is of guest (stage 2 input) addresses. */
  guestAddress = 0;
  /** Entries marked global are dropped too. */
  includeGlobal = 1;
  /** Only last-level information need be dropped: walk caches of upper levels may stay. */
  leafOnly = 0;
  // OP_FENCE
  /** Wait until earlier reads / writes of devices are globally visible. */
  drainReads = 0;
  drainWrites = 0;
  /** The architecture's own copy of the command, from `decode` to `complete`. */
  readonly words: Int32Array = new Int32Array(8);
}

export interface CommandQueue {
  /** Whether a command waits to be fetched; sets `hi/lo/offset/bytes` to its place if so. */
  pending(): boolean;
  hi: number;
  lo: number;
  offset: number;
  bytes: number;
  /** Decodes the words (little-endian view of memory) into `operation`. */
  decode(words: Int32Array, operation: Operation): void;
  /** The command's effects are complete: do its stores and interrupts, move the head. */
  complete(operation: Operation): void;
  /** The command could not be read (MEM_*): record the error. */
  failFetch(status: number): void;
}

// ---------------------------------------------------------------------------------------------
// The unit

/** What the outside of a unit offers to an architecture. */
export interface UnitPorts {
  readonly memory: MemoryPort;
  /** A message-signalled interrupt store (timed by the machinery, visible in memory). */
  storeInterrupt(hi: number, lo: number, offset: number, value: number): void;
  /** A wired interrupt line changed. */
  setInterruptLine(vector: number, level: boolean): void;
  /** A queue may have new work (doorbell written, queue enabled, error cleared). */
  doorbell(): void;
  /** All cached contexts (and translations) must go: a root pointer or mode changed. */
  flushAll(): void;
  /** Message to a device: ATS invalidation request or page group response. */
  deviceMessage(message: DeviceMessage): void;
  /** Software asks for a translation through registers; answered by the architecture's own unit. */
  debugRequest?(request: DeviceRequest): void;
}

export interface DeviceMessage {
  readonly kind: 'ats-invalidate' | 'page-response';
  readonly deviceId: number;
  readonly pasid: number;
  readonly tag: number;
  /** As the architecture sends it (RISC-V: the PCIe message payload). */
  readonly payload: bigint;
  readonly arch: unknown;
}

/** What became of a fault report: not to be recorded, recorded, lost to a full queue. */
export const FAULT_SILENT = 0;
export const FAULT_RECORDED = 1;
export const FAULT_LOST = 2;

/** A fault to be recorded. */
export interface FaultReport {
  readonly request: DeviceRequest;
  readonly context: TranslationContext | null;
  /** The architecture's fault code. */
  readonly code: number;
  readonly address2: bigint;
}

export interface IommuUnit {
  readonly registers: RegisterFile;
  readonly contexts: ContextResolver;
  readonly commands: CommandQueue;
  readonly redirect: Redirect | null;
  /**
   * Checks made on a request that has its context, before any walk (input width, interrupt window,
   * request kind). Returns 0 to walk, or a fault code.
   */
  checkRequest(request: DeviceRequest, context: TranslationContext): number;
  /**
   * Checks the translated page of a request, also when it came from a cache. Returns 0, or a fault
   * code. Absent where no output address is special.
   */
  checkOutput?(hi: number, lo: number, context: TranslationContext): number;
  /** The architecture's fault code for a walk that ended in a fault. */
  faultCodeOf(walk: Walk, request: DeviceRequest, context: TranslationContext): number;
  /** Second faulting address that is recorded with it. */
  faultAddress2Of(walk: Walk, request: DeviceRequest, context: TranslationContext): bigint;
  /** Writes the fault record (or notes overflow), raises what is due; returns FAULT_*. */
  reportFault(report: FaultReport): number;
  /** Width of physical addresses that the unit can send; wider ones are access faults. */
  readonly addressBits: number;
  /**
   * log2 of the 4 KiB pages around the input for which a finished walk may be reused (at most
   * `walk.order`; less where part of a superpage is redirected elsewhere).
   */
  reusableOrder(walk: Walk, context: TranslationContext): number;
}

/** Memory-mapped registers. Values are at most 64 bits. */
export interface RegisterFile {
  read(offset: number, size: number): bigint;
  write(offset: number, size: number, value: bigint): void;
}

/** A registered architecture. */
export interface Architecture {
  readonly name: string;
  /** Its page-table formats, in a fixed order (walk/registry.ts gives them numbers). */
  readonly formats: readonly PageTableFormat[];
}
