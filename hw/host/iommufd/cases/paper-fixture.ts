/** Cases about drivers of real hardware: a client, and devices behind drivers on paper. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { VfioDevice } from '../client/vfio-device.ts';
import type { ViommuHandle } from '../client/viommu.ts';
import type { IommuDevice } from '../driver.ts';
import type { AmdPaperOptions } from '../drivers/paper/amd.ts';
import { createPaperDriver } from '../drivers/paper/create.ts';
import type { SmmuPaperOptions } from '../drivers/paper/smmuv3.ts';
import { type PaperBench, paperBench, refused } from '../drivers/paper/testbench.ts';
import { IommufdFile } from '../iommufd-file.ts';
import { checkInvariants } from '../objects-invariants.ts';

export interface PaperScene extends PaperBench {
  readonly nic: VfioDevice;
}

/** A numbered case on a machine of its own; the object graph and leaks are checked at its end. */
export function paperRule(name: string, run: (bench: PaperBench) => void): void {
  test(name, () => {
    const bench = paperBench();
    run(bench);
    const file = bench.test.process.file(bench.client.fd);
    assert.ok(file instanceof IommufdFile);
    checkInvariants(file.context);
    bench.end();
  });
}

export function vtdNic(bench: PaperBench): VfioDevice {
  const driver = createPaperDriver('vtd', { memory: bench.test.kernel.memory });
  return bench.bind(driver.addDevice('vtd-nic', driver.addUnit(), { maxPasids: 64 }));
}

export function amdNic(
  bench: PaperBench,
  options: Omit<AmdPaperOptions, 'memory'> = {},
): VfioDevice {
  const driver = createPaperDriver('amd', { memory: bench.test.kernel.memory, ...options });
  return bench.bind(driver.addDevice('amd-nic', driver.addUnit(), { maxPasids: 64 }));
}

export function smmuNic(
  bench: PaperBench,
  options: Omit<SmmuPaperOptions, 'memory'> = {},
): VfioDevice {
  const driver = createPaperDriver('smmuv3', { memory: bench.test.kernel.memory, ...options });
  return bench.bind(driver.addDevice('smmu-nic', driver.addUnit(), { maxPasids: 64 }));
}

/** A device that a driver of the base kernel's RISC-V IOMMU has; nobody has bound it. */
export function riscvDevice(bench: PaperBench): IommuDevice {
  const driver = createPaperDriver('riscv-linux', { memory: bench.test.kernel.memory });
  return driver.addDevice('riscv-nic', driver.addUnit());
}

/** A vIOMMU of an SMMUv3 on a parent of its own. */
export function smmuGuest(
  { client }: PaperBench,
  nic: VfioDevice,
): { readonly viommu: ViommuHandle; readonly parentId: number } {
  const parent = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), nestParent: true });
  const viommu = client.viommuAlloc({ type: 'ARM_SMMUV3', device: nic, parent });
  return { viommu, parentId: parent.id };
}

export { refused };
