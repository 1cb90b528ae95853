/**
 * Root and context tables of legacy mode (VT-d specification 3.4.2, 9.1, 9.3): 256 root entries of
 * 16 bytes by bus, then 256 context entries of 16 bytes by device and function. Checks are in the
 * order of the fault conditions LRT.* and LCT.* (7.1.3).
 */
import { ACCESS_READ, ACCESS_REPORT, ACCESS_WRITE } from '../access.ts';
import {
  CONTEXT_BYPASS,
  CONTEXT_WALK,
  type ContextFetch,
  type ContextResolver,
  type DeviceRequest,
  FETCH_DONE,
  FETCH_FAULT,
  FETCH_READ,
  KEY_TRANSLATED,
  REQUEST_ATS,
  REQUEST_PAGE,
  REQUEST_TRANSLATED,
  REQUEST_UNTRANSLATED,
  type TranslationContext,
} from '../architecture.ts';
import {
  bareWalkContext,
  WC_S2_FLAGS,
  WC_S2_FORMAT,
  WC_S2_ROOT_HI,
  WC_S2_ROOT_LO,
  WC_TAG2,
} from '../walk/context.ts';
import { formatNumber } from '../walk/registry.ts';
import { isInterruptMessage } from './faults.ts';
import {
  SS3,
  SS4,
  SS5,
  VTD_ADDRESS_BITS_SHIFT,
  VTD_SNOOP,
  VTD_SUPERPAGE_1G,
  VTD_SUPERPAGE_2M,
  VTD_TRANSIENT,
} from './formats.ts';
import * as R from './layout.ts';
import { enabled, type VtdState } from './state.ts';

/** Translation types (context entry bits 3:2). */
const TT_UNTRANSLATED = 0;
const TT_DEVICE_TLB = 1;
const TT_PASS_THROUGH = 2;

/** Interrupt messages have no context; what stands for one is cached under this key. */
export const KEY_INTERRUPT = -4;

const STEP_ROOT = 0;
const STEP_CONTEXT = 1;

const ALL_ACCESS = ACCESS_READ | ACCESS_WRITE | ACCESS_REPORT;

export class VtdContexts implements ContextResolver {
  readonly #state: VtdState;
  /** Number of the second-stage format in the registry, by number of levels. */
  readonly #formats: Readonly<Record<number, number>>;
  /** Flags of the second stage that depend on the unit alone. */
  readonly #stageFlags: number;

  constructor(state: VtdState) {
    this.#state = state;
    this.#formats = { 3: formatNumber(SS3), 4: formatNumber(SS4), 5: formatNumber(SS5) };
    const { features, identity } = state;
    this.#stageFlags =
      ((features.superpages & 1) !== 0 ? VTD_SUPERPAGE_2M : 0) |
      ((features.superpages & 2) !== 0 ? VTD_SUPERPAGE_1G : 0) |
      (features.snoopControl ? VTD_SNOOP : 0) |
      (features.deviceTlb ? VTD_TRANSIENT : 0) |
      (identity.hostAddressBits << VTD_ADDRESS_BITS_SHIFT);
  }

  cacheKey(request: DeviceRequest): number {
    return keyOf(request);
  }

  begin(fetch: ContextFetch): number {
    const state = this.#state;
    const { request } = fetch;
    // Interrupt messages go to interrupt remapping, which needs no context (3.14, 5.1).
    if (isInterruptMessage(request)) return pass(fetch, 64);
    if (!enabled(state, R.GCMD_TE)) return translationOff(fetch);
    if (state.tableMode !== 0) return fault(fetch, R.REASON_TABLE_MODE);
    if (request.kind === REQUEST_PAGE) return fault(fetch, R.REASON_PAGE_REQUEST_IN_LEGACY);
    if (request.pasid >= 0) return fault(fetch, R.REASON_PASID_IN_LEGACY);
    fetch.step = STEP_ROOT;
    fetch.refName = 'root';
    fetch.refLevel = 1;
    fetch.hi = state.rootHi;
    fetch.lo = state.rootLo;
    fetch.offset = ((request.deviceId >>> 8) & 0xff) * 16;
    fetch.bytes = 16;
    return FETCH_READ;
  }

  next(fetch: ContextFetch): number {
    return fetch.step === STEP_ROOT ? this.#rootEntry(fetch) : this.#contextEntry(fetch);
  }

  failRead(fetch: ContextFetch, _status: number): number {
    const root = fetch.step === STEP_ROOT;
    return fault(fetch, root ? R.REASON_ROOT_ACCESS : R.REASON_CONTEXT_ACCESS);
  }

  /** Legacy mode has no structure behind a second stage, so no fetch asks for such a walk. */
  failWalk(fetch: ContextFetch): number {
    return fault(fetch, R.REASON_CONTEXT_INVALID);
  }

