import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { pageNumber } from '../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import { SV48, SV48X4 } from '../iommu/riscv/formats.ts';
import { type Core, Host } from './core.ts';
import { DmaApi, type DmaDevice } from './dma-api.ts';
import { FrameAllocator } from './frames.ts';
import { GuestMemory } from './guest.ts';
import { InvalidationPath } from './invalidation.ts';
import type { DeferredPolicy } from './policies/deferred.ts';
import { DomainMapping } from './policies/make.ts';
import { SafetyChecker } from './safety.ts';
import type { HostOptions, MappingPolicyKind } from './spec.ts';
import { riscvBench, type UnitBench } from './testbench.ts';

const RW = ACCESS_READ | ACCESS_WRITE;
const DEVICE = 8;
/** Cycles from a doorbell until the unit has worked off its queue. */
const UNIT_CYCLES = 500;
const OPTIONS: HostOptions = {
  cores: 2,
  mapping: {
    mapCycles: 100,
    mapPageCycles: 10,
    unmapCycles: 70,
    unmapPageCycles: 7,
    queueCycles: 3,
    lookupCycles: 1,
  },
  invalidation: { commandCycles: 20, doorbellCycles: 60, guestExitCycles: 4000, pollCycles: 16 },
  deferred: { queueEntries: 4, timeoutCycles: 100_000 },
};

interface Rig {
  readonly events: EventQueue;
  readonly bench: UnitBench;
  readonly host: Host;
  readonly api: DmaApi;
  readonly path: InvalidationPath;
  readonly device: DmaDevice;
  readonly safety: SafetyChecker;
  /** Input pages in the order of mapping, and [cycle, core] of each finished operation. */
  readonly inputs: number[];
  readonly ends: number[];
  map(core: number, frame: number, pages: number): void;
  unmap(core: number, page: number, pages: number): void;
  /** A DMA of the device as translated right now. */
  use(page: number): void;
}

function rig(policy: MappingPolicyKind, guest = false, hooked = true): Rig {
  const bench = riscvBench();
  const events = new EventQueue();
  const host = new Host(events, 2);
  const safety = new SafetyChecker();
  const api = new DmaApi(events, host, safety);
  const { driver } = bench;
  const path = new InvalidationPath(events, host, driver, OPTIONS.invalidation, hooked);
  let domain = driver.createDomain(
    policy === 'passthrough' ? { kind: 'passthrough' } : { kind: 'stage1', format: SV48 },
  );
  if (guest) {
    const hostBase = bench.frames.allocRun(1024, 512);
    const memory = new GuestMemory({ base: 0, pages: 1024, hostBase, pageOrder: 9 });
    const parent = driver.createDomain({ kind: 'stage2', format: SV48X4, guest: memory });
    const guestFrames = new FrameAllocator({ base: 512, frames: 512 });
    domain = driver.createDomain({ kind: 'nested', format: SV48, parent, guestFrames });
  }
  driver.attach(domain, DEVICE);
  bench.held = true;
  const onUnit = events.register(PHASE_UNIT, 'unit', () => bench.process());
  const ring = driver.ring.bind(driver);
  driver.ring = () => {
    ring();
    events.after(UNIT_CYCLES, onUnit, 0, 0);
  };
  if (hooked) bench.afterCommands = () => path.wake();
  const use = { domain, driver, path, policy, addressBits: 32 };
  const device = new DomainMapping(events, host, api, OPTIONS, use).device(0);
  const inputs: number[] = [];
  const ends: number[] = [];
  const work: (() => void)[] = [];
  const onMapped = host.register(() => {
    inputs.push(pageNumber(api.resultHi, api.resultLo));
    ends.push(events.now);
  });
  const onUnmapped = host.register(() => {
    ends.push(events.now);
  });
  const onWork = host.register((i) => (work[i] as () => void)());
  const run = (core: number, step: () => void): void => {
    work.push(step);
    host.cores[core].run(0, onWork, work.length - 1, 0);
  };
  return {
    events,
    bench,
    host,
    api,
    path,
    device,
    safety,
    inputs,
    ends,
    map: (core, frame, pages) =>
      run(core, () => api.map(host.cores[core], device, 0, frame, pages, RW, onMapped, 0)),
    unmap: (core, page, pages) =>
      run(core, () => api.unmap(host.cores[core], device, 0, page, pages, onUnmapped, 0)),
    use: (page) => {
      const out = bench.translate(DEVICE, page, RW);
      if (out >= 0) safety.use(domain.index, 0, page, 0, out, RW, events.now);
    },
  };
}

