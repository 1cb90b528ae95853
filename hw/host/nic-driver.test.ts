import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SILENT_PROBE } from '../../sim/probe.ts';
import { RandomStream } from '../../sim/random/stream.ts';
import { EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { pageNumber, pnHi, pnLo } from '../address.ts';
import { DmaAccounting } from '../dma/accounting.ts';
import { Nic } from '../dma/nic.ts';
import type { NicDriverOptions, NicOptions } from '../dma/nic-spec.ts';
import { SV48, SV48X4 } from '../iommu/riscv/formats.ts';
import type { MemoryPort } from '../memory/port.ts';
import { Transactions, TXN_FAULT, WAIT_MEMORY } from '../pcie/transactions.ts';
import { Host } from './core.ts';
import { DmaApi } from './dma-api.ts';
import { FrameAllocator } from './frames.ts';
import { GuestMemory, GuestMemoryPort } from './guest.ts';
import { InvalidationPath } from './invalidation.ts';
import { NicDriver } from './nic-driver.ts';
import { DomainMapping } from './policies/make.ts';
import { SafetyChecker } from './safety.ts';
import type { HostOptions, MappingPolicyKind } from './spec.ts';
import { riscvBench } from './testbench.ts';

const DEVICE = 8;
const DMA_CYCLES = 900;
const HOST: HostOptions = {
  cores: 2,
  mapping: {
    mapCycles: 100,
    mapPageCycles: 10,
    unmapCycles: 70,
    unmapPageCycles: 7,
    queueCycles: 3,
    lookupCycles: 1,
  },
  invalidation: { commandCycles: 20, doorbellCycles: 60, guestExitCycles: 400, pollCycles: 16 },
  deferred: { queueEntries: 50, timeoutCycles: 1_000_000 },
};
const NIC: NicOptions = {
  receive: { numerator: 1, denominator: 2 },
  transmit: null,
  mtu: 1500,
  packets: 'mtu',
  queues: 2,
  receiveRing: 64,
  transmitRing: 64,
  fetchBatch: 16,
  receiveBuffer: 65536,
  reads: 64,
  writes: 64,
  moderationCycles: 2000,
  startCycle: 0,
  stopCycle: 200_000,
};
const DRIVER: NicDriverOptions = {
  pageAligned: true,
  fragments: 1,
  spareBuffers: 16,
  budget: 64,
  interruptCycles: 300,
  packetCycles: 50,
  doorbellCycles: 60,
};

interface Setup {
  readonly policy: MappingPolicyKind;
  readonly guest?: boolean;
  readonly nic?: Partial<NicOptions>;
  readonly driver?: Partial<NicDriverOptions>;
  /** Refuse the n-th DMA. */
  readonly refuse?: number;
}

interface Ran {
  readonly nic: Record<string, number>;
  readonly driver: Record<string, number>;
  readonly safety: SafetyChecker;
  readonly api: Record<string, number>;
  readonly accounting: DmaAccounting;
  readonly txns: Transactions;
  readonly end: number;
  readonly spans: readonly number[];
  readonly busy: number;
}

/** Runs NIC, driver, DMA API and a functional IOMMU together until nothing is left to do. */
function run(setup: Setup): Ran {
  const bench = riscvBench();
  const events = new EventQueue();
  const host = new Host(events, 2);
  const safety = new SafetyChecker();
  const api = new DmaApi(events, host, safety);
  const { driver } = bench;
  const path = new InvalidationPath(events, host, driver, HOST.invalidation, true);
  let domain = driver.createDomain(
    setup.policy === 'passthrough' ? { kind: 'passthrough' } : { kind: 'stage1', format: SV48 },
  );
  let memory: MemoryPort = bench.memory;
  let frames = bench.frames;
  if (setup.guest === true) {
    const hostBase = bench.frames.allocRun(4096, 512);
    const guest = new GuestMemory({ base: 0, pages: 4096, hostBase, pageOrder: 9 });
    const parent = driver.createDomain({ kind: 'stage2', format: SV48X4, guest });
    frames = new FrameAllocator({ base: 0, frames: 4096 });
    memory = new GuestMemoryPort(guest, bench.memory);
    domain = driver.createDomain({ kind: 'nested', format: SV48, parent, guestFrames: frames });
  }
  driver.attach(domain, DEVICE);
  bench.held = true;
  const onUnit = events.register(PHASE_UNIT, 'unit', () => bench.process());
  const ring = driver.ring.bind(driver);
  driver.ring = () => {
    ring();
    events.after(500, onUnit, 0, 0);
  };
  bench.afterCommands = () => path.wake();
  const use = { domain, driver, path, policy: setup.policy, addressBits: 32 };
  const device = new DomainMapping(events, host, api, HOST, use).device(0);
  const txns = new Transactions(1024);
  const accounting = new DmaAccounting(txns, 1, SILENT_PROBE);
  const nicOptions = { ...NIC, ...setup.nic };
  const spans: number[] = [];
  let issued = 0;
  const onBack = events.register(PHASE_UNIT, 'back', (txn) => {
    txns.mark(txn, WAIT_MEMORY, events.now);
    nic.accept(txn);
  });
  const link = {
    accept: (txn: number): void => {
      const page = pageNumber(txns.hi[txn], txns.lo[txn]);
      const access = txns.access[txn];
      const out = ++issued === setup.refuse ? -1 : bench.translate(DEVICE, page, access);
      assert.ok((txns.offset[txn] as number) + (txns.bytes[txn] as number) <= 4096);
      spans.push(txns.bytes[txn] as number);
      if (out < 0) txns.status[txn] = TXN_FAULT;
      else {
        txns.outHi[txn] = pnHi(out);
        txns.outLo[txn] = pnLo(out);
        const { hi, lo } = txns;
        const now = events.now;
        safety.use(domain.index, hi[txn], lo[txn], pnHi(out), pnLo(out), access, now);
      }
      events.after(DMA_CYCLES, onBack, txn, 0);
    },
  };
  const around = { events, txns, accounting, link, master: 0 };
  const random = new RandomStream(1, 'nic');
  const nic = new Nic(around, bench.memory, 0, nicOptions, random);
  const ports = { events, host, api, nic, device, memory, frames };
  const nicDriver = new NicDriver(ports, nicOptions, { ...DRIVER, ...setup.driver });
  nicDriver.start();
  events.run(Number.POSITIVE_INFINITY);
  safety.finish(events.now);
  return {
    nic: nic.counters.toPlain(),
    driver: nicDriver.counters.toPlain(),
    safety,
    api: api.counters.toPlain(),
    accounting,
    txns,
    end: events.now,
    spans,
    busy: host.cores.reduce((sum, core) => sum + core.busyCycles, 0),
  };
}

/** Packets that the wire brings: 1524 bytes each, half a cycle per byte. */
const ARRIVED = Math.floor((200_000 - 1) / 762);

test('every packet that arrives is received or dropped, and nothing is left open', () => {
  for (const policy of ['passthrough', 'static', 'strict', 'deferred'] as const) {
    const r = run({ policy });
    assert.is(r.nic.received + r.nic.dropped, ARRIVED);
    assert.is(r.driver.received, r.nic.received);
    assert.is(r.nic['received-bytes'], r.nic.received * 1500);
    assert.is(r.txns.inFlight, 0);
    assert.is(r.nic.errors, 0);
    assert.is(r.safety.violations, 0);
    assert.ok(r.nic.received > 50, `${policy}: ${r.nic.received}`);
    // Payload and completion of each packet, and the fetches.
    assert.is(r.accounting.finished, 2 * r.nic.received + r.nic.fetches);
  }
});

test('strict costs a wait per packet, and packets are dropped when cores cannot keep up', () => {
  const fast = run({ policy: 'static' });
  const slow = run({ policy: 'strict', nic: { receive: { numerator: 1, denominator: 8 } } });
  assert.is(fast.nic.dropped, 0);
  assert.ok(slow.nic.dropped > 0);
  assert.is(fast.api['pages-unmapped'], 0);
  assert.is(slow.api.unmaps, slow.nic.received);
  assert.is(slow.safety.exposedPages, slow.nic.received);
});

test('deferred leaves pages reachable far longer than strict', () => {
  const strict = run({ policy: 'strict' });
  const deferred = run({ policy: 'deferred' });
  const mean = (r: Ran): number => r.safety.exposedPageCycles / r.safety.exposedPages;
  assert.ok(mean(deferred) > 10 * mean(strict));
  assert.ok(deferred.busy < strict.busy);
});

test('the same in a guest with two stages', () => {
  const r = run({ policy: 'strict', guest: true });
  assert.is(r.nic.received + r.nic.dropped, ARRIVED);
  assert.is(r.nic.errors, 0);
  assert.is(r.safety.violations, 0);
  assert.ok(r.safety.uses > 100);
});

test('payload is cut at pages: 9000 bytes are three writes', () => {
  const r = run({ policy: 'static', nic: { mtu: 9000 } });
  const payload = r.spans.filter((bytes) => bytes > 16 * 16);
  assert.equal(payload.slice(0, 3), [4096, 4096, 808]);
  assert.is(payload.length, 3 * r.nic.received);
});

test('fragments share a mapping: two packets an unmap; packed ones may straddle pages', () => {
  const two = run({ policy: 'strict', driver: { fragments: 2, pageAligned: false } });
  const { unmaps } = two.api;
  // Of each of the two queues the last packet may leave a chunk half used.
  assert.ok(unmaps * 2 <= two.driver.received && unmaps * 2 >= two.driver.received - 2);
  assert.is(two.safety.violations, 0);
  const packed = run({ policy: 'strict', driver: { fragments: 8, pageAligned: false } });
  assert.is(packed.nic.errors, 0);
  assert.ok(packed.spans.includes(4096 - 2 * 1500));
});

test('transmit keeps the wire busy and completes all it took', () => {
  for (const policy of ['static', 'strict', 'deferred'] as const) {
    const transmit = { numerator: 4, denominator: 1 };
    const r = run({ policy, nic: { receive: null, transmit } });
    assert.is(r.driver.sent, r.nic.sent);
    assert.is(r.safety.violations, 0);
    assert.is(r.txns.inFlight, 0);
    // 1524 bytes of 4 cycles each: one packet in 6096 cycles.
    assert.ok(r.nic.sent >= Math.floor(200_000 / 6096) - 2, `${policy}: ${r.nic.sent}`);
    assert.is(r.api.maps, policy === 'static' ? r.api.maps : r.api.unmaps);
  }
});

test('a mix of sizes is 7:4:1 of small, medium and full packets', () => {
  const r = run({ policy: 'static', nic: { packets: 'imix', stopCycle: 2_000_000 } });
  const count = (bytes: number): number => r.spans.filter((span) => span === bytes).length;
  assert.ok(count(64) > count(576) && count(576) > count(1500) && count(1500) > 0);
});

test('a refused payload is an error of one packet; a refused fetch stops its queue', () => {
  // The first two DMAs fetch descriptors of the two queues; the third is the first packet's payload.
  const payload = run({ policy: 'static', refuse: 3 });
  assert.is(payload.nic.errors, 1);
  assert.is(payload.driver.errors, 1);
  assert.is(payload.nic.received + payload.nic.dropped + 1, ARRIVED);
  const fetch = run({ policy: 'static', refuse: 1 });
  assert.is(fetch.nic.errors, 1);
  assert.ok(fetch.nic.received > 20);
  assert.ok(fetch.nic.dropped > 0);
  assert.is(fetch.txns.inFlight, 0);
});

test('the same run twice is the same run', () => {
  const one = run({ policy: 'strict', nic: { packets: 'imix' } });
  const two = run({ policy: 'strict', nic: { packets: 'imix' } });
  assert.equal(one.nic, two.nic);
  assert.equal(one.spans, two.spans);
  assert.is(one.end, two.end);
});

test.run();
