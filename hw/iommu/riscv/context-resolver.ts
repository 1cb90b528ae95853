/**
 * From a request to its translation context: walk of the device directory, then of the process
 * directory (spec "Process to translate an IOVA" steps 1 to 16, "Process to locate the
 * Device-context", "Process to locate the Process-context"). A machine that asks its driver for
 * one structure at a time.
 */

import { addressOf } from '../../address.ts';
import { MEM_POISON } from '../../memory/port.ts';
import { ACCESS_PRIVILEGED } from '../access.ts';
import {
  CONTEXT_BYPASS,
  CONTEXT_WALK,
  type ContextFetch,
  type ContextResolver,
  type DeviceRequest,
  FETCH_DONE,
  FETCH_FAULT,
  FETCH_READ,
  FETCH_READ_GUEST,
  KEY_DEVICE,
  KEY_TRANSLATED,
  REQUEST_ATS,
  REQUEST_PAGE,
  REQUEST_TRANSLATED,
  REQUEST_UNTRANSLATED,
  type TranslationContext,
} from '../architecture.ts';
import { bareWalkContext } from '../walk/context.ts';
import { FAULT_ACCESS, FAULT_POISON } from '../walk/format.ts';
import type { Walk } from '../walk/walk.ts';
import {
  CAUSE_ALL_DISALLOWED,
  CAUSE_DDT_ACCESS,
  CAUSE_DDT_CORRUPT,
  CAUSE_DDT_INVALID,
  CAUSE_DDT_MISCONFIGURED,
  CAUSE_DISALLOWED,
  CAUSE_PDT_ACCESS,
  CAUSE_PDT_CORRUPT,
  CAUSE_PDT_INVALID,
  CAUSE_PDT_MISCONFIGURED,
  guestPageFault,
} from './causes.ts';
import {
  BARE,
  type DeviceContext,
  decodeDevice,
  deviceContextBytes,
  deviceIdBits,
  deviceMisconfigured,
  type Instance,
  leafIndexBits,
  PROCESS_ID_BITS,
  type RiscvContext,
  VALID,
} from './device-context.ts';
import {
  decodeProcess,
  PROCESS_CONTEXT_BYTES,
  type ProcessContext,
  processMisconfigured,
} from './process-context.ts';
import { DDTP, MODE_1LVL, MODE_BARE, MODE_OFF, type RiscvRegisters } from './registers.ts';
import { walkContextOf } from './walk-context.ts';
import { entryHi, entryLo, swapDoublewords } from './words.ts';

/** Positions: directory levels 0..2 of the device directory, then of the process directory. */
const STEP_PROCESS = 16;

/** Reserved bits of a non-leaf entry: 9:1 and 63:54. */
const NON_LEAF_RESERVED_LOW = 0x3fe;
const NON_LEAF_RESERVED_HIGH = 0xffc00000;

/** The context of a device while `ddtp.iommu_mode` is Bare. */
function passThrough(deviceId: number, key: number): TranslationContext {
  return {
    deviceId,
    pasid: key,
    mode: CONTEXT_BYPASS,
    walk: bareWalkContext(),
    tag1: -1,
    tag2: -1,
    accessMask: ~ACCESS_PRIVILEGED,
    quiet: false,
    inputBits: 64,
    arch: null,
  };
}

/** Requests that a device context does not allow (step 7). */
export function disallowed(request: DeviceRequest, device: DeviceContext): boolean {
  const { kind, pasid } = request;
  if (kind === REQUEST_PAGE) return !device.enPri;
  if (!device.enAts && (kind === REQUEST_TRANSLATED || kind === REQUEST_ATS)) return true;
  if (pasid < 0) return false;
  if (!device.pdtv) return true;
  return device.fscMode !== BARE && pasid >= 2 ** PROCESS_ID_BITS[device.fscMode];
}

export class RiscvContexts implements ContextResolver {
  private readonly registers: RiscvRegisters;
  /** Reads `fctl` anew: it may change while the IOMMU is off. */
  private readonly instance: () => Instance;

  constructor(registers: RiscvRegisters, instance: () => Instance) {
    this.registers = registers;
    this.instance = instance;
  }

