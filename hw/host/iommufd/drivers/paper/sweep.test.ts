/** Every fallible step of a long program fails once, and nothing is left behind (section 11). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Errno } from '../../../kernel/errno.ts';
import type { IommuDevice } from '../../driver.ts';
import { createPaperDriver } from './create.ts';
import { CMDQV_FEATURES } from './smmuv3-unit.ts';
import { type PaperBench, paperBench } from './testbench.ts';

const LIMIT = 2000;

/** What stays when all is closed: the counters of the driver itself. */
type Left = () => readonly number[];

interface Program {
  readonly name: string;
  /** Makes driver and devices, without kernel memory. */
  prepare(bench: PaperBench): { run(): void; left: Left };
}

function sweep({ name, prepare }: Program): void {
  test(`${name}: each failing step leaves nothing`, () => {
    let reached = true;
    let n = 0;
    for (n = 1; reached && n < LIMIT; n++) {
      const bench = paperBench();
      const { memory } = bench.test.kernel;
      const { run, left } = prepare(bench);
      memory.arm(n);
      try {
        run();
        reached = memory.failedAt !== '';
      } catch (error) {
        assert.ok(error instanceof Errno, `step ${n} (${memory.failedAt}): ${String(error)}`);
        assert.is.not(memory.failedAt, '', `step ${n}: ${String(error)}`);
      }
      const at = memory.failedAt;
      memory.arm(0);
      assert.not.throws(() => bench.end(), undefined, `step ${n} (${at})`);
      assert.equal(
        left(),
        left().map(() => 0),
        `step ${n} (${at})`,
      );
    }
    assert.ok(n > 20 && n < LIMIT, `${n} steps`);
  });
}

const LENGTH = 4n * 4096n;

sweep({
  name: 'vtd',
  prepare(bench) {
    const { client, test: own } = bench;
    const driver = createPaperDriver('vtd', { memory: own.kernel.memory });
    const unit = driver.addUnit();
    const devices = ['a', 'b'].map((name) => driver.addDevice(name, unit, { maxPasids: 64 }));
    return {
      left: () => [unit.domainIds.used],
      run() {
        const [a, b] = devices.map((device) => bench.bind(device as IommuDevice));
        if (a === undefined || b === undefined) return;
        const ioas = client.ioasAlloc();
        const userVa = own.alloc(Number(LENGTH));
        ioas.map({ userVa, length: LENGTH, iova: 0x100000n });
        const parent = client.hwptAlloc({ device: a, on: ioas, nestParent: true });
        const data = { type: 'VTD_S1', pgtbl_addr: 0n, addr_width: 48 } as const;
        const nested = client.hwptAlloc({ device: a, on: parent, pasid: true, data });
        a.attach(ioas.id);
        a.attach(nested.id);
        b.attach(ioas.id);
        a.attach(nested.id, 5);
        nested.invalidate('VTD_S1', [{ addr: 0n, npages: 1n }]);
        client.getHwInfo(a);
        a.detach(5);
        ioas.unmap(0x100000n, LENGTH);
        a.detach();
        nested.destroy();
        parent.destroy();
      },
    };
  },
});

sweep({
  name: 'smmuv3 with Tegra241 queues',
  prepare(bench) {
    const { client, test: own } = bench;
    const driver = createPaperDriver('smmuv3', { memory: own.kernel.memory });
    const unit = driver.addUnit({ cmdqv: CMDQV_FEATURES });
    const device = driver.addDevice('a', unit, { stream: 3 });
    return {
      left: () => [unit.vmids.used, unit.asids.used, unit.interfaces.used],
      run() {
        const a = bench.bind(device);
        const ioas = client.ioasAlloc();
        const userVa = own.alloc(Number(LENGTH));
        ioas.map({ userVa, length: LENGTH, iova: 0x100000n });
        const parent = client.hwptAlloc({ device: a, on: ioas, nestParent: true });
        const viommu = client.viommuAlloc({ type: 'TEGRA241_CMDQV', device: a, parent });
        const vdevice = viommu.addDevice(a.id, 5n);
        const data = { type: 'ARM_SMMUV3', ste: [0x800bn, 0n] } as const;
        const nested = client.hwptAlloc({ device: a, on: viommu, data });
        a.attach(nested.id);
        viommu.invalidate('ARM_SMMUV3', [{ cmd: [0x10n, 0n] }]);
        const queue = viommu.hwQueue({
          type: 'TEGRA241_CMDQV',
          index: 0,
          iova: 0x100000n,
          length: 64n,
        });
        queue.destroy();
        a.attach(ioas.id);
        nested.destroy();
        vdevice.destroy();
        viommu.destroy();
        parent.destroy();
      },
    };
  },
});

sweep({
  name: 'amd with nested domains let in',
  prepare(bench) {
    const { client, test: own } = bench;
    const { memory } = own.kernel;
    const driver = createPaperDriver('amd', { memory, nestedReachable: true });
    const device = driver.addDevice('a', driver.addUnit());
    return {
      left: () => [driver.domainIds.used],
      run() {
        const a = bench.bind(device);
        const ioas = client.ioasAlloc();
        const parent = client.hwptAlloc({ device: a, on: ioas, nestParent: true });
        const type = 1;
        const fields = { type, dev_id: a.id, hwpt_id: parent.id };
        const report = client.call('VIOMMU_ALLOC', fields);
        if (report.errno !== 0) throw new Errno('ENOMEM', report.rule);
        const on = { id: Number(report.out.out_viommu_id) };
        const dte: [bigint, bigint, bigint, bigint] = [0n, 7n, 0n, 0n];
        const data = { type: 'AMD_GUEST', dte } as const;
        const first = client.hwptAlloc({ device: a, on, data });
        const second = client.hwptAlloc({ device: a, on, data });
        a.attach(first.id);
        a.attach(second.id);
        a.detach();
        first.destroy();
        second.destroy();
      },
    };
  },
});

test.run();