test('strict: map costs its call and its pages, then translates', () => {
  const r = rig('strict');
  r.map(0, 0x90000, 3);
  r.events.run(1e6);
  assert.equal(r.ends, [130]);
  // Top down below 4 GiB, aligned to the size rounded up to four pages.
  assert.equal(r.inputs, [0xffffc]);
  assert.is(r.bench.translate(DEVICE, 0xffffe, RW), 0x90002);
});

test('strict: unmap waits for the fence, seen at the next poll, and frees the address', () => {
  const r = rig('strict');
  r.map(0, 0x90000, 1);
  r.events.run(1000);
  r.unmap(0, 0xfffff, 1);
  r.map(0, 0x91000, 1);
  r.events.run(1e6);
  // 110: map. At 110 the unmap begins: 77, then two commands and the doorbell, the unit's 500, and
  // the first look on the grid of 16 after that (512).
  const posted = 110 + 77 + 2 * 20 + 60;
  assert.equal(r.ends, [110, posted + 512, posted + 512 + 110]);
  assert.is(r.path.latency.count, 1);
  assert.is(r.path.latency.max, 512);
  assert.is(r.path.total.max, 100 + 512);
  assert.equal(r.inputs, [0xfffff, 0xfffff]);
  assert.is(r.host.cores[0].spinCycles, 500);
  assert.is(r.safety.exposedPages, 1);
  assert.is(r.safety.exposedPageCycles, 100 + 512);
  assert.is(r.safety.violations, 0);
});

test('strict: without a hook the core polls, and sees the fence no later than a poll after it', () => {
  const r = rig('strict', false, false);
  r.map(0, 0x90000, 1);
  r.unmap(0, 0xfffff, 1);
  r.events.run(1e6);
  assert.ok(r.path.latency.max > 500);
  assert.ok(r.path.latency.max <= 500 + 2 * 16);
  assert.is(r.events.pending, 0);
});

test('strict: cores share one queue under its lock, first come first served', () => {
  const r = rig('strict');
  r.map(0, 0x90000, 1);
  r.map(1, 0x91000, 1);
  r.events.run(1000);
  r.unmap(0, 0xfffff, 1);
  r.unmap(1, 0xffffe, 1);
  r.events.run(1e6);
  assert.is(r.path.lock.contended, 1);
  // The second waits while the first writes: 100 cycles.
  assert.is(r.path.lock.waits.max, 100);
  assert.is(r.path.counters.toPlain().fences, 2);
});

test('strict: the doorbell of a guest traps', () => {
  const r = rig('strict', true);
  r.map(0, 100, 1);
  r.events.run(1000);
  assert.is(r.bench.translate(DEVICE, 0xfffff, RW), (r.device.domain.guest?.hostBase ?? 0) + 100);
  r.use(0xfffff);
  assert.is(r.safety.violations, 0);
  r.unmap(0, 0xfffff, 1);
  r.events.run(1e6);
  assert.is(r.path.total.max, 4000 + 100 + 512);
  assert.is(r.path.counters.toPlain()['guest-exits'], 1);
});

