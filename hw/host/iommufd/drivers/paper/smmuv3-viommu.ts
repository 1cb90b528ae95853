/**
 * vIOMMUs of SMMUv3 on paper: a guest's view of one SMMU with the VMID of its nesting parent, and
 * that of Tegra241 with queues that the hardware reads from the guest.
 */
import { fail } from '../../../kernel/errno.ts';
import type {
  HwQueueDriver,
  HwQueueRequest,
  IommuDevice,
  NestedDomain,
  UserData,
  UserDataArray,
  ViommuDriver,
  ViommuHost,
} from '../../driver.ts';
import { IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV } from '../../uapi/constants.ts';
import { TEGRA241_VINTF_MMAP_LENGTH } from '../../uapi/driver-constants.ts';
import {
  type GuestCommandPort,
  invalidateSmmuBase,
  invalidateSmmuStrict,
} from '../formats/smmuv3-commands.ts';
import { readGuestSte } from '../formats/smmuv3-ste.ts';
import { answerVintf, type CmdqvFeatures, checkVintfData, Vintf } from '../formats/tegra241.ts';
import type { PaperDriver } from './driver.ts';
import { type SmmuDevice, SmmuNested, type SmmuPaging } from './smmuv3-domains.ts';
import type { SmmuUnit } from './smmuv3-unit.ts';

/** The driver as its vIOMMUs see it. */
interface SmmuHostDriver extends PaperDriver<SmmuUnit> {
  /** Guest commands are vetted by each bit. */
  readonly strict: boolean;
}

export class SmmuViommu implements ViommuDriver {
  protected readonly driver: SmmuHostDriver;
  protected readonly unit: SmmuUnit;
  protected readonly parent: SmmuPaging;
  protected readonly host: ViommuHost;

  constructor(driver: SmmuHostDriver, unit: SmmuUnit, parent: SmmuPaging, host: ViommuHost) {
    this.driver = driver;
    this.unit = unit;
    this.parent = parent;
    this.host = host;
  }

  allocNested(_device: IommuDevice, flags: number, data: UserData): NestedDomain {
    if (flags !== 0) fail('EOPNOTSUPP', `flags 0x${flags.toString(16)}: a nested domain has none`);
    return new SmmuNested(this.driver, this.unit, this.parent, this.host, readGuestSte(data));
  }

  invalidate(array: UserDataArray): void {
    const port: GuestCommandPort = {
      vmid: this.parent.tag,
      streamOf: (virtual) => {
        const device = this.host.deviceOf(BigInt(virtual));
        return device === null ? null : (device as SmmuDevice).stream;
      },
      issue: (commands) => {
        this.unit.issue(commands);
        this.driver.record({ kind: 'commands', unit: this.unit, commands: [...commands] });
      },
    };
    if (this.driver.strict) invalidateSmmuStrict(array, port, this.unit.commandSupport);
    else invalidateSmmuBase(array, port);
  }

  initVdevice(device: IommuDevice, _virtualId: bigint): void {
    if (this.driver.strict && (device as SmmuDevice).streams > 1) {
      fail('EOPNOTSUPP', `${device.name} has more than one stream id`);
    }
  }
}

const PAGE_BYTES = 4096;
/** Where the paper's page windows stand: frames that no memory has. */
const WINDOW_FRAMES = 0x2_0000_0000;

export class CmdqvViommu extends SmmuViommu {
  private readonly vintf: Vintf;
  private readonly index: number;
  private readonly window: bigint;

  /** tegra241_cmdqv_init_vintf_user. */
  constructor(
    driver: SmmuHostDriver,
    unit: SmmuUnit,
    parent: SmmuPaging,
    host: ViommuHost,
    data: UserData | null,
  ) {
    super(driver, unit, parent, host);
    const answer = checkVintfData(data);
    const features = unit.features.cmdqv as CmdqvFeatures;
    this.vintf = new Vintf(features, unit.features.commandQueueLog2);
    this.index = unit.interfaces.take();
    try {
      this.window = host.allocMmap(windowFrames(this.index));
    } catch (error) {
      unit.interfaces.give(this.index);
      throw error;
    }
    try {
      answerVintf(answer, this.window);
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  destroy(): void {
    this.host.freeMmap(this.window);
    this.unit.interfaces.give(this.index);
  }

  override initVdevice(device: IommuDevice, virtualId: bigint): void {
    super.initVdevice(device, virtualId);
    this.vintf.addStream(virtualId);
  }

  freeVdevice(_device: IommuDevice, virtualId: bigint): void {
    this.vintf.removeStream(virtualId);
  }

  supportsHwQueue(type: number): boolean {
    return type === IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV;
  }

  initHwQueue(queue: HwQueueRequest): HwQueueDriver {
    this.vintf.addQueue(queue);
    return { dependsOn: queue.index - 1, destroy: () => this.vintf.removeQueue() };
  }
}

function windowFrames(index: number): number[] {
  const pages = TEGRA241_VINTF_MMAP_LENGTH / PAGE_BYTES;
  return Array.from({ length: pages }, (_, i) => WINDOW_FRAMES + index * pages + i);
}
