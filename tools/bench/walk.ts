/**
 * Functional address translation without any timing: nested Sv48 over Sv48x4 walks with no caches
 * (24 references each, permissions and accessed/dirty bits checked), and IOTLB lookups that hit.
 */
import { pnHi, pnLo } from '../../hw/address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../hw/iommu/access.ts';
import { Iotlb, iotlbArrays } from '../../hw/iommu/caches/iotlb.ts';
import { SV48, SV48X4 } from '../../hw/iommu/riscv/formats.ts';
import {
  WC_S1_FORMAT,
  WC_S1_ROOT_HI,
  WC_S1_ROOT_LO,
  WC_S2_FORMAT,
  WC_S2_ROOT_HI,
  WC_S2_ROOT_LO,
  WC_TAG1,
  WC_TAG2,
} from '../../hw/iommu/walk/context.ts';
import { LEAF_DIRTY, LEAF_R, LEAF_USER, LEAF_W } from '../../hw/iommu/walk/format.ts';
import { walkFunctional } from '../../hw/iommu/walk/functional.ts';
import { formatNumber } from '../../hw/iommu/walk/registry.ts';
import { TableBuilder } from '../../hw/iommu/walk/table-builder.ts';
import { STEP_DONE, Walk } from '../../hw/iommu/walk/walk.ts';
import { Walker } from '../../hw/iommu/walk/walker.ts';
import { PhysicalMemory } from '../../hw/memory/physical-memory.ts';
import { InternalError } from '../../sim/errors.ts';

const MEMORY_BYTES = 64 << 20;
/** Guest page g is at system page g + this; guest memory is mapped by 4 KiB leaves. */
const GUEST_BASE = 0x100000;
const GUEST_PAGES = 2048;
/** Device-visible pages, spread over two lowest-level tables. */
const INPUT_PAGE = 0x123456000;
const INPUT_PAGES = 1024;

/** Tables of a guest behind a second stage, and a walk context that points to them. */
function buildNested(memory: PhysicalMemory, walk: Walk): void {
  let nextHost = 0x400;
  const host = new TableBuilder({
    memory,
    format: SV48X4,
    allocate: (pages) => {
      const page = Math.ceil(nextHost / pages) * pages;
      nextHost = page + pages;
      return page;
    },
  });
  for (let g = 0; g < GUEST_PAGES; g++) host.map(g, GUEST_BASE + g);
  let nextGuest = 1;
  const guest = new TableBuilder({
    memory,
    format: SV48,
    allocate: () => nextGuest++,
    locate: (page) => GUEST_BASE + page,
  });
  const firstData = GUEST_PAGES - INPUT_PAGES;
  for (let i = 0; i < INPUT_PAGES; i++) guest.map(INPUT_PAGE + i, firstData + i);
  const { context } = walk;
  context[WC_S1_FORMAT] = formatNumber(SV48);
  context[WC_S1_ROOT_HI] = pnHi(guest.root);
  context[WC_S1_ROOT_LO] = pnLo(guest.root);
  context[WC_S2_FORMAT] = formatNumber(SV48X4);
  context[WC_S2_ROOT_HI] = pnHi(host.root);
  context[WC_S2_ROOT_LO] = pnLo(host.root);
  context[WC_TAG1] = 1;
  context[WC_TAG2] = 1;
}

/** Nested walks per second, of `walks` walks after a warm-up. */
export function benchNestedWalk(walks: number): number {
  const memory = PhysicalMemory.create({ bytes: MEMORY_BYTES });
  const walk = new Walk();
  buildNested(memory, walk);
  const walker = new Walker({ caches: null, redirect: null });
  runWalks(walker, walk, memory, 50_000);
  const start = process.hrtime.bigint();
  runWalks(walker, walk, memory, walks);
  return perSecond(walks, start);
}

function runWalks(walker: Walker, walk: Walk, memory: PhysicalMemory, walks: number): void {
  const hi = pnHi(INPUT_PAGE);
  const lo = pnLo(INPUT_PAGE);
  for (let i = 0; i < walks; i++) {
    walk.inHi = hi;
    walk.inLo = lo + ((i * 37) & (INPUT_PAGES - 1));
    walk.access = ACCESS_READ | ACCESS_WRITE;
    const step = walkFunctional(walker, walk, memory);
    if (step !== STEP_DONE || walk.refs1 + walk.refs2 !== 24) {
      throw new InternalError('bench', `walk ended with step ${step} after ${walk.refs2} reads`);
    }
  }
}

/** IOTLB lookups per second that hit, permission check and translation included. */
export function benchIotlbHit(lookups: number): number {
  const iotlb = new Iotlb(iotlbArrays({ sets: 64, ways: 8, policy: 'lru' }, 'unified'));
  const leaf = 1 | LEAF_R | LEAF_W | LEAF_USER | LEAF_DIRTY;
  for (let i = 0; i < 256; i++) iotlb.insert(1, 1, 3, i, 0, 5, i, leaf, leaf, 0, i);
  runLookups(iotlb, 500_000);
  const start = process.hrtime.bigint();
  runLookups(iotlb, lookups);
  return perSecond(lookups, start);
}

function runLookups(iotlb: Iotlb, lookups: number): void {
  for (let i = 0; i < lookups; i++) {
    const lo = (i * 37) & 0xff;
    const slot = iotlb.lookup(1, 1, 3, lo);
    if (slot < 0 || !iotlb.permits(slot, ACCESS_WRITE)) throw new InternalError('bench', 'missed');
    iotlb.translate(slot, 3, lo);
  }
}

function perSecond(count: number, start: bigint): number {
  return (count * 1e9) / Number(process.hrtime.bigint() - start);
}
