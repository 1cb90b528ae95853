/**
 * Primary fault logging (VT-d specification 7.2) and the two event interrupts: fault events
 * (FECTL) and invalidation completion events (IECTL), each with a mask and a pending bit.
 */

import { pageNumber } from '../../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import {
  type DeviceRequest,
  FAULT_LOST,
  FAULT_RECORDED,
  FAULT_SILENT,
  REQUEST_ATS,
  REQUEST_UNTRANSLATED,
  type UnitPorts,
} from '../architecture.ts';
import * as R from './layout.ts';
import { get32, put32, type VtdState } from './state.ts';

/** Address type in a fault record (PCIe AT field) by request kind. */
const ADDRESS_TYPE: readonly number[] = [0, 2, 1];

/** Records a fault, or notes that there was no room for it; returns FAULT_*. */
export function recordFault(
  state: VtdState,
  ports: UnitPorts,
  request: DeviceRequest,
  reason: number,
): number {
  if (reason >= R.UNRECORDED) return FAULT_SILENT;
  // A missing permission is the answer of a translation request, not a fault (7.1.3, LSS.1-2).
  const permission = reason === R.REASON_READ || reason === R.REASON_WRITE;
  if (permission && request.kind === REQUEST_ATS) return FAULT_SILENT;
  const status = get32(state, R.FSTS);
  if ((status & R.FSTS_PFO) !== 0) return FAULT_LOST;
  if (state.identity.mergeFaults && hasPending(state, request.deviceId)) return FAULT_SILENT;
  const base = state.features.faultOffset + state.nextFault * R.FRCD_BYTES;
  if ((get32(state, base + 12) & R.FRCD_F) !== 0) {
    put32(state, R.FSTS, status | R.FSTS_PFO);
    return FAULT_LOST;
  }
  writeRecord(state, base, request, reason);
  if ((status & R.FSTS_PPF) === 0) {
    const index = state.nextFault << R.FSTS_FRI_SHIFT;
    put32(state, R.FSTS, (status & ~R.FSTS_FRI_MASK) | index | R.FSTS_PPF);
    raiseFaultEvent(state, ports, status);
  }
  state.nextFault = (state.nextFault + 1) % state.features.faultRecords;
  return FAULT_RECORDED;
}

/**
 * FI takes all bits 63:12 of the address. The specification lets hardware leave out those above
 * the guest address width; then a record of reason 4h would not show the address it is about.
 */
function writeRecord(state: VtdState, base: number, request: DeviceRequest, reason: number): void {
  const { hi, lo } = request;
  put32(state, base, lo << 12);
  put32(state, base + 4, (hi << 7) | (lo >>> 20));
  put32(state, base + 8, request.deviceId & 0xffff);
  // Reads and atomic operations are "read" (T = 1).
  const read = (request.access & ACCESS_READ) !== 0 || (request.access & ACCESS_WRITE) === 0;
  const type = state.features.deviceTlb ? ADDRESS_TYPE[request.kind]! : 0;
  put32(
    state,
    base + 12,
    R.FRCD_F | (read ? R.FRCD_T1 : 0) | (type << R.FRCD_AT_SHIFT) | (reason & 0xff),
  );
}

function hasPending(state: VtdState, deviceId: number): boolean {
  const { faultOffset, faultRecords } = state.features;
  for (let i = 0; i < faultRecords; i++) {
    const base = faultOffset + i * R.FRCD_BYTES;
    const sameSource = (get32(state, base + 8) & 0xffff) === (deviceId & 0xffff);
    if (sameSource && (get32(state, base + 12) & R.FRCD_F) !== 0) return true;
  }
  return false;
}

/** Recomputes PPF, the OR of the F bits, after software cleared one; may end a pending event. */
export function refreshPending(state: VtdState): void {
  const { faultOffset, faultRecords } = state.features;
  let any = false;
  for (let i = 0; i < faultRecords; i++) {
    if ((get32(state, faultOffset + i * R.FRCD_BYTES + 12) & R.FRCD_F) !== 0) any = true;
  }
  const status = get32(state, R.FSTS);
  put32(state, R.FSTS, any ? status | R.FSTS_PPF : status & ~(R.FSTS_PPF | R.FSTS_FRI_MASK));
  serviceFaultEvent(state);
}

/** All conditions serviced: an interrupt held back by the mask is no longer due (11.4.10). */
export function serviceFaultEvent(state: VtdState): void {
  if ((get32(state, R.FSTS) & R.FSTS_EVENTS) !== 0) return;
  put32(state, R.FECTL, get32(state, R.FECTL) & ~R.EVENT_IP);
}

/** Raises the fault event, unless a condition was pending already (`before`: FSTS until now). */
export function raiseFaultEvent(state: VtdState, ports: UnitPorts, before: number): void {
  if ((before & R.FSTS_EVENTS) === 0) raiseEvent(state, ports, R.FECTL);
}

/** An invalidation wait descriptor with IF completed (6.5.2.8). */
export function raiseCompletionEvent(state: VtdState, ports: UnitPorts): void {
  const status = get32(state, R.ICS);
  if ((status & R.ICS_IWC) !== 0) return;
  put32(state, R.ICS, status | R.ICS_IWC);
  raiseEvent(state, ports, R.IECTL);
}

function raiseEvent(state: VtdState, ports: UnitPorts, control: number): void {
  put32(state, control, get32(state, control) | R.EVENT_IP);
  deliverEvent(state, ports, control);
}

/** Sends the interrupt message of an event that is pending and not masked. */
export function deliverEvent(state: VtdState, ports: UnitPorts, control: number): void {
  const value = get32(state, control);
  if ((value & R.EVENT_IP) === 0 || (value & R.EVENT_IM) !== 0) return;
  put32(state, control, value & ~R.EVENT_IP);
  const address = get32(state, control + 8);
  const upper = get32(state, control + 12);
  const lo = ((upper & 0x7f) << 20) | (address >>> 12);
  ports.storeInterrupt(upper >>> 7, lo, address & 0xffc, get32(state, control + 4));
}

/** Whether DMA to this address is blocked by the protected memory regions (11.4.13). */
export function isProtected(state: VtdState, hi: number, lo: number): boolean {
  if (!state.features.protectedRegions) return false;
  if ((get32(state, R.PMEN) & R.PMEN_EPM) === 0) return false;
  const page = pageNumber(hi, lo);
  const low = get32(state, R.PLMBASE) >>> 12;
  const lowEnd = get32(state, R.PLMLIMIT) >>> 12;
  if (page >= low && page <= lowEnd) return true;
  return page >= pageOf(state, R.PHMBASE) && page <= pageOf(state, R.PHMLIMIT);
}

function pageOf(state: VtdState, offset: number): number {
  const hi = get32(state, offset + 4) >>> 0;
  return hi * 0x100000 + (get32(state, offset) >>> 12);
}

/** Whether a page is in the interrupt address range (3.14). */
export function inInterruptRange(hi: number, lo: number): boolean {
  return (
    hi === 0 && lo >= R.INTERRUPT_FIRST_PAGE && lo < R.INTERRUPT_FIRST_PAGE + R.INTERRUPT_PAGES
  );
}

/** An interrupt message: an untranslated write without PASID to the interrupt range. */
export function isInterruptMessage(request: DeviceRequest): boolean {
  return (
    inInterruptRange(request.hi, request.lo) &&
    request.kind === REQUEST_UNTRANSLATED &&
    request.pasid < 0 &&
    (request.access & ACCESS_WRITE) !== 0 &&
    (request.access & ACCESS_READ) === 0
  );
}
