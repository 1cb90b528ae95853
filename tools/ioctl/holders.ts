/** The object graph in words: who holds each object, and what an object is besides its type. */
import type { Context } from '../../hw/host/iommufd/context.ts';
import { SelftestDevice } from '../../hw/host/iommufd/drivers/mock/selftest-device.ts';
import type { IommufdObject } from '../../hw/host/iommufd/object.ts';
import { Access } from '../../hw/host/iommufd/objects/access.ts';
import { Device } from '../../hw/host/iommufd/objects/device.ts';
import { DeviceGroup } from '../../hw/host/iommufd/objects/device-group.ts';
import { EventQueue } from '../../hw/host/iommufd/objects/event-queue.ts';
import { Fault } from '../../hw/host/iommufd/objects/fault.ts';
import { HwQueue } from '../../hw/host/iommufd/objects/hw-queue.ts';
import { HwptNested } from '../../hw/host/iommufd/objects/hwpt-nested.ts';
import { HwptPaging } from '../../hw/host/iommufd/objects/hwpt-paging.ts';
import { Ioas } from '../../hw/host/iommufd/objects/ioas.ts';
import { Vdevice } from '../../hw/host/iommufd/objects/vdevice.ts';
import { Veventq } from '../../hw/host/iommufd/objects/veventq.ts';
import { Viommu } from '../../hw/host/iommufd/objects/viommu.ts';
import { heldBy } from '../../hw/host/iommufd/objects-invariants.ts';
import { count } from '../report/text.ts';
import { hexNumber } from './dump.ts';

/** Holders of each object besides the table of ids, one word for each count. */
export function holdersOf(context: Context): Map<IommufdObject, string[]> {
  const holders = new Map<IommufdObject, string[]>();
  const add = (object: IommufdObject, holder: string): void => {
    const list = holders.get(object);
    if (list === undefined) holders.set(object, [holder]);
    else list.push(holder);
  };
  for (const object of context.objects.objects()) {
    for (const held of heldBy(object)) {
      if (held === null) continue;
      add(held, held === object ? ownHolder(object) : `${object.type} ${object.id}`);
    }
    const mappings = context.mmaps.mappingsOf(object);
    for (let i = 0; i < mappings; i++) add(object, 'mmap');
  }
  for (const group of context.groups.values()) {
    if (!(group instanceof DeviceGroup)) continue;
    for (const [pasid, { hwpt, devices }] of group.allAttachments()) {
      const at = pasid === 0 ? '' : ` PASID ${pasid}`;
      for (const device of devices) {
        add(hwpt, `device ${device.id}${at}`);
        add(device, `attachment${at}`);
      }
    }
  }
  return holders;
}

/** What holds an object that its own kind keeps alive. */
function ownHolder(object: IommufdObject): string {
  if (object instanceof EventQueue) return 'its file';
  return object instanceof Device ? 'its driver' : 'its owner';
}

export function detailsOf(object: IommufdObject): string {
  if (object instanceof Ioas) return `${count(object.table.areas.size)} areas`;
  if (object instanceof HwptPaging) return pagingDetails(object);
  if (object instanceof HwptNested) return withFault(`on hwpt ${object.parent.id}`, object);
  if (object instanceof Device) return deviceDetails(object);
  if (object instanceof Viommu)
    return `type ${hexNumber(object.model)} on hwpt ${object.parent.id}`;
  if (object instanceof Vdevice) {
    return `device ${object.device.id} as ${hexNumber(object.virtualId)} of viommu ${object.viommu.id}`;
  }
  if (object instanceof Veventq) return `viommu ${object.viommu.id}, ${readyText(object)}`;
  if (object instanceof Fault) {
    const { waiting, unanswered } = object.pending;
    return `${waiting} groups wait, ${unanswered} unanswered`;
  }
  if (object instanceof HwQueue) return `index ${object.index} of viommu ${object.viommu.id}`;
  if (object instanceof Access) {
    return object.ioas === null ? 'on no ioas' : `on ioas ${object.ioas.id}`;
  }
  return object instanceof SelftestDevice ? `owns device ${object.device.id}` : '';
}

function readyText(queue: EventQueue): string {
  return queue.readable ? 'events wait' : 'empty';
}

function pagingDetails(hwpt: HwptPaging): string {
  const traits = [
    ...(hwpt.autoDomain ? ['automatic'] : []),
    ...(hwpt.nestParent ? ['nesting parent'] : []),
    ...(hwpt.domain.dirty === undefined ? [] : ['dirty tracking']),
    ...(hwpt.pasidCompatible ? ['PASID'] : []),
  ];
  return withFault([`ioas ${hwpt.ioas.id}`, ...traits].join(', '), hwpt);
}

function withFault(text: string, { fault }: HwptPaging | HwptNested): string {
  return fault === null ? text : `${text}, faults to ${fault.id}`;
}

function deviceDetails(device: Device): string {
  const parts = [device.iommu.name];
  for (const [pasid, { hwpt }] of device.view.allAttachments()) {
    if (!device.view.isAttached(device, pasid)) continue;
    parts.push(pasid === 0 ? `on hwpt ${hwpt.id}` : `PASID ${pasid} on hwpt ${hwpt.id}`);
  }
  return parts.join(', ');
}