  cacheKey(request: DeviceRequest): number {
    if (request.kind === REQUEST_TRANSLATED) return KEY_TRANSLATED;
    return request.kind === REQUEST_PAGE ? KEY_DEVICE : request.pasid;
  }

  begin(fetch: ContextFetch): number {
    const { request } = fetch;
    const ddtp = this.registers.get(DDTP);
    const mode = ddtp & 0xf;
    fetch.faultAddress2 = 0n;
    fetch.result = null;
    if (mode === MODE_OFF) return fail(fetch, CAUSE_ALL_DISALLOWED);
    if (mode === MODE_BARE) {
      if (request.kind !== REQUEST_UNTRANSLATED) return fail(fetch, CAUSE_DISALLOWED);
      return done(fetch, passThrough(request.deviceId, request.pasid));
    }
    const { caps } = this.instance();
    if (request.deviceId >= 2 ** deviceIdBits(mode, caps.msiFlat)) {
      return fail(fetch, CAUSE_DISALLOWED);
    }
    if (fetch.parent !== null) return this.deviceFound(fetch);
    const high = this.registers.get(DDTP + 4);
    return this.readDevice(fetch, mode - MODE_1LVL, entryHi(ddtp, high), entryLo(ddtp, high));
  }

  next(fetch: ContextFetch): number {
    const level = fetch.step % STEP_PROCESS;
    const process = fetch.step >= STEP_PROCESS;
    if (process ? deviceOf(fetch).sbe : this.instance().bigEndian) {
      swapDoublewords(fetch.data, fetch.bytes >> 3);
    }
    const invalid = process ? CAUSE_PDT_INVALID : CAUSE_DDT_INVALID;
    if ((fetch.data[0] & VALID) === 0) return fail(fetch, invalid);
    if (level === 0) return process ? this.processRead(fetch) : this.deviceRead(fetch);
    const [low, high] = fetch.data;
    if ((low & NON_LEAF_RESERVED_LOW) !== 0 || (high & NON_LEAF_RESERVED_HIGH) !== 0) {
      return fail(fetch, process ? CAUSE_PDT_MISCONFIGURED : CAUSE_DDT_MISCONFIGURED);
    }
    const hi = entryHi(low, high);
    const lo = entryLo(low, high);
    return process
      ? this.readProcess(fetch, level - 1, hi, lo)
      : this.readDevice(fetch, level - 1, hi, lo);
  }

  failRead(fetch: ContextFetch, status: number): number {
    const process = fetch.step >= STEP_PROCESS;
    if (status === MEM_POISON) return fail(fetch, process ? CAUSE_PDT_CORRUPT : CAUSE_DDT_CORRUPT);
    return fail(fetch, process ? CAUSE_PDT_ACCESS : CAUSE_DDT_ACCESS);
  }

  /** Reading the process directory is an implicit access for the first stage (iotval2 bit 0). */
  failWalk(fetch: ContextFetch, walk: Walk): number {
    if (walk.fault === FAULT_ACCESS) return fail(fetch, CAUSE_PDT_ACCESS);
    if (walk.fault === FAULT_POISON) return fail(fetch, CAUSE_PDT_CORRUPT);
    fetch.faultAddress2 = addressOf(fetch.hi, fetch.lo, fetch.offset) | 1n;
    return fail(fetch, guestPageFault(fetch.request.access));
  }

  /** Asks for the entry of the device in the directory table of `level` at page (hi, lo). */
  private readDevice(fetch: ContextFetch, level: number, hi: number, lo: number): number {
    const { msiFlat } = this.instance().caps;
    const leafBits = leafIndexBits(msiFlat);
    const id = fetch.request.deviceId;
    fetch.step = level;
    fetch.refName = 'DDT';
    fetch.refLevel = level;
    fetch.hi = hi;
    fetch.lo = lo;
    fetch.bytes = level === 0 ? deviceContextBytes(msiFlat) : 8;
    const index =
      level === 0 ? id & ((1 << leafBits) - 1) : (id >>> (leafBits + 9 * (level - 1))) & 0x1ff;
    fetch.offset = index * fetch.bytes;
    return FETCH_READ;
  }

  private deviceRead(fetch: ContextFetch): number {
    const instance = this.instance();
    if (deviceMisconfigured(fetch.data, instance)) return fail(fetch, CAUSE_DDT_MISCONFIGURED);
    const device = decodeDevice(fetch.data, instance.caps);
    fetch.parent = this.context(fetch.request, KEY_DEVICE, device, null);
    return this.deviceFound(fetch);
  }

