/**
 * Random programs of ioctls on real tables: after each call what the units answer is what the
 * domains say, and the safety checker has nothing to object to.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pnHi, pnLo } from '../../../../address.ts';
import { ACCESS_READ } from '../../../../iommu/access.ts';
import type { CallFields } from '../../client/request.ts';
import type { HardwareDevice } from './device.ts';
import type { HardwarePaging } from './paging.ts';
import { RiscvIommufdDriver } from './riscv.ts';
import { type BenchUnit, HardwareBench } from './testbench.ts';
import { VtdIommufdDriver } from './vtd.ts';

const PAGE = 4096;
const MAP = ['READABLE', 'WRITEABLE', 'FIXED_IOVA'];
const IDS = [0x0318, 0x0520];
/** Areas begin at multiples of so many pages. */
const SLOT = 1024;
const SLOTS = 4;
const LENGTHS = [1, 2, 513, 1024];

interface Step {
  readonly op: 'map' | 'unmap' | 'attach' | 'detach' | 'alloc' | 'destroy' | 'copy';
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** Calls by how often they are made: units should share domains for a while, and see unmaps. */
const WEIGHTS: readonly Step['op'][] = [
  ...(['map', 'map', 'map', 'unmap', 'unmap', 'unmap'] as const),
  ...(['attach', 'attach', 'attach', 'attach', 'copy', 'detach', 'alloc', 'destroy'] as const),
];

const STEP: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom(...WEIGHTS),
  a: fc.nat(1),
  b: fc.nat(SLOTS - 1),
  c: fc.nat(7),
});

class RandomProgram {
  readonly bench = new HardwareBench();
  private readonly units: readonly BenchUnit[];
  private readonly devices: readonly HardwareDevice[];
  private readonly bound: readonly { fd: number; id: number }[];
  private readonly ioases: readonly number[];
  private readonly hwpts: number[] = [];
  private readonly memory: bigint;
  private readonly flags: readonly (readonly string[])[];
  readonly driver: VtdIommufdDriver | RiscvIommufdDriver;

  constructor(vtd: boolean) {
    const { bench } = this;
    if (vtd) {
      const units = [bench.vtd(), bench.vtd()];
      const driver = new VtdIommufdDriver(bench.ports());
      this.devices = units.map((unit, i) =>
        driver.addDevice(driver.addUnit(unit.driver), `dev${i}`, IDS[i]),
      );
      this.driver = driver;
      this.units = units;
      this.flags = [[]];
    } else {
      const units = [bench.riscv(), bench.riscv()];
      const driver = new RiscvIommufdDriver(bench.ports(), { iommufd: true });
      this.devices = units.map((unit, i) =>
        driver.addDevice(driver.addUnit(unit.driver), `dev${i}`, IDS[i]),
      );
      this.driver = driver;
      this.units = units;
      this.flags = [[], ['NEST_PARENT'], ['DIRTY_TRACKING']];
    }
    this.bound = this.devices.map((device) => bench.bind(device));
    this.ioases = [0, 1].map(() => bench.ok('IOAS_ALLOC', {}, 'out_ioas_id'));
    this.memory = bench.alloc(SLOT * PAGE);
  }

  /** Calls may be refused: only what they leave counts. */
  run({ op, a, b, c }: Step): void {
    const ioas_id = this.ioases[a];
    const iova = (1 + b) * SLOT * PAGE;
    const length = LENGTHS[c % LENGTHS.length] * PAGE;
    const { fd, id } = this.bound[c % 2];
    const target = b < 3 ? this.ioases[b >> 1] : (this.hwpts[c % this.hwpts.length] ?? ioas_id);
    const call = (name: string, fields: CallFields) => this.bench.call(name, fields);
    switch (op) {
      case 'map':
        call('IOAS_MAP', { ioas_id, flags: MAP, user_va: this.memory, length, iova });
        break;
      case 'copy': {
        const ids = { src_ioas_id: ioas_id, dst_ioas_id: this.ioases[1 - a] };
        call('IOAS_COPY', { ...ids, flags: MAP, src_iova: iova, dst_iova: iova, length });
        break;
      }
      case 'unmap':
        call('IOAS_UNMAP', { ioas_id, iova, length: SLOT * PAGE });
        break;
      case 'attach':
        this.bench.callOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: target });
        break;
      case 'detach':
        this.bench.callOn(fd, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', {});
        break;
      case 'alloc': {
        const flags = this.flags[b % this.flags.length];
        const made = call('HWPT_ALLOC', { dev_id: id, pt_id: ioas_id, flags });
        if (made.errno === 0) this.hwpts.push(Number(made.out.out_hwpt_id));
        break;
      }
      case 'destroy': {
        const at = c % Math.max(1, this.hwpts.length);
        if (at >= this.hwpts.length) break;
        if (call('DESTROY', { id: this.hwpts[at] }).errno === 0) this.hwpts.splice(at, 1);
        break;
      }
    }
  }

  /** A few pages of each device, those at the ends of areas among them. */
  check(): void {
    for (const [i, device] of this.devices.entries()) {
      const domain = device.domain as HardwarePaging | null;
      for (let slot = 1; slot <= SLOTS; slot++) {
        for (const offset of [0, 1, 2, 512, 513, 1023]) this.checkPage(i, domain, slot, offset);
      }
    }
    assert.is(this.bench.safety.violations, 0);
    assert.is(this.bench.safety.exposedUses, 0);
  }

  private checkPage(i: number, domain: HardwarePaging | null, slot: number, offset: number): void {
    const page = slot * SLOT + offset;
    const frame = this.units[i].translate(IDS[i], page, ACCESS_READ);
    const told = domain?.iovaToPhys(BigInt(page * PAGE)) ?? null;
    assert.is(told, frame < 0 ? null : BigInt(frame) * BigInt(PAGE));
    if (domain === null || frame < 0) return;
    const { safety } = this.bench;
    safety.use(domain.index, pnHi(page), pnLo(page), pnHi(frame), pnLo(frame), ACCESS_READ, 0);
  }

  end(): void {
    const { bench } = this;
    bench.calls.exit();
    assert.is(bench.kernel.memory.bytes, 0);
    assert.is(bench.kernel.pins.total, 0);
    assert.is(this.driver.core.frames.inUse, 0);
    for (const device of this.devices) assert.is(device.domain, null);
  }
}

for (const vtd of [true, false]) {
  test(`${vtd ? 'vtd' : 'riscv'}: units answer what the domains say, whatever is called`, () => {
    fc.assert(
      fc.property(fc.array(STEP, { minLength: 60, maxLength: 120 }), (steps) => {
        const program = new RandomProgram(vtd);
        for (const step of steps) {
          program.run(step);
          program.check();
        }
        program.end();
      }),
      { numRuns: 20, seed: 11 },
    );
  });
}

test.run();
