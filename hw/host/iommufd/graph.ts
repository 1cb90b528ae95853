/**
 * What objects of a context know of objects whose classes import theirs: the upper ends of the
 * edges of the object graph. A class that is pointed at by a lower one fulfils the interface here.
 */
import type { Domain, IommuDevice, PagingDomain } from './driver.ts';
import type { IommufdObject } from './object.ts';

/** A hardware page table seen from its IOAS and from an attachment. */
export interface AttachedHwpt extends IommufdObject {
  readonly domain: Domain;
  readonly fault: FaultQueue | null;
}

/** A kernel-managed page table seen from its IOAS. */
export interface IoasHwpt extends AttachedHwpt {
  readonly domain: PagingDomain;
  readonly autoDomain: boolean;
  readonly enforceCoherency: boolean;
}

/** A bound device seen from an attachment. */
export interface AttachedDevice extends IommufdObject {
  readonly iommu: IommuDevice;
}

/** One attachment of a device (or of its whole group) at a PASID; 0 is the device itself. */
export interface AttachHandle {
  readonly domain: Domain;
  readonly hwpt: AttachedHwpt;
  /** The device that attached the group. */
  readonly device: AttachedDevice;
  readonly pasid: number;
}

/** A fault queue seen from the page table that routes its faults there. */
export interface FaultQueue extends IommufdObject {
  /** Answers INVALID to what is queued or unanswered for an attachment that goes away. */
  dropAttachment(handle: AttachHandle): void;
}

/** A vDEVICE seen from its device. */
export interface DeviceVdevice extends IommufdObject {
  /** IOMMUFD_OBJ_VDEVICE abort: takes it out of its vIOMMU when the device goes first. */
  readonly virtualId: bigint;
}

/** A vIOMMU seen from a nested page table made through it. */
export interface NestedViommu extends IommufdObject {
  readonly instance: object;
}

/** A vDEVICE seen from its vIOMMU. */
export interface ViommuVdevice extends IommufdObject {
  readonly virtualId: bigint;
  readonly device: AttachedDevice;
}

/** A vEVENTQ seen from its vIOMMU. */
export interface ViommuEventQueue extends IommufdObject {
  /** Type of the events. */
  readonly events: number;
  push(event: Uint8Array): void;
}

/** A hardware queue seen from its vIOMMU and from the queue that needs it. */
export interface ViommuHwQueue extends IommufdObject {
  readonly index: number;
}
