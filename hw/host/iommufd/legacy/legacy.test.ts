import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { testKernel } from '../../kernel/testbench.ts';
import { refused } from '../drivers/paper/testbench.ts';
import { type LegacyDevice, VtdLegacyIommu, type VtdLegacyOptions } from './driver.ts';
import { LegacyUapi } from './uapi.ts';

const NIC: LegacyDevice = { name: 'nic', maxPasids: 1 << 20 };

function bench(options: Partial<VtdLegacyOptions> = {}) {
  const own = testKernel();
  const { memory } = own.kernel;
  const before = memory.bytes;
  const iommu = new VtdLegacyIommu({ memory, ...options });
  const uapi = new LegacyUapi(memory, iommu);
  const page = own.alloc(4096);
  const vm = uapi.createVm('vm0');
  const place = (bytes: Uint8Array): bigint => {
    own.poke(page, new Uint8Array(128));
    own.poke(page, bytes);
    return page;
  };
  const end = (): void => {
    uapi.destroyVm(vm);
    assert.is(memory.bytes, before);
    assert.is(uapi.ioasids.used, 0);
  };
  return { ...own, iommu, uapi, vm, place, end };
}

interface Bind {
  readonly argsz?: number;
  readonly version?: number;
  readonly format?: number;
  readonly width?: number;
  readonly flags?: bigint;
  readonly hpasid?: number;
  readonly padding?: number;
  readonly vtdFlags?: bigint;
  /** Byte after the structure. */
  readonly tail?: number;
}

function bindBytes(fields: Bind): Uint8Array {
  const view = new DataView(new ArrayBuffer(80));
  view.setUint32(0, fields.argsz ?? 72, true);
  view.setUint32(4, fields.version ?? 1, true);
  view.setUint32(8, fields.format ?? 1, true);
  view.setUint32(12, fields.width ?? 48, true);
  view.setBigUint64(16, fields.flags ?? 1n, true);
  view.setBigUint64(24, 0x9000n, true);
  view.setBigUint64(32, BigInt(fields.hpasid ?? 1), true);
  view.setBigUint64(40, 0x33n, true);
  view.setUint8(48, fields.padding ?? 0);
  view.setBigUint64(56, fields.vtdFlags ?? 0n, true);
  view.setUint8(72, fields.tail ?? 0);
  return new Uint8Array(view.buffer);
}

test('bind: argsz, version, format, flags and padding are EINVAL; a bad pointer is EFAULT', () => {
  const { uapi, vm, process, place, iommu, end } = bench();
  const pasid = uapi.allocPasid(vm);
  const bind = (fields: Bind): void => {
    uapi.bind(vm, process, NIC, place(bindBytes({ hpasid: pasid, ...fields })));
  };
  refused('EFAULT', () => uapi.bind(vm, process, NIC, 0n));
  const bad: Bind[] = [{ argsz: 55 }, { version: 2 }, { format: 2 }, { flags: 2n }, { padding: 1 }];
  for (const fields of bad) refused('EINVAL', () => bind(fields));
  // The driver's part.
  const unfit: Bind[] = [{ argsz: 56 }, { format: 0 }, { vtdFlags: 0x80n }, { width: 39 }];
  for (const fields of unfit) refused('EINVAL', () => bind(fields));
  refused('EINVAL', () => bind({ vtdFlags: 1n }));
  bind({ argsz: 4096, tail: 0xff });
  assert.is(iommu.boundAt(NIC, BigInt(pasid))?.table, 0x9000n);
  refused('EBUSY', () => bind({}));
  uapi.unbind(vm, process, NIC, place(bindBytes({ hpasid: pasid })));
  assert.is(iommu.boundAt(NIC, BigInt(pasid)), null);
  end();
});

test('a longer structure is taken whatever its tail: the difference from iommufd', () => {
  const { uapi, vm, process, place, end } = bench();
  const hpasid = uapi.allocPasid(vm);
  uapi.bind(vm, process, NIC, place(bindBytes({ argsz: 80, tail: 1, hpasid })));
  end();
});

test('five levels and units that do not nest', () => {
  const narrow = bench({ fiveLevels: false });
  const pasid = narrow.uapi.allocPasid(narrow.vm);
  const wide = narrow.place(bindBytes({ width: 57, hpasid: pasid }));
  refused('EINVAL', () => narrow.uapi.bind(narrow.vm, narrow.process, NIC, wide));
  narrow.end();
  const flat = bench({ nesting: false });
  const hpasid = flat.uapi.allocPasid(flat.vm);
  const bind = flat.place(bindBytes({ hpasid }));
  refused('EINVAL', () => flat.uapi.bind(flat.vm, flat.process, NIC, bind));
  flat.end();
});

test('a PASID belongs to the machine that allocated it', () => {
  const { uapi, vm, process, place, end } = bench();
  const other = uapi.createVm('vm1', 1);
  const mine = uapi.allocPasid(vm);
  const theirs = uapi.allocPasid(other);
  const argument = place(bindBytes({ hpasid: theirs }));
  refused('EINVAL', () => uapi.bind(vm, process, NIC, argument));
  uapi.bind(other, process, NIC, argument);
  refused('EINVAL', () => uapi.unbind(vm, process, NIC, argument));
  refused('EINVAL', () => uapi.freePasid(vm, theirs));
  refused('EBUSY', () => uapi.freePasid(other, theirs));
  refused('ENOSPC', () => uapi.allocPasid(other));
  refused('ENOSPC', () => uapi.allocPasid(vm, mine, theirs));
  uapi.destroyVm(other);
  assert.is(uapi.allocPasid(vm, mine, theirs), theirs, 'the lowest free one');
  end();
});