test('deferred: addresses are held until a flush; the fifth unmap finds its queue full', () => {
  const r = rig('deferred');
  const policy = r.device.policy as DeferredPolicy;
  for (let i = 0; i < 5; i++) r.map(0, 0x90000 + i, 1);
  r.events.run(1000);
  for (let i = 0; i < 4; i++) r.unmap(0, 0xfffff - i, 1);
  r.events.run(5000);
  assert.is(policy.queued, 4);
  assert.is(policy.fullFlushes, 0);
  assert.is(r.path.latency.count, 0);
  r.map(0, 0x90010, 1);
  r.events.run(6000);
  assert.is(r.inputs[5], 0xfffff - 5);
  r.unmap(0, 0xfffff - 4, 1);
  r.events.run(9000);
  assert.is(policy.fullFlushes, 1);
  // The four older ranges are free, the fifth is not covered.
  assert.is(policy.queued, 1);
  r.map(0, 0x90011, 1);
  r.events.run(10_000);
  assert.is(r.inputs[6], 0xfffff - 3);
  assert.is(r.safety.violations, 0);
});

test('deferred: the timer flushes what is queued, once', () => {
  const r = rig('deferred');
  const policy = r.device.policy as DeferredPolicy;
  r.map(0, 0x90000, 1);
  r.unmap(0, 0xfffff, 1);
  r.events.run(100_100);
  assert.is(policy.queued, 1);
  r.events.run(102_000);
  assert.is(policy.timerFlushes, 1);
  assert.is(policy.queued, 0);
  assert.is(r.safety.exposedPages, 1);
  assert.ok(r.safety.exposedPageCycles >= 100_000);
  r.events.run(1e9);
  assert.is(policy.timerFlushes, 1);
  assert.is(r.events.pending, 0);
});

test('static: a frame is mapped once, and unmap leaves it', () => {
  const r = rig('static');
  r.map(0, 0x90000, 2);
  r.events.run(1000);
  r.unmap(0, r.inputs[0] as number, 2);
  r.map(0, 0x90000, 2);
  r.map(0, 0x90001, 1);
  r.events.run(1e6);
  assert.is(r.inputs[1], r.inputs[0]);
  assert.is(r.inputs[2], (r.inputs[0] as number) + 1);
  assert.is(r.api.counters.toPlain()['pages-mapped'], 2);
  assert.is(r.api.mapNow(r.device, 0x90001, 1, RW), r.inputs[2]);
  assert.is(r.path.latency.count, 0);
});

test('passthrough: the frame is the address', () => {
  const r = rig('passthrough');
  r.map(0, 0x90000, 2);
  r.events.run(1000);
  assert.equal(r.inputs, [0x90000]);
  assert.equal(r.ends, [1]);
  r.use(0x90001);
  r.use(0x12345);
  assert.is(r.safety.uses, 2);
  assert.is(r.safety.violations, 0);
});

test('a full command queue makes the core wait, not overwrite', () => {
  const r = rig('strict');
  r.map(0, 0x90000, 300);
  r.events.run(10_000);
  // Others' commands fill the queue of 8192 but for 100 places.
  const filler = r.bench.driver;
  while (filler.room() > 100) filler.postInvalidation(r.device.domain, 0, 0, 1);
  r.unmap(0, r.inputs[0] as number, 300);
  r.events.run(1e6);
  assert.is(r.path.counters.toPlain()['queue-full'], 1);
  assert.is(r.path.counters.toPlain().commands, 301);
  assert.is(r.ends.length, 2);
  assert.ok(r.host.cores[0].idle);
});

test('strict: where new entries are made known, a map returns after that', () => {
  const r = rig('strict');
  const { device, events, host } = r;
  let told = 0;
  const path = {
    range: device.path.range.bind(device.path),
    whole: device.path.whole.bind(device.path),
    mapped: (core: Core, handler: number, a: number, b: number): void => {
      told++;
      core.proceed(777, handler, a, b);
    },
  };
  const slow = { ...device, path };
  const ends: number[] = [];
  const done = host.register(() => ends.push(events.now));
  const work = host.register(() => r.api.map(host.cores[0], slow, 0, 0x90, 1, RW, done, 0));
  host.cores[0].run(0, work, 0, 0);
  events.run(10_000);
  assert.equal([told, ends], [1, [100 + 10 + 777]]);
  r.use(pageNumber(r.api.resultHi, r.api.resultLo));
  assert.is(r.safety.violations, 0);
});

test.run();
