/** A kernel with /dev/iommu, VFIO device files and a client, for tests of drivers on paper. */
import * as assert from 'uvu/assert';
import { Errno, type ErrnoName } from '../../../kernel/errno.ts';
import { type TestKernel, testKernel } from '../../../kernel/testbench.ts';
import { KernelProcess } from '../../client/kernel-process.ts';
import type { VfioDevice } from '../../client/vfio-device.ts';
import { IommuClient } from '../../client.ts';
import type { IommuDevice } from '../../driver.ts';
import { IommuGroup } from '../../iommu-core/group.ts';
import { openIommufd } from '../../iommufd-file.ts';
import { VfioDeviceFile } from '../../vfio/cdev.ts';
import { VfioDevice as BoundDevice, PhysicalBackend } from '../../vfio/device.ts';

export interface PaperBench {
  readonly test: TestKernel;
  readonly client: IommuClient;
  /** Makes the VFIO device of a device, in a group of its own. */
  add(device: IommuDevice): BoundDevice;
  /** As `add`, opened and bound by the client. */
  bind(device: IommuDevice): VfioDevice;
  /** Closes all, and asserts that the kernel holds nothing any more. */
  end(): void;
}

export function paperBench(test: TestKernel = testKernel()): PaperBench {
  const { kernel } = test;
  const before = kernel.memory.bytes;
  kernel.registerNode('/dev/iommu', () => openIommufd(kernel, '/dev/iommu'));
  const client = IommuClient.open(new KernelProcess(test.calls));
  const bound: VfioDevice[] = [];
  const add = (device: IommuDevice): BoundDevice => {
    const group = new IommuGroup(kernel.memory);
    group.addDevice(device);
    const vfio = new BoundDevice(device.name, new PhysicalBackend(device, group));
    kernel.registerNode(pathOf(device.name), () => new VfioDeviceFile(kernel, vfio));
    return vfio;
  };
  return {
    test,
    client,
    add,
    bind(device) {
      add(device);
      const opened = client.openDevice(pathOf(device.name));
      bound.push(opened);
      return opened;
    },
    end() {
      for (const device of bound) device.close();
      client.close();
      assert.is(kernel.memory.bytes, before, 'kernel memory leaks');
      assert.is(kernel.pins.total, 0, 'pinned pages leak');
    },
  };
}

export function pathOf(name: string): string {
  return `/dev/vfio/devices/${name}`;
}

/** Asserts that an action is refused with an error number; returns what was thrown. */
export function refused(code: ErrnoName, action: () => unknown): Errno {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Errno, String(error));
    assert.is(error.code, code, `${code} expected: ${error.message}`);
    return error;
  }
  return assert.unreachable(`${code} expected`) as never;
}
