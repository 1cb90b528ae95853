/**
 * Checks a context between two calls: the counts of every object are what the object graph says
 * (who holds whom is in the table of include/linux/iommufd.h's users of `users`), groups agree with
 * what the IOMMU core has attached, and an IOAS lists exactly the page tables that stand on it.
 */
import { InternalError } from '../../../sim/errors.ts';
import type { Context } from './context.ts';
import type { IommufdObject } from './object.ts';
import { Access } from './objects/access.ts';
import { Device } from './objects/device.ts';
import { DeviceGroup } from './objects/device-group.ts';
import { EventQueue } from './objects/event-queue.ts';
import { HwQueue } from './objects/hw-queue.ts';
import { HwptNested } from './objects/hwpt-nested.ts';
import { Hwpt, HwptPaging } from './objects/hwpt-paging.ts';
import { Ioas } from './objects/ioas.ts';
import { Vdevice } from './objects/vdevice.ts';
import { Veventq } from './objects/veventq.ts';
import { Viommu } from './objects/viommu.ts';

/** Everything that is wrong, in words; empty when the context is sound. */
export function invariantViolations(context: Context): string[] {
  const objects = context.objects.objects();
  const found: string[] = [];
  const users = expectedUsers(context, objects);
  for (const object of objects) {
    const name = `${object.type} ${object.id}`;
    const expected = users.get(object) as number;
    if (object.users !== expected) found.push(`${name}: users ${object.users}, not ${expected}`);
    const short = object instanceof Device && object.vdevice !== null ? 2 : 1;
    if (object.shortTerm !== short) {
      found.push(`${name}: short-term users ${object.shortTerm}, not ${short}`);
    }
    if (object instanceof Ioas) checkIoas(object, objects, found);
  }
  for (const holder of users.keys()) {
    if (!objects.includes(holder)) found.push(`${holder.type} ${holder.id} is held, but gone`);
  }
  checkGroups(context, objects, found);
  if (context.vfioIoas !== null && !objects.includes(context.vfioIoas)) {
    found.push('the compatibility IOAS is gone');
  }
  return found;
}

export function checkInvariants(context: Context): void {
  const found = invariantViolations(context);
  if (found.length > 0) throw new InternalError('iommufd-invariants', found.join('; '));
}

function expectedUsers(
  context: Context,
  objects: readonly IommufdObject[],
): Map<IommufdObject, number> {
  const users = new Map<IommufdObject, number>();
  for (const object of objects) users.set(object, 1);
  const hold = (object: IommufdObject | null): void => {
    if (object !== null) users.set(object, (users.get(object) ?? 1) + 1);
  };
  for (const object of objects) {
    for (const held of heldBy(object)) hold(held);
    const mappings = context.mmaps.mappingsOf(object);
    for (let i = 0; i < mappings; i++) hold(object);
  }
  for (const group of context.groups.values()) {
    if (!(group instanceof DeviceGroup)) continue;
    for (const { hwpt, devices } of group.allAttachments().values()) {
      for (const device of devices) {
        hold(hwpt);
        hold(device);
      }
    }
  }
  return users;
}

/** Objects that count this one as a user; itself where a driver or an open file holds it. */
export function heldBy(object: IommufdObject): (IommufdObject | null)[] {
  if (object instanceof HwptPaging) return [object.ioas, object.fault];
  if (object instanceof HwptNested) return [object.viommu ?? object.parent, object.fault];
  if (object instanceof Device) return [object];
  if (object instanceof Access) return [object, object.ioas];
  if (object instanceof Viommu) return [object.parent];
  if (object instanceof Vdevice) return [object.viommu, object.device];
  if (object instanceof HwQueue) return [object.viommu, object.predecessor];
  if (object instanceof Veventq) return [object.viommu, object.file === null ? null : object];
  if (object instanceof EventQueue) return [object.file === null ? null : object];
  return [];
}

function checkIoas(ioas: Ioas, objects: readonly IommufdObject[], found: string[]): void {
  const standing = objects.filter((object) => object instanceof HwptPaging && object.ioas === ioas);
  const listed: readonly IommufdObject[] = ioas.hwpts;
  const agree =
    listed.length === standing.length && standing.every((hwpt) => listed.includes(hwpt));
  if (!agree) found.push(`ioas ${ioas.id}: its list of page tables is not what stands on it`);
  const { domains } = ioas.table;
  if (domains.length !== ioas.hwpts.length) {
    found.push(`ioas ${ioas.id}: ${domains.length} domains for ${ioas.hwpts.length} page tables`);
  }
  for (const { id, domain } of ioas.hwpts) {
    if (!domains.includes(domain)) found.push(`ioas ${ioas.id}: hwpt ${id} is not filled`);
  }
}

function checkGroups(context: Context, objects: readonly IommufdObject[], found: string[]): void {
  const devices = objects.filter((object) => object instanceof Device);
  for (const [core, view] of context.groups) {
    if (!(view instanceof DeviceGroup) || view.core !== core) {
      found.push('a group is filed under another');
      continue;
    }
    const bound = devices.filter((device) => device.view === view);
    if (bound.length === 0) found.push('a group is left without devices');
    if (!view.core.claimed) found.push('the DMA of a group with bound devices has no owner');
    checkAttachments(view, objects, found);
  }
  for (const device of devices) {
    if (context.groups.get(device.group) !== device.view) {
      found.push(`device ${device.id}: its group is not one of the context`);
    }
  }
}

function checkAttachments(
  view: DeviceGroup,
  objects: readonly IommufdObject[],
  found: string[],
): void {
  for (const [pasid, { hwpt, handle, devices }] of view.allAttachments()) {
    const name = `attachment at PASID ${pasid} to hwpt ${hwpt.id}`;
    const first = devices[0];
    if (first === undefined) {
      found.push(`${name} has no devices`);
      continue;
    }
    if (!(hwpt instanceof Hwpt) || !objects.includes(hwpt)) found.push(`${name}: it is gone`);
    if (devices.some((device) => !objects.includes(device)))
      found.push(`${name}: a device is gone`);
    if (handle.hwpt !== hwpt || view.core.handleOf(first.iommu, pasid) !== handle) {
      found.push(`${name}: the IOMMU core has another`);
    }
    if (pasid === 0 && view.core.domain !== hwpt.domain) {
      found.push(`${name}: the group is in another domain`);
    }
  }
}
