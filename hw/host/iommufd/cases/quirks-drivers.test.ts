/** Reference 15: surprises of the drivers of real hardware. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PROT_READ } from '../../kernel/vma.ts';
import type { VfioDevice } from '../client/vfio-device.ts';
import { pathOf } from '../drivers/paper/testbench.ts';
import { IOTLB, NEST_PARENT, number, rule } from './fixture.ts';
import {
  amdNic,
  paperRule,
  refused,
  riscvDevice,
  smmuGuest,
  smmuNic,
  vtdNic,
} from './paper-fixture.ts';

const STAGE1 = { type: 'VTD_S1', pgtbl_addr: 0x5000n, addr_width: 48 } as const;
const STE = { type: 'ARM_SMMUV3', ste: [0n, 0n] } as const;
const TLBI_ALL = 0x10;

/** A command of a guest in as many bytes as asked for. */
function commands(bytes: number, count: number, tail = 0): Uint8Array {
  const all = new Uint8Array(bytes * count);
  for (let i = 0; i < count; i++) {
    all[i * bytes] = TLBI_ALL;
    if (bytes > 16) all[i * bytes + 16] = tail;
  }
  return all;
}

paperRule('Q4: whole arrays of vIOMMU data are short or long element by element', (bench) => {
  const { client } = bench;
  const { viommu } = smmuGuest(bench, smmuNic(bench));
  const send = (entry_len: number, tail = 0) =>
    client.call('HWPT_INVALIDATE', {
      hwpt_id: viommu.id,
      data_type: 'ARM_SMMUV3',
      entry_len,
      entry_num: 2,
      data: commands(entry_len, 2, tail),
    });
  for (const bytes of [8, 16, 24]) assert.is(send(bytes).error, '', `${bytes} bytes`);
  assert.is(send(24, 1).error, 'E2BIG');
});

/** Another driver's data, on a parent or vIOMMU. */
function otherData(bench: Parameters<typeof smmuGuest>[0], nic: VfioDevice): () => unknown {
  const { client } = bench;
  const parent = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), nestParent: true });
  return () => client.hwptAlloc({ device: nic, on: parent, data: STE });
}

paperRule('Q5: data of another type: EOPNOTSUPP, but EINVAL on SMMUv3', (bench) => {
  const { client } = bench;
  refused('EOPNOTSUPP', otherData(bench, vtdNic(bench)));
  const amd = amdNic(bench, { nestedReachable: true });
  const parent = client.hwptAlloc({ device: amd, on: client.ioasAlloc(), nestParent: true });
  const made = { type: 7, dev_id: amd.id, hwpt_id: parent.id };
  const on = { id: number(client.call('VIOMMU_ALLOC', made), 'out_viommu_id') };
  refused('EOPNOTSUPP', () => client.hwptAlloc({ device: amd, on, data: STE }));
  const smmu = smmuNic(bench);
  const { viommu } = smmuGuest(bench, smmu);
  refused('EINVAL', () => client.hwptAlloc({ device: smmu, on: viommu, data: STAGE1 }));
});

paperRule('Q6: no entries: 0 on VT-d, EINVAL on SMMUv3 of the base', (bench) => {
  const { client } = bench;
  const vtd = vtdNic(bench);
  const parent = client.hwptAlloc({ device: vtd, on: client.ioasAlloc(), nestParent: true });
  const nested = client.hwptAlloc({ device: vtd, on: parent, data: STAGE1 });
  assert.is(nested.invalidate('VTD_S1', []), 0);
  const { viommu } = smmuGuest(bench, smmuNic(bench));
  refused('EINVAL', () => viommu.invalidate('ARM_SMMUV3', []));
});

paperRule('Q9: VT-d takes bad values of stage 1 and refuses to attach them', (bench) => {
  const { client } = bench;
  const nic = vtdNic(bench);
  const parent = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), nestParent: true });
  const data = { ...STAGE1, addr_width: 1, flags: 1n << 40n, __reserved: 1 };
  const nested = client.hwptAlloc({ device: nic, on: parent, data });
  refused('EINVAL', () => nic.attach(nested.id));
  nic.attach(client.hwptAlloc({ device: nic, on: parent, data: STAGE1 }).id);
});

paperRule('Q10: VT-d always reports the erratum SPR17', (bench) => {
  const info = bench.client.getHwInfo(vtdNic(bench));
  assert.is(info.data?.type === 'INTEL_VTD' && info.data.flags, 1);
});

