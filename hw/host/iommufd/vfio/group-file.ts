/**
 * /dev/vfio/N (drivers/vfio/group.c): the older way to devices, by the group. A /dev/iommu file
 * takes the place of the container: with it the compatibility IOAS comes to be, and a device that
 * is opened through the group is bound and attached to that IOAS at once.
 */
import type { KernelServices, OpenFile, Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import type { IommufdFile } from '../iommufd-file.ts';
import { iommufdFromFd, VfioDeviceFile } from './cdev.ts';
import { compatIoas, createCompatIoas, setNoIommu } from './compat-ioas.ts';
import type { VfioDevice, VfioGroup } from './device.ts';
import { s32At, u32At, u32Bytes } from './user-bytes.ts';

export const VFIO_GROUP_GET_STATUS = 0x3b67;
export const VFIO_GROUP_SET_CONTAINER = 0x3b68;
export const VFIO_GROUP_UNSET_CONTAINER = 0x3b69;
export const VFIO_GROUP_GET_DEVICE_FD = 0x3b6a;

export const VFIO_GROUP_FLAGS_VIABLE = 1;
export const VFIO_GROUP_FLAGS_CONTAINER_SET = 2;

const STATUS_BYTES = 8;
const NAME_LIMIT = 4096;

export class VfioGroupFile implements OpenFile {
  readonly kind: string = 'vfio-group';
  refs = 1;
  private readonly services: KernelServices;
  private readonly group: VfioGroup;
  private iommufd: IommufdFile | null = null;

  /** Opens the group: EBUSY while it is open, or while one of its devices is open by itself. */
  constructor(services: KernelServices, group: VfioGroup) {
    if (group.directlyOpen > 0) fail('EBUSY', 'a device of the group is open by itself');
    if (group.opened) fail('EBUSY', 'the group is open already');
    group.opened = true;
    this.services = services;
    this.group = group;
  }

  ioctl(process: Process, command: number, argument: bigint): number {
    switch (command) {
      case VFIO_GROUP_GET_STATUS:
        return this.status(process, argument);
      case VFIO_GROUP_SET_CONTAINER:
        return this.setContainer(process, argument);
      case VFIO_GROUP_UNSET_CONTAINER:
        return this.unsetContainer();
      case VFIO_GROUP_GET_DEVICE_FD:
        return this.deviceFd(process, argument);
      default:
        return fail('ENOTTY', `0x${command.toString(16)} is no command of a VFIO group`);
    }
  }

  release(): void {
    if (this.iommufd !== null) this.services.put(this.iommufd);
    this.iommufd = null;
    this.group.opened = false;
  }

  private status(process: Process, argument: bigint): number {
    const bytes = new Uint8Array(STATUS_BYTES);
    process.space.copyIn(argument, bytes);
    const argsz = u32At(bytes, 0);
    if (argsz < STATUS_BYTES) fail('EINVAL', `argsz ${argsz} is below ${STATUS_BYTES}`);
    const set = this.iommufd === null ? 0 : VFIO_GROUP_FLAGS_CONTAINER_SET;
    bytes.set(u32Bytes(VFIO_GROUP_FLAGS_VIABLE | set), 4);
    process.space.copyOut(argument, bytes);
    return 0;
  }

  private setContainer(process: Process, argument: bigint): number {
    const bytes = new Uint8Array(4);
    process.space.copyIn(argument, bytes);
    const fd = s32At(bytes, 0);
    if (process.file(fd) === null) fail('EBADF', `descriptor ${fd} is not open`);
    if (this.iommufd !== null) fail('EINVAL', 'the group has a container already');
    const file = iommufdFromFd(process, fd);
    if (this.group.devices.some((device) => device.noIommu)) setNoIommu(file.context);
    else createCompatIoas(file.context);
    this.services.get(file);
    this.iommufd = file;
    return 0;
  }

  private unsetContainer(): number {
    if (this.iommufd === null) fail('EINVAL', 'the group has no container');
    this.services.put(this.iommufd);
    this.iommufd = null;
    return 0;
  }

  private deviceFd(process: Process, argument: bigint): number {
    const name = readName(process, argument);
    const device =
      this.group.devices.find((candidate) => candidate.name === name) ??
      fail('ENODEV', `the group has no device ${name}`);
    const fd = process.reserveFd();
    try {
      process.installFd(fd, this.openDevice(device));
    } catch (error) {
      process.releaseFd(fd);
      throw error;
    }
    return fd;
  }

  /** vfio_df_group_open. */
  private openDevice(device: VfioDevice): VfioDeviceFile {
    const iommufd = this.iommufd ?? fail('EINVAL', 'the group has no container');
    const { context } = iommufd;
    if (device.noIommu && device.openCount === 0 && context.vfioIoas !== null) {
      fail('EPERM', 'the context has a compatibility IOAS: no device without IOMMU joins it');
    }
    device.open(context, true);
    try {
      if (device.openCount === 1 && !device.noIommu) {
        device.backend.attach(compatIoas(context).id);
      }
    } catch (error) {
      device.close();
      throw error;
    }
    this.services.get(this);
    return new VfioDeviceFile(this.services, device, this);
  }
}

/** strndup_user: a string that ends within a page. */
function readName(process: Process, address: bigint): string {
  const byte = new Uint8Array(1);
  let name = '';
  for (let i = 0; i < NAME_LIMIT; i++) {
    process.space.copyIn(address + BigInt(i), byte);
    if (byte[0] === 0) return name;
    name += String.fromCharCode(byte[0]!);
  }
  return fail('EINVAL', 'the name does not end within a page');
}
