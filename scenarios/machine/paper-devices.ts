/** Devices behind IOMMU units that exist on paper only, from the `iommufd:` section. */
import type { IommuDevice } from '../../hw/host/iommufd/driver.ts';
import { createPaperDriver } from '../../hw/host/iommufd/drivers/paper/create.ts';
import type { PaperDeviceOptions } from '../../hw/host/iommufd/drivers/paper/device.ts';
import type { PaperRecord } from '../../hw/host/iommufd/drivers/paper/driver.ts';
import { CMDQV_FEATURES } from '../../hw/host/iommufd/drivers/paper/smmuv3-unit.ts';
import type { KernelMemory } from '../../hw/host/kernel/kernel-memory.ts';
import type { CallWork } from '../../hw/host/kernel/work.ts';
import { defaults, type Values } from '../../sim/spec.ts';
import { type PaperUnitSpec, paperUnitSpec, type ResolvedIommufd } from '../schema/iommufd.ts';

type UnitValues = Values<PaperUnitSpec>;

/** `observe` is told what units would be; `work` counts what they would be waited for. */
export function paperDevices(
  iommufd: ResolvedIommufd,
  memory: KernelMemory,
  observe?: (record: PaperRecord) => void,
  work?: CallWork,
): IommuDevice[] {
  const { share_across_instances: sharing } = iommufd;
  const options = {
    memory,
    ...(sharing !== 'driver' && { sharing }),
    ...(observe !== undefined && { observe }),
    ...(work !== undefined && { work }),
  };
  switch (iommufd.driver) {
    case 'paper-vtd':
      return addAll(iommufd, createPaperDriver('vtd', options), (unit) => ({
        dirtyFlags: unit.dirty_tracking,
        nesting: unit.nesting,
        snoopControl: unit.snoop_control,
        addressBits: unit.address_bits,
        domainIdBits: unit.domain_id_bits,
      }));
    case 'paper-smmuv3':
      return addAll(iommufd, createPaperDriver('smmuv3', options), (unit) => ({
        dirtyFlags: unit.dirty_tracking,
        stage1: unit.nesting,
        wideVmid: unit.domain_id_bits > 8,
        cmdqv: unit.cmdqv ? CMDQV_FEATURES : null,
      }));
    case 'paper-amd':
      return addAll(iommufd, createPaperDriver('amd', options), (unit) => ({
        dirtyFlags: unit.dirty_tracking,
        guestTranslation: unit.nesting,
      }));
    case 'paper-riscv': {
      const bindable = iommufd.riscv_iommufd;
      const driver = createPaperDriver('riscv-linux', { ...options, bindable });
      return addAll(iommufd, driver, (unit) => ({ mode: riscvMode(unit.address_bits) }));
    }
    default:
      return [];
  }
}

/** Sv39, Sv48 or Sv57: the widest that a unit has. */
function riscvMode(bits: number): 39 | 48 | 57 {
  if (bits < 48) return 39;
  return bits < 57 ? 48 : 57;
}

interface PaperMaker<Unit, Features> {
  addUnit(features: Features): Unit;
  addDevice(name: string, unit: Unit, options: PaperDeviceOptions): IommuDevice;
}

/** Units that are not described are like any of their kind. */
function addAll<Unit, Features>(
  { units, devices }: ResolvedIommufd,
  driver: PaperMaker<Unit, Features>,
  featuresOf: (unit: UnitValues) => Features,
): IommuDevice[] {
  const count = Math.max(units.length, ...devices.map(({ unit }) => unit + 1));
  const plain = defaults(paperUnitSpec);
  const made = Array.from({ length: Math.max(0, count) }, (_, i) =>
    driver.addUnit(featuresOf(units[i] ?? plain)),
  );
  return devices.map(({ name, unit, pasids, ats }, stream) =>
    driver.addDevice(name, made[unit], { maxPasids: pasids, ats, stream }),
  );
}