  /** Steps 7 to 13: what the device context says about the request. */
  private deviceFound(fetch: ContextFetch): number {
    const { request } = fetch;
    const device = deviceOf(fetch);
    if (disallowed(request, device)) return fail(fetch, CAUSE_DISALLOWED);
    if (request.kind === REQUEST_PAGE) return done(fetch, fetch.parent);
    if (request.kind === REQUEST_TRANSLATED) {
      return done(fetch, this.context(request, KEY_TRANSLATED, device, null));
    }
    const { pasid } = request;
    if (!device.pdtv) {
      const { pscid, fscMode, fscHi, fscLo } = device;
      const direct = { ens: false, sum: false, pscid, fscMode, fscHi, fscLo };
      return done(fetch, this.context(request, pasid, device, direct));
    }
    const withProcess = pasid >= 0 || device.dpe;
    if (!withProcess || device.fscMode === BARE) {
      return done(fetch, this.context(request, pasid, device, null));
    }
    return this.readProcess(fetch, device.fscMode - 1, device.fscHi, device.fscLo);
  }

  /** Asks for the entry of the process; without a process id it is 0 (DPE, step 11). */
  private readProcess(fetch: ContextFetch, level: number, hi: number, lo: number): number {
    const id = Math.max(fetch.request.pasid, 0);
    fetch.step = STEP_PROCESS + level;
    fetch.refName = 'PDT';
    fetch.refLevel = level;
    fetch.hi = hi;
    fetch.lo = lo;
    fetch.bytes = level === 0 ? PROCESS_CONTEXT_BYTES : 8;
    const index = level === 0 ? id & 0xff : (id >>> (8 + 9 * (level - 1))) & 0x1ff;
    fetch.offset = index * fetch.bytes;
    if (deviceOf(fetch).iohgatpMode === BARE) return FETCH_READ;
    fetch.stage2 = (fetch.parent as TranslationContext).walk;
    return FETCH_READ_GUEST;
  }

  private processRead(fetch: ContextFetch): number {
    const device = deviceOf(fetch);
    if (processMisconfigured(fetch.data, device.sxl, this.instance())) {
      return fail(fetch, CAUSE_PDT_MISCONFIGURED);
    }
    const process = decodeProcess(fetch.data);
    return done(fetch, this.context(fetch.request, fetch.request.pasid, device, process));
  }

  /** The context cached under `key`: second stage of the device, first stage as given. */
  private context(
    request: DeviceRequest,
    key: number,
    device: DeviceContext,
    first: ProcessContext | null,
  ): TranslationContext {
    // Translated requests hold system addresses, guest addresses if T2GPA is set (steps 8 and 9).
    const bypass = key === KEY_TRANSLATED && !device.t2gpa;
    const firstStage = first !== null && first.fscMode !== BARE ? first : null;
    const secondStage = device.iohgatpMode !== BARE && !bypass;
    const redirect = key !== KEY_DEVICE && device.msi;
    const arch: RiscvContext = {
      device,
      userOnly: device.pdtv && first !== null && !first.ens,
    };
    return {
      deviceId: request.deviceId,
      pasid: key,
      mode: firstStage !== null || secondStage ? CONTEXT_WALK : CONTEXT_BYPASS,
      walk: walkContextOf(this.instance(), device, firstStage, secondStage, redirect),
      tag1: firstStage !== null ? firstStage.pscid : -1,
      tag2: secondStage ? device.gscid : -1,
      // Only a process id comes with a privilege (get no supervisor access without one).
      accessMask: key >= 0 ? -1 : ~ACCESS_PRIVILEGED,
      quiet: device.dtf,
      inputBits: 64,
      arch,
    };
  }
}

function deviceOf(fetch: ContextFetch): DeviceContext {
  return ((fetch.parent as TranslationContext).arch as RiscvContext).device;
}

function done(fetch: ContextFetch, context: TranslationContext | null): number {
  fetch.result = context;
  return FETCH_DONE;
}

function fail(fetch: ContextFetch, cause: number): number {
  fetch.faultCode = cause;
  return FETCH_FAULT;
}