test('a driver without the operation is ENODEV, before anything is read', () => {
  const { kernel, process, vm } = bench();
  const uapi = new LegacyUapi(kernel.memory, {});
  refused('ENODEV', () => uapi.bind(vm, process, NIC, 0n));
  refused('ENODEV', () => uapi.unbind(vm, process, NIC, 0n));
  refused('ENODEV', () => uapi.invalidate(vm, process, NIC, 0n));
  refused('ENODEV', () => uapi.respond(process, NIC, 0n));
});

interface Invalidate {
  readonly argsz?: number;
  readonly version?: number;
  readonly cache?: number;
  readonly granularity?: number;
  readonly padding?: number;
  readonly flags?: number;
  readonly pasid?: number;
}

function invalidateBytes(fields: Invalidate): Uint8Array {
  const view = new DataView(new ArrayBuffer(56));
  view.setUint32(0, fields.argsz ?? 56, true);
  view.setUint32(4, fields.version ?? 1, true);
  view.setUint8(8, fields.cache ?? 1);
  view.setUint8(9, fields.granularity ?? 2);
  view.setUint8(15, fields.padding ?? 0);
  view.setUint32(16, fields.flags ?? 1, true);
  view.setBigUint64(24, BigInt(fields.pasid ?? 1), true);
  view.setBigUint64(32, 0x7000n, true);
  view.setBigUint64(40, 4096n, true);
  view.setBigUint64(48, 2n, true);
  return new Uint8Array(view.buffer);
}

test('cache invalidation: each rule, and the caches that a granularity has', () => {
  const { uapi, vm, process, place, iommu, end } = bench();
  const pasid = uapi.allocPasid(vm);
  const send = (fields: Invalidate): void => {
    uapi.invalidate(vm, process, NIC, place(invalidateBytes({ pasid, ...fields })));
  };
  const bad: Invalidate[] = [
    { argsz: 15 },
    { argsz: 55 },
    { argsz: 31, granularity: 1 },
    { version: 0 },
    { cache: 8 },
    { granularity: 3 },
    { cache: 4 },
    { granularity: 0, cache: 2, argsz: 16 },
    { flags: 8 },
    { granularity: 1, flags: 4 },
    { padding: 1 },
    { pasid: 99 },
    { granularity: 0, argsz: 16 },
  ];
  for (const fields of bad) refused('EINVAL', () => send(fields));
  assert.is(iommu.records.length, 0);
  send({ granularity: 1, argsz: 32 });
  send({ cache: 3 });
  // IOTLB is done by the time that the device TLB turns out to have no such granularity.
  refused('EINVAL', () => send({ cache: 3, granularity: 1 }));
  assert.equal(
    iommu.records.map(({ kind, done }) => [kind, (done as { cache: number }).cache]),
    [
      ['invalidate', 1],
      ['invalidate', 1],
      ['invalidate', 2],
      ['invalidate', 1],
    ],
  );
  end();
});

function responseBytes(grpid: number, pasid: number | null, version = 1, flags = 0): Uint8Array {
  const words = [24, version, (pasid === null ? 0 : 1) | flags, pasid ?? 0, grpid, 0];
  return new Uint8Array(Uint32Array.from(words).buffer);
}

test('page responses match by group, and by PASID where the request wants one', () => {
  const { uapi, process, place, iommu, end } = bench();
  const records: Uint8Array[] = [];
  const respond = (...args: Parameters<typeof responseBytes>): void => {
    uapi.respond(process, NIC, place(responseBytes(...args)));
  };
  refused('EINVAL', () => respond(1, null));
  uapi.handleFaults(NIC, (record) => records.push(record));
  refused('EINVAL', () => respond(1, null));
  const request = { flags: 3, pasid: 5, grpid: 1, perm: 3, address: 0xdead000n };
  uapi.reportPageRequest(NIC, { ...request, flags: 1 });
  uapi.reportPageRequest(NIC, request);
  uapi.reportPageRequest(NIC, { ...request, flags: 11, grpid: 2 });
  refused('EINVAL', () => respond(1, null, 2));
  refused('EINVAL', () => respond(1, null, 1, 2));
  refused('EINVAL', () => respond(3, null));
  refused('EINVAL', () => respond(2, null));
  refused('EINVAL', () => respond(2, 6));
  refused('EBUSY', () => uapi.handleFaults(NIC, null));
  respond(2, 5);
  respond(1, 5);
  refused('EINVAL', () => respond(1, 5));
  assert.equal(
    iommu.records.map(({ done }) => {
      const { grpid, hasPasid, pasid } = done as {
        grpid: number;
        hasPasid: boolean;
        pasid: number;
      };
      return [grpid, hasPasid, pasid];
    }),
    [
      [2, true, 5],
      [1, false, 0],
    ],
    'a PASID that was not asked for is taken out',
  );
  assert.is(records.length, 3);
  const view = new DataView((records[1] as Uint8Array).buffer);
  assert.equal([view.byteLength, view.getUint32(0, true), view.getUint32(8, true)], [64, 2, 3]);
  assert.is(view.getBigUint64(24, true), 0xdead000n);
  uapi.handleFaults(NIC, null);
  end();
});

test.run();
