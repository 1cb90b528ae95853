/** Reference 10.17: cases about drivers of real hardware, and about groups of devices. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createPaperDriver } from '../drivers/paper/create.ts';
import { pathOf } from '../drivers/paper/testbench.ts';
import { IommuGroup } from '../iommu-core/group.ts';
import { VfioDeviceFile } from '../vfio/cdev.ts';
import { PhysicalBackend, VfioDevice } from '../vfio/device.ts';
import { paperRule, refused, smmuGuest, smmuNic, vtdNic } from './paper-fixture.ts';

const V = 1n;
const BYPASS = V | (4n << 1n);
const CONFIG_6 = V | (6n << 1n);
const S1 = V | (5n << 1n);
const EATS_2 = 2n << 28n;

paperRule('D14: SMMUv3: which STE of a guest is taken, and which attaches', (bench) => {
  const { client } = bench;
  const nic = smmuNic(bench);
  const { viommu } = smmuGuest(bench, nic);
  const nested = (ste0: bigint, ste1 = 0n, pasid = false) => {
    const data = { type: 'ARM_SMMUV3', ste: [ste0, ste1] } as const;
    return client.hwptAlloc({ device: nic, on: viommu, pasid, data });
  };
  nested(0xffff_ffff_ffff_fffen, 0xffff_ffff_ffff_ffffn);
  refused('EIO', () => nested(S1 | (1n << 52n)));
  refused('EIO', () => nested(CONFIG_6));
  refused('EIO', () => nested(S1, EATS_2));
  refused('EOPNOTSUPP', () => nested(S1, 0n, true));
  refused('ENOENT', () => nic.attach(nested(S1).id));
  nic.attach(nested(BYPASS).id);
});

paperRule('D15: VT-d: addr_width 39 is taken at allocation and EINVAL at attach', (bench) => {
  const { client } = bench;
  const nic = vtdNic(bench);
  const parent = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), nestParent: true });
  const data = { type: 'VTD_S1', pgtbl_addr: 0x5000n, addr_width: 39 } as const;
  const nested = client.hwptAlloc({ device: nic, on: parent, data });
  refused('EINVAL', () => nic.attach(nested.id));
});

paperRule('D17: devices of one group: the second follows, a replace moves both', (bench) => {
  const { client, test: machine } = bench;
  const { memory } = machine.kernel;
  const driver = createPaperDriver('vtd', { memory });
  const unit = driver.addUnit();
  const group = new IommuGroup(memory);
  const devices = ['first', 'second'].map((name) => driver.addDevice(name, unit));
  for (const device of devices) group.addDevice(device);
  const [first, second] = devices.map((device) => {
    const vfio = new VfioDevice(device.name, new PhysicalBackend(device, group));
    machine.kernel.registerNode(pathOf(device.name), () => {
      return new VfioDeviceFile(machine.kernel, vfio);
    });
    return client.openDevice(pathOf(device.name));
  });
  const ioas = client.ioasAlloc();
  const one = client.hwptAlloc({ device: first, on: ioas });
  const other = client.hwptAlloc({ device: first, on: ioas });
  first.attach(one.id);
  refused('EINVAL', () => second.attach(other.id));
  second.attach(one.id);
  first.attach(other.id);
  assert.is(devices[0].domain, devices[1].domain);
  one.destroy();
  refused('EBUSY', () => other.destroy());
  first.close();
  second.close();
});

test.run();
