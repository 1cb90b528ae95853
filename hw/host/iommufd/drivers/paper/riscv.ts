/**
 * The RISC-V IOMMU driver of the base kernel on paper (drivers/iommu/riscv): paging domains without
 * flags and nothing else. It answers no capability, so a device behind it cannot be bound, unless
 * the model is told to let it.
 */
import { fail } from '../../../kernel/errno.ts';
import type { IommuCapability, IommuDevice, PagingDomain } from '../../driver.ts';
import { PaperDevice, type PaperDeviceOptions } from './device.ts';
import { PaperDriver, type PaperOptions, unitOf } from './driver.ts';
import { PaperPaging } from './paging.ts';

export interface RiscvFeatures {
  /** Widest first stage: Sv39, Sv48, Sv57. */
  readonly mode: 39 | 48 | 57;
}

export interface RiscvUnit {
  readonly name: string;
  readonly features: RiscvFeatures;
}

export interface RiscvPaperOptions extends PaperOptions {
  /** Answer the capability of cache-coherent DMA, as the base kernel does not. */
  readonly bindable?: boolean;
}

const PAGE_SIZES = (1n << 12n) | (1n << 21n) | (1n << 30n);
const OUTPUT_BITS = 56;

export class RiscvPaperDriver extends PaperDriver<RiscvUnit> {
  private readonly bindable: boolean;

  constructor(options: RiscvPaperOptions) {
    super('riscv-linux', options, { sharing: 'capability', pasids: false, userPasidTable: false });
    this.bindable = options.bindable ?? false;
  }

  addUnit(features: Partial<RiscvFeatures> = {}): RiscvUnit {
    const unit = {
      name: `riscv${this.units.length}`,
      features: { mode: 48 as const, ...features },
    };
    this.units.push(unit);
    return unit;
  }

  addDevice(
    name: string,
    unit: RiscvUnit,
    options: PaperDeviceOptions = {},
  ): PaperDevice<RiscvUnit> {
    return new PaperDevice(name, this, unit, [], { ...options, maxPasids: 0 });
  }

  capable(_device: IommuDevice, capability: IommuCapability): boolean {
    return this.bindable && capability === 'cache-coherency';
  }

  allocPagingPlain(device: IommuDevice): PagingDomain {
    return new RiscvPaging(this, unitOf<RiscvUnit>(device));
  }
}

class RiscvPaging extends PaperPaging {
  private readonly unit: RiscvUnit;
  private readonly sharing: 'instance' | 'capability';

  constructor(driver: RiscvPaperDriver, unit: RiscvUnit) {
    const shape = {
      inputBits: unit.features.mode - 1,
      outputBits: OUTPUT_BITS,
      pageSizes: PAGE_SIZES,
      dirty: false,
      refuseReadOnly: false,
    };
    super(driver, driver.memory, shape, driver);
    this.unit = unit;
    this.sharing = driver.sharing;
  }

  /** riscv_iommu_attach_paging_domain. */
  attach(device: IommuDevice): void {
    const target = device as PaperDevice<RiscvUnit>;
    const { name, features } = target.instance;
    if (this.sharing === 'instance' && target.instance !== this.unit) {
      fail('EINVAL', `the domain is one of ${this.unit.name}, not of ${name}`);
    }
    if (features.mode < this.unit.features.mode) {
      fail('ENODEV', `${name} has no table mode Sv${this.unit.features.mode}`);
    }
    this.joined(target);
    target.install(this, { mode: this.unit.features.mode });
  }

  enforceCoherency(): boolean {
    return false;
  }
}