  /** 9.1: P, reserved 11:1, context table pointer 63:12; the high half is reserved. */
  #rootEntry(fetch: ContextFetch): number {
    const [lo0, lo1, hi0, hi1] = words(fetch);
    if ((lo0 & 1) === 0) return fault(fetch, R.REASON_ROOT_NOT_PRESENT);
    if ((lo0 & 0xffe) !== 0 || this.#beyondHost(lo1) || hi0 !== 0 || hi1 !== 0) {
      return fault(fetch, R.REASON_ROOT_RESERVED);
    }
    fetch.step = STEP_CONTEXT;
    fetch.refName = 'context';
    fetch.refLevel = 0;
    fetch.hi = lo1 >>> 7;
    fetch.lo = ((lo1 & 0x7f) << 20) | (lo0 >>> 12);
    fetch.offset = (fetch.request.deviceId & 0xff) * 16;
    fetch.bytes = 16;
    return FETCH_READ;
  }

  /**
   * 9.3: P 0, FPD 1, TT 3:2, reserved 11:4, SSPTPTR 63:12; AW 66:64, ignored 70:67, reserved 71,
   * DID 87:72, reserved 127:88. FPD counts whether or not P is set.
   */
  #contextEntry(fetch: ContextFetch): number {
    const [lo0, lo1, hi0, hi1] = words(fetch);
    const { features } = this.#state;
    const quiet = (lo0 & 2) !== 0;
    if ((lo0 & 1) === 0) return qualified(fetch, R.REASON_CONTEXT_NOT_PRESENT, quiet);
    const domain = (hi0 >>> 8) & 0xffff;
    const reserved =
      (lo0 & 0xff0) !== 0 ||
      this.#beyondHost(lo1) ||
      (hi0 & 0xff000080) !== 0 ||
      hi1 !== 0 ||
      domain >>> features.domainBits !== 0;
    // This condition is not qualified by FPD.
    if (reserved) return fault(fetch, R.REASON_CONTEXT_RESERVED);
    const type = (lo0 >>> 2) & 3;
    const aw = hi0 & 7;
    if (((features.sagaw >>> aw) & 1) === 0 || !this.#supports(type)) {
      return qualified(fetch, R.REASON_CONTEXT_INVALID, quiet);
    }
    const { kind } = fetch.request;
    if (kind !== REQUEST_UNTRANSLATED && type !== TT_DEVICE_TLB) {
      return qualified(fetch, R.REASON_TYPE_BLOCKED, quiet);
    }
    if (type === TT_PASS_THROUGH || kind === REQUEST_TRANSLATED) {
      return pass(fetch, this.#state.identity.hostAddressBits, domain, type, quiet);
    }
    const walk = bareWalkContext();
    walk[WC_TAG2] = domain;
    walk[WC_S2_FORMAT] = this.#formats[aw + 2]!;
    walk[WC_S2_ROOT_HI] = lo1 >>> 7;
    walk[WC_S2_ROOT_LO] = ((lo1 & 0x7f) << 20) | (lo0 >>> 12);
    walk[WC_S2_FLAGS] = this.#stageFlags;
    const inputBits = Math.min(features.guestBits, 30 + 9 * aw);
    fetch.result = context(fetch.request, CONTEXT_WALK, walk, inputBits, domain, type, quiet);
    return FETCH_DONE;
  }

  #supports(type: number): boolean {
    const { features } = this.#state;
    if (type === TT_UNTRANSLATED) return true;
    if (type === TT_DEVICE_TLB) return features.deviceTlb;
    return type === TT_PASS_THROUGH && features.passThrough;
  }

  /** Whether an address has bits at or above the host address width (at least 32). */
  #beyondHost(highWord: number): boolean {
    return highWord >>> 0 >= 2 ** (this.#state.identity.hostAddressBits - 32);
  }
}

function keyOf(request: DeviceRequest): number {
  if (isInterruptMessage(request)) return KEY_INTERRUPT;
  return request.kind === REQUEST_TRANSLATED ? KEY_TRANSLATED : request.pasid;
}

/** Whether a context answers requests of this kind: ATS needs the device-TLB type (LCT.5). */
export function allowsKind(kind: number, context: TranslationContext): boolean {
  return kind !== REQUEST_ATS || context.arch === TT_DEVICE_TLB;
}

/** Translation disabled: device requests pass, ATS requests are not supported (4.2.2). */
function translationOff(fetch: ContextFetch): number {
  if (fetch.request.kind === REQUEST_UNTRANSLATED) return pass(fetch, 64);
  return fault(fetch, R.UNRECORDED);
}

/** Ends the fetch with a context under which addresses are used as they are. */
function pass(
  fetch: ContextFetch,
  inputBits: number,
  domain = -1,
  type: number = TT_PASS_THROUGH,
  quiet = false,
): number {
  const walk = bareWalkContext();
  walk[WC_TAG2] = domain;
  fetch.result = context(fetch.request, CONTEXT_BYPASS, walk, inputBits, domain, type, quiet);
  return FETCH_DONE;
}

function context(
  request: DeviceRequest,
  mode: number,
  walk: Int32Array,
  inputBits: number,
  domain: number,
  type: number,
  quiet: boolean,
): TranslationContext {
  return {
    deviceId: request.deviceId,
    pasid: keyOf(request),
    mode,
    walk,
    tag1: -1,
    tag2: domain,
    // Without PASID there are no privileged or execute requests.
    accessMask: ALL_ACCESS,
    quiet,
    inputBits,
    arch: type,
  };
}

function words(fetch: ContextFetch): readonly [number, number, number, number] {
  const { data } = fetch;
  return [data[0]!, data[1]!, data[2]!, data[3]!];
}

function fault(fetch: ContextFetch, reason: number): number {
  fetch.faultCode = reason;
  return FETCH_FAULT;
}

/** A fault that is not reported when the context says so (fault processing disable). */
function qualified(fetch: ContextFetch, reason: number, quiet: boolean): number {
  return fault(fetch, quiet ? reason | R.UNRECORDED : reason);
}
