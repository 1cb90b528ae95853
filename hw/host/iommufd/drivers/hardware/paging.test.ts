import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_READ, ACCESS_WRITE } from '../../../../iommu/access.ts';
import { ERRNO, type Errno } from '../../../kernel/errno.ts';
import type { IommuDevice, PagingDomain } from '../../driver.ts';
import {
  DeferredSync,
  type HardwareSync,
  type Settled,
  WHOLE_DOMAIN,
} from '../../hardware-sync.ts';
import type { HardwareDevice } from './device.ts';
import { RiscvIommufdDriver } from './riscv.ts';
import { type BenchUnit, HardwareBench } from './testbench.ts';
import { VtdIommufdDriver } from './vtd.ts';

const RW = ACCESS_READ | ACCESS_WRITE;
const DEVICE = 0x0318;
const PAGE = 4096n;
/** Room for every frame that the random maps use. */
const FRAMES = 0x300000;

type Driver = VtdIommufdDriver | RiscvIommufdDriver;

interface Case {
  readonly name: string;
  readonly flags: number;
  make(bench: HardwareBench, sync?: HardwareSync): [Driver, BenchUnit, HardwareDevice];
}

const RISCV: Case['make'] = (bench, sync = bench.sync) => {
  const unit = bench.riscv();
  const driver = new RiscvIommufdDriver(bench.ports({ sync }), { iommufd: true });
  return [driver, unit, driver.addDevice(driver.addUnit(unit.driver), 'dev', DEVICE)];
};

const CASES: readonly Case[] = [
  {
    name: 'vtd',
    flags: 0,
    make: (bench, sync = bench.sync) => {
      const unit = bench.vtd();
      const driver = new VtdIommufdDriver(bench.ports({ sync }));
      return [driver, unit, driver.addDevice(driver.addUnit(unit.driver), 'dev', DEVICE)];
    },
  },
  { name: 'riscv first stage', flags: 0, make: RISCV },
  { name: 'riscv second stage', flags: 1, make: RISCV },
  { name: 'riscv second stage with dirty bits', flags: 3, make: RISCV },
];

function domainOf(driver: Driver, device: IommuDevice, flags: number): PagingDomain {
  const domain = driver.allocPaging(device, flags, null);
  domain.attach(device, null);
  return domain;
}

/** Areas in slots of 8 MiB: so many pages from a page of the slot on, on frames from one on. */
const AREA = fc.record({
  slot: fc.nat(15),
  offset: fc.constantFrom(0, 1, 511, 512),
  pages: fc.constantFrom(1, 2, 511, 512, 513),
  frame: fc.constantFrom(0, 1, 512),
  write: fc.boolean(),
});