paperRule('Q11: AMD takes a vIOMMU of any type, and can do nothing with it', (bench) => {
  const { client } = bench;
  const nic = amdNic(bench);
  const parent = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), nestParent: true });
  for (const type of [1, 2, 77]) {
    const fields = { type, dev_id: nic.id, hwpt_id: parent.id };
    const made = client.call('VIOMMU_ALLOC', fields);
    assert.is(made.error, '');
    const on = { id: number(made, 'out_viommu_id') };
    const data = { type: 'AMD_GUEST', dte: [0n, 0n, 0n, 0n] } as const;
    refused('EOPNOTSUPP', () => client.hwptAlloc({ device: nic, on, data }));
    const none = { hwpt_id: on.id, data_type: 0, entry_len: 8, entry_num: 0 };
    assert.is(client.call('HWPT_INVALIDATE', none).error, 'EOPNOTSUPP');
  }
});

paperRule('Q14: a nested attach reserves the regions of the device in the parent', (bench) => {
  const { client } = bench;
  const nic = vtdNic(bench);
  const ioas = client.ioasAlloc();
  const parent = client.hwptAlloc({ device: nic, on: ioas, nestParent: true });
  const nested = client.hwptAlloc({ device: nic, on: parent, data: STAGE1 });
  const interrupts = (): boolean =>
    ioas.iovaRanges().ranges.some(({ start, last }) => start <= 0xfee00000n && last >= 0xfee00000n);
  assert.ok(interrupts());
  nic.attach(nested.id);
  assert.not.ok(interrupts());
  nic.detach();
  assert.ok(interrupts());
});

paperRule('Q17: SMMUv3 counts commands of the batch under way as handled', (bench) => {
  const { viommu } = smmuGuest(bench, smmuNic(bench));
  const good = { cmd: [BigInt(TLBI_ALL), 0n] as const };
  const entries = [...Array.from({ length: 5 }, () => good), { cmd: [0x03n, 0n] as const }];
  const error = refused('EIO', () => viommu.invalidate('ARM_SMMUV3', entries));
  assert.is((error as unknown as { handled: number }).handled, 5);
});

paperRule('Q18: a PASID attach whose answer fails detaches the device itself', (bench) => {
  const { client, test: machine } = bench;
  const nic = vtdNic(bench);
  const ioas = client.ioasAlloc();
  const hwpt = client.hwptAlloc({ device: nic, on: ioas, pasid: true });
  nic.attach(hwpt.id);
  const argument = machine.alloc(4096);
  machine.poke(argument, new Uint8Array(Uint32Array.of(16, 1, hwpt.id, 5).buffer));
  assert.is(machine.calls.mprotect(Number(argument), 4096, PROT_READ).errno, 0);
  assert.is(machine.calls.ioctl(nic.fd, 0x3b77, argument).errno, 14);
  refused('EBUSY', () => hwpt.destroy());
  nic.detach(5);
  hwpt.destroy();
});

paperRule('Q20: dirty tracking of a nesting parent: refused on SMMUv3 only', (bench) => {
  const { client } = bench;
  const both = (device: VfioDevice) =>
    client.hwptAlloc({ device, on: client.ioasAlloc(), nestParent: true, dirtyTracking: true });
  refused('EOPNOTSUPP', () => both(smmuNic(bench)));
  both(vtdNic(bench));
  both(amdNic(bench));
});

paperRule("Q22: a device behind the base kernel's RISC-V driver is not bound: EINVAL", (bench) => {
  const device = riscvDevice(bench);
  bench.add(device);
  refused('EINVAL', () => bench.client.openDevice(pathOf(device.name)));
});

rule('the mock agrees with quirks 4 to 6: E2BIG, EOPNOTSUPP, 0', (b) => {
  const ioas = b.ioas();
  const device = b.mock(ioas);
  const hwpt_id = b.hwpt(device, ioas, NEST_PARENT);
  const made = b.ok('VIOMMU_ALLOC', { type: 'SELFTEST', dev_id: device.idev, hwpt_id });
  const viommu = number(made, 'out_viommu_id');
  b.ok('VDEVICE_ALLOC', { viommu_id: viommu, dev_id: device.idev, virt_id: 9 });
  const entry = (last: number) => {
    const data = Uint8Array.of(0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0);
    return { hwpt_id: viommu, data_type: 'VIOMMU_SELFTEST', entry_len: 16, entry_num: 1, data };
  };
  b.ok('HWPT_INVALIDATE', entry(0));
  b.refuse('E2BIG', 'HWPT_INVALIDATE', entry(1));
  const data = { data_type: 0xbad, data: new Uint8Array(8) };
  b.refuseHwpt('EOPNOTSUPP', device, hwpt_id, 0, data);
  const nested = b.nested(device, hwpt_id, 0, { data: { iotlb: IOTLB } });
  b.ok('HWPT_INVALIDATE', { hwpt_id: nested, data_type: 'SELFTEST', entry_len: 8, entry_num: 0 });
});

test.run();
