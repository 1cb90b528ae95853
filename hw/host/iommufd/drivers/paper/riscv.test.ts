import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createPaperDriver } from './create.ts';
import { paperBench, pathOf, refused } from './testbench.ts';

function bench(bindable: boolean) {
  const base = paperBench();
  const driver = createPaperDriver('riscv-linux', { memory: base.test.kernel.memory, bindable });
  return { ...base, driver, device: driver.addDevice('nic', driver.addUnit()) };
}

test("quirk 22: a device behind the base kernel's RISC-V driver cannot be bound: EINVAL", () => {
  const { client, add, device, end } = bench(false);
  add(device);
  refused('EINVAL', () => client.openDevice(pathOf(device.name)));
  end();
});

test('6.7: where it binds, page tables without flags are all that there is', () => {
  const { client, bind, device, end } = bench(true);
  const nic = bind(device);
  const info = client.getHwInfo(nic);
  assert.is(info.type, 0);
  assert.is(info.data, null);
  const ioas = client.ioasAlloc();
  const plain = client.hwptAlloc({ device: nic, on: ioas });
  assert.is(nic.attach(plain.id), plain.id);
  assert.is(nic.attach(ioas.id) > 0, true);
  const asked = [{ nestParent: true }, { dirtyTracking: true }, { pasid: true }];
  for (const flags of asked)
    refused('EOPNOTSUPP', () => client.hwptAlloc({ device: nic, on: ioas, ...flags }));
  const data = { type: 'SELFTEST' } as const;
  refused('EOPNOTSUPP', () => client.hwptAlloc({ device: nic, on: ioas, data }));
  refused('EOPNOTSUPP', () =>
    client.viommuAlloc({ type: 'ARM_SMMUV3', device: nic, parent: plain }),
  );
  end();
});

test('a unit without the table mode of the domain is ENODEV, which ends the search', () => {
  const { client, bind, driver, device, end } = bench(true);
  const nic = bind(device);
  const narrow = bind(driver.addDevice('narrow', driver.addUnit({ mode: 39 })));
  const ioas = client.ioasAlloc();
  nic.attach(ioas.id);
  refused('ENODEV', () => narrow.attach(ioas.id));
  end();
});

test.run();
