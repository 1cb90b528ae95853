/**
 * A device behind an IOMMU that exists on paper only: what its unit would be set to, and what it
 * can do. Drivers here write down what hardware would be told.
 */
import type { Domain, IommuDevice, IommuDriver, PciTraits, ReservedRegion } from '../../driver.ts';

/** Something that is told when a device no longer uses it. */
export interface PaperDomain extends Domain {
  left(device: PaperDevice): void;
}

export interface PaperDeviceOptions {
  readonly maxPasids?: number;
  /** Stream id, requester id: what names the device to its unit. */
  readonly stream?: number;
  /** Stream ids that the device has; more than one is rare. */
  readonly streams?: number;
  readonly ats?: boolean;
  /** SMMUv3: all its accesses are coherent whatever attributes they carry (CANWBS). */
  readonly alwaysCoherent?: boolean;
  readonly pci?: PciTraits | null;
  /** Regions in addition to those of its IOMMU. */
  readonly reserved?: readonly ReservedRegion[];
}

const PLAIN_PCI: PciTraits = {
  virtualFunction: false,
  pri: true,
  pasidExecute: false,
  pasidPrivileged: false,
};

export class PaperDevice<Unit extends object = object, Entry = unknown> implements IommuDevice {
  readonly name: string;
  readonly driver: IommuDriver;
  readonly instance: Unit;
  readonly maxPasids: number;
  readonly pci: PciTraits | null;
  readonly reserved: readonly ReservedRegion[];
  readonly stream: number;
  readonly streams: number;
  readonly ats: boolean;
  readonly alwaysCoherent: boolean;
  /** What the unit is set to for the device's own requests. */
  domain: Domain;
  /** The table entry of the device as the unit reads it; null: blocked. */
  entry: Entry | null = null;
  /** Domains of PASIDs, and their table entries. */
  readonly pasids: Map<number, { readonly domain: Domain; entry: Entry }> = new Map();

  constructor(
    name: string,
    driver: IommuDriver,
    unit: Unit,
    reserved: readonly ReservedRegion[],
    options: PaperDeviceOptions,
  ) {
    this.name = name;
    this.driver = driver;
    this.instance = unit;
    this.domain = driver.blocked;
    this.maxPasids = options.maxPasids ?? 0;
    this.pci = options.pci === undefined ? PLAIN_PCI : options.pci;
    this.reserved = [...reserved, ...(options.reserved ?? [])];
    this.stream = options.stream ?? 0;
    this.streams = options.streams ?? 1;
    this.ats = options.ats ?? true;
    this.alwaysCoherent = options.alwaysCoherent ?? true;
  }

  /** Puts an entry in place of the one before it; the old domain is told. */
  install(domain: Domain, entry: Entry | null): void {
    const old = this.domain;
    this.domain = domain;
    this.entry = entry;
    if (isPaperDomain(old)) old.left(this);
  }

  /** As `install` for a PASID. */
  installPasid(pasid: number, domain: Domain, entry: Entry): void {
    const old = this.pasids.get(pasid);
    this.pasids.set(pasid, { domain, entry });
    if (old !== undefined && isPaperDomain(old.domain)) old.domain.left(this);
  }

  removePasid(pasid: number): void {
    const old = this.pasids.get(pasid);
    this.pasids.delete(pasid);
    if (old !== undefined && isPaperDomain(old.domain)) old.domain.left(this);
  }
}

function isPaperDomain(domain: Domain): domain is PaperDomain {
  return 'left' in domain;
}

/** All DMA is refused. A driver without PASIDs has one that cannot take a PASID back. */
export class PaperBlocked implements Domain {
  readonly kind = 'blocked';
  readonly driver: IommuDriver;
  declare readonly setPasid?: (device: IommuDevice, pasid: number) => void;

  constructor(driver: IommuDriver, pasids: boolean) {
    this.driver = driver;
    if (pasids) {
      this.setPasid = (device, pasid) => {
        (device as PaperDevice).removePasid(pasid);
      };
    }
  }

  attach(device: IommuDevice): void {
    (device as PaperDevice).install(this, null);
  }

  free(): void {}
}
