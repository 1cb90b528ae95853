/**
 * Answers to ATS translation requests (spec "PCIe ATS translation request handling"): completion
 * status, permissions, attributes and the address with its range.
 */
import { ACCESS_EXECUTE, ACCESS_PRIVILEGED } from '../access.ts';
import type { DeviceRequest, TranslationContext } from '../architecture.ts';
import {
  LEAF_DIRTY,
  LEAF_GLOBAL,
  LEAF_MEMTYPE_MASK,
  LEAF_MEMTYPE_SHIFT,
  LEAF_R,
  LEAF_W,
  LEAF_X,
} from '../walk/format.ts';
import { ORDER_BARE } from '../walk/walk.ts';
import { ATS_ABORT, ATS_SUCCESS, ATS_UNSUPPORTED, atsAnswerTo } from './causes.ts';
import type { RiscvContext } from './device-context.ts';
import { REDIRECT_MRIF } from './msi.ts';

/** The parts of a finished translation that answers are made of. */
export interface Translated {
  readonly outHi: number;
  readonly outLo: number;
  readonly guestHi: number;
  readonly guestLo: number;
  /** log2 of 4 KiB pages for which it holds. */
  readonly order: number;
  readonly order1: number;
  readonly order2: number;
  readonly leaf1: number;
  readonly leaf2: number;
  /** REDIRECT_*, 0 if no MSI page table was used. */
  readonly redirected: number;
}

export { ATS_ABORT, ATS_SUCCESS, ATS_UNSUPPORTED };

export interface AtsCompletion {
  /** ATS_*. */
  status: number;
  read: boolean;
  write: boolean;
  execute: boolean;
  /** Untranslated access only. */
  untranslatedOnly: boolean;
  global: boolean;
  privileged: boolean;
  noSnoop: boolean;
  cxlIo: boolean;
  ama: number;
  /** Translated page (system, or guest with T2GPA) and log2 of the pages of the range. */
  hi: number;
  lo: number;
  order: number;
}

/** Size told where both stages are bare: 1 GiB (recommended: large, such as 2 MiB or 1 GiB). */
const BARE_RANGE_ORDER = 18;

const ALL = LEAF_R | LEAF_W | LEAF_X | LEAF_DIRTY;

/** Permissions of both stages together; a bare stage permits all. */
function permissions(result: Translated): number {
  const first = result.order1 === ORDER_BARE ? ALL : result.leaf1;
  const second = result.order2 === ORDER_BARE ? ALL : result.leaf2;
  return first & second;
}

/** Page-based memory type: the first stage's, or the second's where that says PMA (Svpbmt). */
export function memoryType(result: Translated): number {
  const first = (result.leaf1 >>> LEAF_MEMTYPE_SHIFT) & LEAF_MEMTYPE_MASK;
  return first !== 0 ? first : (result.leaf2 >>> LEAF_MEMTYPE_SHIFT) & LEAF_MEMTYPE_MASK;
}

/** The completion for a request that met a fault: no permission, unspecified address. */
export function atsRefusal(request: DeviceRequest, cause: number): AtsCompletion {
  return {
    status: atsAnswerTo(cause),
    read: false,
    write: false,
    execute: false,
    untranslatedOnly: false,
    global: false,
    privileged: isPrivileged(request),
    noSnoop: false,
    cxlIo: false,
    ama: 0,
    hi: 0,
    lo: 0,
    order: 0,
  };
}

/** The completion for a request that was translated. */
export function atsCompletion(
  request: DeviceRequest,
  context: TranslationContext,
  result: Translated,
  cxl: boolean,
): AtsCompletion {
  const granted = permissions(result);
  const msi = result.redirected !== 0;
  const { t2gpa } = (context.arch as RiscvContext).device;
  const writable = LEAF_W | LEAF_DIRTY;
  return {
    status: ATS_SUCCESS,
    read: (granted & LEAF_R) !== 0,
    // A device with write permission sets no dirty bit: it needs one that is set already.
    write: (granted & writable) === writable,
    execute:
      (request.access & ACCESS_EXECUTE) !== 0 &&
      (granted & (LEAF_R | LEAF_X)) === (LEAF_R | LEAF_X),
    untranslatedOnly: result.redirected === REDIRECT_MRIF,
    global: request.pasid >= 0 && !msi && (result.leaf1 & LEAF_GLOBAL) !== 0,
    privileged: isPrivileged(request),
    noSnoop: false,
    cxlIo: cxl && (msi || t2gpa || memoryType(result) !== 0),
    ama: 0,
    hi: t2gpa ? result.guestHi : result.outHi,
    lo: t2gpa ? result.guestLo : result.outLo,
    order: result.order === ORDER_BARE ? BARE_RANGE_ORDER : result.order,
  };
}

function isPrivileged(request: DeviceRequest): boolean {
  return request.pasid >= 0 && (request.access & ACCESS_PRIVILEGED) !== 0;
}

/**
 * Page number whose low bits tell the size of the range of 2^order pages around page (hi, lo):
 * x low ones and a zero mean 2^(x + 1) pages (spec `tr_response`; ATS uses the same code).
 */
export function napotPage(hi: number, lo: number, order: number): bigint {
  const page = (BigInt(hi) << 27n) | BigInt(lo);
  if (order === 0) return page;
  const size = 1n << BigInt(order);
  return (page & ~(size - 1n)) | ((size >> 1n) - 1n);
}
