/**
 * A nesting parent and a device of a driver that has vIOMMUs, written down as they go; for tests.
 */
import { fail } from '../../kernel/errno.ts';
import type {
  Domain,
  IommuDevice,
  IommuDriver,
  PagingDomain,
  ViommuDriver,
  ViommuHost,
} from '../driver.ts';
import { IommuGroup } from '../iommu-core/group.ts';
import { IOMMU_HWPT_ALLOC_NEST_PARENT } from '../uapi/constants.ts';
import { Device } from './device.ts';
import { HW_QUEUE_COMMANDS } from './hw-queue.ts';
import { HwptPaging } from './hwpt-paging.ts';
import { Ioas } from './ioas.ts';
import { type QueueBench, queueBench } from './queue-testbench.ts';
import { VDEVICE_COMMANDS } from './vdevice.ts';
import { VEVENTQ_COMMANDS } from './veventq.ts';
import { VIOMMU_COMMANDS, type Viommu } from './viommu.ts';

export const MODEL = 0xdeadbeef;

export interface ViommuBench extends QueueBench {
  readonly ioas: Ioas;
  readonly parent: HwptPaging;
  readonly device: Device;
  /** What the vIOMMU driver was asked to do. */
  readonly log: string[];
  /** The next hook of the driver refuses. */
  refuse(): void;
  /** A second device of the driver, behind the same IOMMU or another. */
  bind(name: string, instance?: object): Device;
  allocViommu(model?: number): Uint32Array | string;
  /** A vIOMMU that is there. */
  viommu(): Viommu;
}

export const VIOMMU_WORDS = { VIOMMU: 0x3b90, VDEVICE: 0x3b91, VEVENTQ: 0x3b93, HW_QUEUE: 0x3b94 };

class FakeDriver implements IommuDriver {
  readonly name = 'fake';
  readonly userPasidTable = false;
  readonly log: string[] = [];
  refusing = false;
  readonly blocked: Domain = { kind: 'blocked', driver: this, attach: () => {}, free: () => {} };

  capable(): boolean {
    return true;
  }

  allocPaging(): PagingDomain {
    const { blocked } = this;
    return { ...blocked, kind: 'paging' } as PagingDomain;
  }

  supportsViommu(_device: IommuDevice, type: number): boolean {
    return type === MODEL;
  }

  initViommu(
    _device: IommuDevice,
    _type: number,
    _parent: PagingDomain,
    host: ViommuHost,
  ): ViommuDriver {
    this.step('init');
    const offset = host.allocMmap([8, 9]);
    const queues = new Set<number>();
    return {
      destroy: () => {
        host.freeMmap(offset);
        this.log.push('destroy');
      },
      initVdevice: (device, id) => this.step(`init ${device.name} ${id}`),
      freeVdevice: (device, id) => this.log.push(`free ${device.name} ${id}`),
      supportsHwQueue: (type) => type === MODEL,
      initHwQueue: ({ index, base, length }) => {
        this.step(`queue ${index} at 0x${base.toString(16)}+${length}`);
        if (queues.has(index)) fail('EEXIST', 'taken');
        queues.add(index);
        return { dependsOn: index - 1, destroy: () => queues.delete(index) };
      },
    };
  }

  private step(what: string): void {
    const refused = this.refusing;
    this.refusing = false;
    if (refused) fail('EIO', what);
    this.log.push(what);
  }
}

/** Object ids: IOAS 1, page table 2, device 3. */
export function viommuBench(): ViommuBench {
  const base = queueBench([
    ...VIOMMU_COMMANDS,
    ...VDEVICE_COMMANDS,
    ...VEVENTQ_COMMANDS,
    ...HW_QUEUE_COMMANDS,
  ]);
  const { context, kernel } = base;
  const { objects } = context;
  const driver = new FakeDriver();
  const ioas = new Ioas(context);
  objects.reserve(ioas);
  objects.publish(ioas);
  const parent = new HwptPaging(ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
  objects.reserve(parent);
  const bind = (name: string, instance: object = driver) => {
    const device = { name, driver, instance, maxPasids: 0, pci: null, reserved: [] };
    const group = new IommuGroup(kernel.memory);
    group.addDevice(device);
    return Device.bind(context, device, group, { test: true });
  };
  parent.allocate({ driver } as unknown as IommuDevice, 0, null);
  objects.publish(parent);
  const device = bind('dev');
  const bench: ViommuBench = {
    ...base,
    ioas,
    parent,
    device,
    log: driver.log,
    bind,
    refuse: () => {
      driver.refusing = true;
    },
    allocViommu: (model = MODEL) =>
      base.ioctl(VIOMMU_WORDS.VIOMMU, [40, 0, model, device.id, parent.id, 0, 0, 0, 0, 0]),
    viommu: () => {
      const answer = bench.allocViommu() as Uint32Array;
      return objects.peek(answer[5] as number) as Viommu;
    },
  };
  return bench;
}
