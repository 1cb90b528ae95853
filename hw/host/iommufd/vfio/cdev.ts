/**
 * /dev/vfio/devices/vfioN (drivers/vfio/device_cdev.c): a device is bound to the context of a
 * /dev/iommu file, then attached to its page tables. Closing the file unbinds it.
 */
import type { KernelServices, OpenFile, Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import { checkZeroTail } from '../dispatch.ts';
import { IommufdFile } from '../iommufd-file.ts';
import {
  VFIO_DEVICE_ATTACH_IOMMUFD_PT,
  VFIO_DEVICE_ATTACH_PASID,
  VFIO_DEVICE_BIND_FLAG_TOKEN,
  VFIO_DEVICE_BIND_IOMMUFD,
  VFIO_DEVICE_DETACH_IOMMUFD_PT,
} from '../uapi/vfio-constants.ts';
import { VFIO_ATTACH, VFIO_BIND, VFIO_DETACH } from '../uapi/vfio-structs.ts';
import type { VfioDevice } from './device.ts';
import { s32At, u32At, u32Bytes, u64At } from './user-bytes.ts';

const UUID_BYTES = 16;
/** VFIO_DEVICE_DETACH_PASID is the same bit. */
const PASID = VFIO_DEVICE_ATTACH_PASID;

/** iommufd_ctx_from_fd: the context's file behind a descriptor. */
export function iommufdFromFd(process: Process, fd: number): IommufdFile {
  const file = process.file(fd) ?? fail('EBADF', `descriptor ${fd} is not open`);
  if (!(file instanceof IommufdFile)) fail('EBADFD', `descriptor ${fd} is not a /dev/iommu`);
  return file;
}

export class VfioDeviceFile implements OpenFile {
  readonly kind: string = 'vfio-device';
  refs = 1;
  readonly device: VfioDevice;
  private readonly services: KernelServices;
  /** The group's file whose GET_DEVICE_FD opened it; null: opened by its own name. */
  private readonly group: OpenFile | null;
  /** What its binding holds open: the /dev/iommu, or the group's file; null before BIND. */
  private held: OpenFile | null;

  /** `group`: the device is open and bound already, and the file takes over a reference to it. */
  constructor(services: KernelServices, device: VfioDevice, group: OpenFile | null = null) {
    this.services = services;
    this.device = device;
    this.group = group;
    this.held = group;
  }

  ioctl(process: Process, command: number, argument: bigint): number {
    if (command === VFIO_DEVICE_BIND_IOMMUFD) return this.bind(process, argument);
    if (this.held === null) fail('EINVAL', 'the device is not bound to a /dev/iommu yet');
    if (this.group === null) {
      if (command === VFIO_DEVICE_ATTACH_IOMMUFD_PT) return this.attach(process, argument);
      if (command === VFIO_DEVICE_DETACH_IOMMUFD_PT) return this.detach(process, argument);
    }
    return fail('ENOTTY', `0x${command.toString(16)} is no command of a VFIO device`);
  }

  release(): void {
    const { held } = this;
    if (held === null) return;
    this.device.close();
    this.held = null;
    if (this.group === null && this.device.group !== null) this.device.group.directlyOpen--;
    this.services.put(held);
  }

  private bind(process: Process, argument: bigint): number {
    const bytes = readBind(process, argument);
    const flags = u32At(bytes, VFIO_BIND.at.flags);
    const fd = s32At(bytes, VFIO_BIND.at.iommufd);
    if (fd < 0) fail('EINVAL', `iommufd ${fd} is negative`);
    if ((flags & ~VFIO_DEVICE_BIND_FLAG_TOKEN) !== 0) {
      fail('EINVAL', `flags 0x${flags.toString(16)}: only TOKEN 1 is known`);
    }
    if (this.group !== null) fail('EINVAL', 'the device was opened through its group');
    const { group } = this.device;
    if (group?.opened) fail('EBUSY', "the device's VFIO group is open");
    if (this.held !== null) fail('EINVAL', 'the device is bound already');
    this.checkToken(process, flags, u64At(bytes, VFIO_BIND.at.token_uuid_ptr));
    const iommufd = iommufdFromFd(process, fd);
    const id = this.device.open(iommufd.context, false);
    try {
      process.space.copyOut(argument + BigInt(VFIO_BIND.at.out_devid), u32Bytes(id));
    } catch (error) {
      this.device.close();
      throw error;
    }
    this.services.get(iommufd);
    this.held = iommufd;
    if (group !== null) group.directlyOpen++;
    return 0;
  }

  /** vfio_df_check_token. */
  private checkToken(process: Process, flags: number, pointer: bigint): void {
    const { matchToken } = this.device;
    const given = (flags & VFIO_DEVICE_BIND_FLAG_TOKEN) !== 0;
    if (matchToken === null) {
      if (given) fail('EINVAL', 'TOKEN for a device that has no tokens');
    } else if (given) {
      const uuid = new Uint8Array(UUID_BYTES);
      process.space.copyIn(pointer, uuid);
      matchToken(uuid);
    } else {
      matchToken(null);
    }
  }

  private attach(process: Process, argument: bigint): number {
    const { backend } = this.device;
    const { at, minSize, size } = VFIO_ATTACH;
    const bytes = new Uint8Array(size);
    const pasid = readPasidForm(process, argument, bytes, minSize, backend.pasids);
    const ptId = u32At(bytes, at.pt_id);
    const used = pasid ? backend.attachPasid(u32At(bytes, at.pasid), ptId) : backend.attach(ptId);
    try {
      process.space.copyOut(argument + BigInt(at.pt_id), u32Bytes(used));
    } catch (error) {
      // Linux undoes the device's own attachment here, also where a PASID was attached.
      backend.detach();
      throw error;
    }
    return 0;
  }

  private detach(process: Process, argument: bigint): number {
    const { backend } = this.device;
    const { at, minSize, size } = VFIO_DETACH;
    const bytes = new Uint8Array(size);
    const pasid = readPasidForm(process, argument, bytes, minSize, backend.pasids);
    if (pasid) backend.detachPasid(u32At(bytes, at.pasid));
    else backend.detach();
    return 0;
  }
}

/** copy_struct_from_user for BIND: shorter is zero-extended, a longer one has a zero tail. */
function readBind(process: Process, argument: bigint): Uint8Array {
  const { size, minSize } = VFIO_BIND;
  const head = new Uint8Array(4);
  process.space.copyIn(argument, head);
  const argsz = u32At(head, 0);
  if (argsz < minSize) fail('EINVAL', `argsz ${argsz} is below ${minSize}`);
  if (argsz > size) checkZeroTail(process.space, argument + BigInt(size), argsz - size);
  const bytes = new Uint8Array(size);
  process.space.copyIn(argument, bytes.subarray(0, Math.min(argsz, size)));
  return bytes;
}

/** Reads ATTACH or DETACH; the PASID after the short form only with its flag. */
function readPasidForm(
  process: Process,
  argument: bigint,
  bytes: Uint8Array,
  minSize: number,
  supported: boolean,
): boolean {
  process.space.copyIn(argument, bytes.subarray(0, minSize));
  const argsz = u32At(bytes, 0);
  const flags = u32At(bytes, 4);
  if (argsz < minSize) fail('EINVAL', `argsz ${argsz} is below ${minSize}`);
  if ((flags & ~PASID) !== 0) {
    fail('EINVAL', `flags 0x${flags.toString(16)}: only PASID ${PASID} is known`);
  }
  if ((flags & PASID) === 0) return false;
  if (!supported) fail('EOPNOTSUPP', 'the device has no attachments by PASID');
  if (argsz < bytes.length) {
    fail('EINVAL', `argsz ${argsz} is below the ${bytes.length} bytes that PASID needs`);
  }
  process.space.copyIn(argument + BigInt(minSize), bytes.subarray(minSize));
  return true;
}