for (const { name, flags, make } of CASES) {
  test(`${name}: iova_to_phys is what the unit answers, through maps and unmaps`, () => {
    fc.assert(
      fc.property(fc.array(AREA, { maxLength: 24 }), (areas) => {
        const bench = new HardwareBench();
        const [driver, unit, device] = make(bench);
        const domain = domainOf(driver, device, flags);
        const mapped: (readonly [bigint, bigint] | null)[] = new Array(16).fill(null);
        for (const { slot, offset, pages, frame, write } of areas) {
          const first = 0x40000 + slot * 2048 + offset;
          const there = mapped[slot];
          if (there === null) {
            const range = [BigInt(first) * PAGE, BigInt(pages) * PAGE] as const;
            const physical = BigInt(FRAMES + slot * 2048 + frame) * PAGE;
            domain.map(range[0], physical, range[1], write ? RW : ACCESS_READ);
            mapped[slot] = range;
          } else {
            assert.is(domain.unmap(there[0], there[1]), there[1]);
            domain.sync();
            mapped[slot] = null;
          }
          for (let page = first - 1; page < first + pages + 2; page += 1 + (page % 7)) {
            const told = domain.iovaToPhys(BigInt(page) * PAGE + 0x123n);
            const answer = unit.translate(DEVICE, page, ACCESS_READ);
            assert.is(told, answer < 0 ? null : BigInt(answer) * PAGE + 0x123n);
          }
        }
        driver.blocked.attach(device, domain);
        domain.free();
        assert.is(driver.core.frames.inUse, 0);
      }),
      { numRuns: 12, seed: 7 },
    );
  });

  test(`${name}: with the invalidation left out, a warm cache still answers, and is caught`, () => {
    const bench = new HardwareBench();
    const [driver, unit, device] = make(bench, new NoSync());
    const domain = domainOf(driver, device, flags) as PagingDomain & { readonly index: number };
    const use = (page: number): number => {
      const frame = unit.translate(DEVICE, page, RW);
      if (frame >= 0) bench.safety.use(domain.index, 0, page, 0, frame, RW, 0);
      return frame;
    };
    domain.map(0x5000n, 0x7000_0000n, PAGE, RW);
    assert.is(use(5), 0x70000);
    assert.is(domain.unmap(0x5000n, PAGE), PAGE);
    domain.sync();
    assert.is(domain.iovaToPhys(0x5000n), null);
    assert.is(use(5), 0x70000);
    assert.is(bench.safety.violations, 1);
    assert.is(bench.safety.firstViolations[0].kind, 'after-acknowledge');
    driver.core.sync = bench.sync;
    domain.map(0x5000n, 0x7100_0000n, PAGE, RW);
    domain.unmap(0x5000n, PAGE);
    domain.sync();
    assert.is(use(5), -1);
  });

  test(`${name}: a table is given back when its whole region goes, after the invalidation`, () => {
    const bench = new HardwareBench();
    const sync = new DeferredSync();
    const [driver, unit, device] = make(bench, sync);
    const domain = domainOf(driver, device, flags);
    const before = driver.core.frames.inUse;
    domain.map(0x40_0000n, 0x7000_1000n, 512n * PAGE, RW);
    const held = driver.core.frames.inUse;
    assert.ok(held > before);
    assert.is.not(unit.translate(DEVICE, 0x400, RW), -1);
    sync.take();
    domain.unmap(0x40_0000n, 512n * PAGE);
    domain.sync();
    assert.is(driver.core.frames.inUse, held, 'the unit may still walk it');
    const [asked] = sync.take();
    // An address does not reach the pointers that a RISC-V unit caches.
    assert.is(asked.pages, name === 'vtd' ? 512 : WHOLE_DOMAIN);
    const [settled] = sync.takeSettled();
    if (asked.pages < 0) bench.sync.whole(asked.driver, asked.domain);
    else bench.sync.range(asked.driver, asked.domain, asked.hi, asked.lo, asked.pages);
    settled.settle();
    assert.is(driver.core.frames.inUse, held - 1);
    domain.map(0x40_0000n, 0x7200_1000n, PAGE, RW);
    assert.is(unit.translate(DEVICE, 0x400, RW), 0x72001, 'no walk goes by the old table');
  });

  test(`${name}: wherever memory runs out in a map, nothing of it stays`, () => {
    const bench = new HardwareBench();
    const [driver, unit, device] = make(bench);
    const { memory } = bench.kernel;
    let failures = 0;
    for (let n = 1; ; n++) {
      const domain = domainOf(driver, device, flags);
      memory.arm(n);
      try {
        domain.map(0x1f_f000n, 0x7000_1000n, 1030n * PAGE, RW);
        memory.arm(0);
        domain.unmap(0x1f_f000n, 1030n * PAGE);
      } catch (error) {
        memory.arm(0);
        assert.is((error as Errno).errno, ERRNO.ENOMEM);
        failures++;
        for (let page = 0x1ff; page < 0x1ff + 1030; page++) {
          assert.is(domain.iovaToPhys(BigInt(page) * PAGE), null);
        }
        assert.is(unit.translate(DEVICE, 0x1ff, RW), -1);
      }
      domain.sync();
      driver.blocked.attach(device, domain);
      domain.free();
      assert.is(driver.core.frames.inUse, 0);
      if (failures < n) break;
    }
    assert.ok(failures >= 4);
  });

  test(`${name}: addresses that do not fit are ERANGE`, () => {
    const bench = new HardwareBench();
    const [driver, , device] = make(bench);
    const domain = domainOf(driver, device, flags);
    assert.throws(() => domain.map(domain.apertureEnd + 1n, 0n, PAGE, RW), /input address/);
    assert.throws(() => domain.map(0n, 1n << 58n, PAGE, RW), /output address/);
    domain.map(domain.apertureEnd + 1n - PAGE, 0x7000_0000n, PAGE, RW);
    assert.is(domain.iovaToPhys(domain.apertureEnd), 0x7000_0fffn);
    assert.is(domain.iovaToPhys(domain.apertureEnd + 1n), null);
  });
}

/** Leaves every invalidation out, and says that it was made. */
class NoSync implements HardwareSync {
  range(): void {}

  whole(): void {}

  fence(): void {}

  settle(what: Settled): boolean {
    what.settle();
    return true;
  }
}

test.run();
