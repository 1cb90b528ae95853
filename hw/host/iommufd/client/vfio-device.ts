/** A VFIO device file (/dev/vfio/devices/vfioN) as a client of /dev/iommu uses it. */

import type { Inputs } from '../uapi/codec.ts';
import { VFIO_DEVICE_ATTACH_PASID, VFIO_DEVICE_DETACH_PASID } from '../uapi/constants.ts';
import type { Fields, IoctlLayout } from '../uapi/layout.ts';
import { VFIO_ATTACH, VFIO_BIND, VFIO_DETACH } from '../uapi/structs.ts';
import { refusal, valueFrom } from './process.ts';
import type { Session } from './session.ts';

export class VfioDevice {
  readonly fd: number;
  /** Id of the device in the context. */
  readonly id: number;
  private readonly session: Session;

  private constructor(session: Session, fd: number, id: number) {
    this.session = session;
    this.fd = fd;
    this.id = id;
  }

  /** Opens the device's file and binds it to the context of the session. */
  static open(session: Session, path: string): VfioDevice {
    const fd = valueFrom(session.process.open(path));
    session.begin();
    const { answer, fields } = session.attempt(VFIO_BIND, { iommufd: session.fd }, fd);
    if (answer.errno === 0) return new VfioDevice(session, fd, fields().out_devid);
    session.process.close(fd);
    throw refusal(answer);
  }

  /**
   * Attaches the device to an IOAS or page table, or moves it there; returns the page table that it
   * is on. With a PASID only the device's accesses with that PASID.
   */
  attach(ptId: number, pasid?: number): number {
    const flags = pasid === undefined ? 0 : VFIO_DEVICE_ATTACH_PASID;
    return this.call(VFIO_ATTACH, { flags, pt_id: ptId, pasid: pasid ?? 0 }).pt_id;
  }

  detach(pasid?: number): void {
    const flags = pasid === undefined ? 0 : VFIO_DEVICE_DETACH_PASID;
    this.call(VFIO_DETACH, { flags, pasid: pasid ?? 0 });
  }

  /** Detaches everything and unbinds. */
  close(): void {
    valueFrom(this.session.process.close(this.fd));
  }

  private call<F extends Fields>(layout: IoctlLayout<F>, values: Inputs<F>) {
    this.session.begin();
    const { answer, fields } = this.session.attempt(layout, values, this.fd);
    if (answer.errno !== 0) throw refusal(answer);
    return fields();
  }
}
