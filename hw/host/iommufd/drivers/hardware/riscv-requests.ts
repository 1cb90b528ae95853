/**
 * Page requests between the queue of a RISC-V unit and the fault queue of a page table: the unit
 * has recorded what devices asked for, and sends the answers as PRI messages (ATS.PRGR).
 */
import type { RiscvDriver } from '../../../drivers/riscv.ts';
import type { HardwarePageRequest } from '../../../drivers/riscv-page-requests.ts';
import type { PageRequest, ResponseCode } from '../../driver.ts';
import { reportPageRequest } from '../../objects/fault-routing.ts';
import { pasidOf, requestOf } from '../../page-request.ts';
import type { HardwareUnit } from './unit.ts';

/** Response codes of PCIe ("Page Request Group Response Message"). */
const CODES: Readonly<Record<ResponseCode, number>> = { success: 0, invalid: 1, failure: 0xf };

/** Takes the queue of a unit empty; returns how many requests there were. */
export function servicePageRequests(unit: HardwareUnit<RiscvDriver>): number {
  return unit.driver.takePageRequests((request) => reportQueued(unit, request));
}

/** A request that was taken off the queue: to whom it belongs, or answered. */
export function reportQueued(unit: HardwareUnit<RiscvDriver>, request: HardwarePageRequest): void {
  // A last request for nothing only marks that the device has stopped; it is not answered.
  if (request.last && !request.read && !request.write) return;
  const device = unit.devices.get(request.deviceId);
  const told = requestOf(request);
  if (device !== undefined) reportPageRequest(device.group, device, told);
  else if (request.last) answerPageRequest(unit.driver, request.deviceId, told, 'invalid');
}

export function answerPageRequest(
  driver: RiscvDriver,
  deviceId: number,
  request: PageRequest,
  code: ResponseCode,
): void {
  driver.respond(deviceId, pasidOf(request), request.grpid, CODES[code]);
}
