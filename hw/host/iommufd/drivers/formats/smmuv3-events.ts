/**
 * Event records of SMMUv3 on their way to a guest: which are the guest's, and the stream id that it
 * knows in place of the real one (drivers/iommu/arm/arm-smmu-v3: arm_smmu_handle_event,
 * arm_vmaster_report_event).
 */

import { SMMUV3_EVT, SMMUV3_VEVENT_IDS } from '../../uapi/driver-constants.ts';
import { bytesOf, getField, setField } from './bits.ts';

/** Four words of 64 bits. */
export type SmmuEvent = readonly [bigint, bigint, bigint, bigint];

/**
 * 'vevent': goes to the guest's event queue; 'page-request': the transaction is stalled and waits
 * for an answer; 'host': the host prints it.
 */
export type EventRoute = 'vevent' | 'page-request' | 'host';

export function eventStream(event: SmmuEvent): number {
  return Number(getField(event[0], SMMUV3_EVT.SID));
}

/** `nested`: the device is attached to a nested domain and has a virtual stream id. */
export function routeEvent(event: SmmuEvent, nested: boolean): EventRoute {
  const id = Number(getField(event[0], SMMUV3_EVT.ID));
  if (!SMMUV3_VEVENT_IDS.includes(id)) return 'host';
  if ((event[1] & SMMUV3_EVT.DW1_STALL) !== 0n) return 'page-request';
  const stage2 = (event[1] & SMMUV3_EVT.DW1_S2) !== 0n;
  return nested && !stage2 ? 'vevent' : 'host';
}

/** The record as the guest gets it: all but the stream id as the hardware wrote it. */
export function guestEvent(event: SmmuEvent, virtualStream: bigint): Uint8Array {
  return bytesOf([setField(event[0], SMMUV3_EVT.SID, virtualStream), ...event.slice(1)]);
}
