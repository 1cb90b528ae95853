/**
 * The open file of /dev/iommu: hands calls to the table or to the VFIO calls, maps pages that
 * vIOMMUs have registered, and ends the context with its last reference.
 */
import type {
  DeviceMapping,
  KernelServices,
  MmapRequest,
  OpenFile,
  Process,
} from '../kernel/api.ts';
import { PAGE_SIZE } from '../kernel/api.ts';
import { fail } from '../kernel/errno.ts';
import type { Command } from './call.ts';
import { COMMANDS } from './commands.ts';
import { Context } from './context.ts';
import { type CommandTable, commandTable, Dispatcher } from './dispatch.ts';
import { vfioIoctl } from './vfio/compat.ts';

const VFIO_PATH = '/dev/vfio/vfio';
const PLAIN_TABLE: CommandTable = commandTable(COMMANDS);

export class IommufdFile implements OpenFile {
  readonly kind: string = 'iommufd';
  refs = 1;
  readonly context: Context;
  private readonly dispatcher: Dispatcher;

  constructor(context: Context, table: CommandTable) {
    this.context = context;
    context.file = this;
    this.dispatcher = new Dispatcher(context, table);
  }

  ioctl(process: Process, command: number, argument: bigint): number {
    return this.dispatcher.owns(command)
      ? this.dispatcher.run(process, command, argument)
      : vfioIoctl(this.context, process, command, argument);
  }

  mmap(_process: Process, request: MmapRequest): DeviceMapping {
    if (request.length % BigInt(PAGE_SIZE) !== 0n) fail('EINVAL', 'length is not whole pages');
    if (!request.shared) fail('EINVAL', 'pages of a device can only be mapped shared');
    if (request.executable) fail('EPERM', 'pages of a device cannot be mapped executable');
    return this.context.mmaps.map(request.offset, request.length);
  }

  release(): void {
    this.context.close();
  }
}

/**
 * Opens /dev/iommu, or /dev/vfio/vfio, which accounts as VFIO did. `extra` are the calls of a
 * kernel that has more of them (IOMMU_TEST_CMD).
 */
export function openIommufd(
  services: KernelServices,
  path: string,
  extra: readonly Command[] = [],
): IommufdFile {
  const context = new Context(services);
  if (path === VFIO_PATH) context.accountMode = 'mm';
  const table = extra.length === 0 ? PLAIN_TABLE : commandTable([...COMMANDS, ...extra]);
  return new IommufdFile(context, table);
}
