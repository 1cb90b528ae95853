/**
 * From the `iommu:` section to hardware: geometries and times in cycles, the architecture's unit,
 * its caches. What a walk shard needs is plain data, because shards may live in worker threads.
 */
import type { IommuUnit, UnitPorts } from '../../hw/iommu/architecture.ts';
import { Iotlb, iotlbArrays } from '../../hw/iommu/caches/iotlb.ts';
import type { Geometry } from '../../hw/iommu/caches/set-associative.ts';
import { WalkCaches } from '../../hw/iommu/caches/walk-caches.ts';
import {
  ALL_FEATURES,
  DEFAULT_RISCV_SPEC,
  encodeCapabilities,
  FCTL_GXL,
  FCTL_WSI,
  IGS_MSI,
  IGS_WSI,
  type RiscvIommuSpec,
} from '../../hw/iommu/riscv/capabilities.ts';
import { causeName } from '../../hw/iommu/riscv/cause-names.ts';
import { MSI_PAGE_TABLE } from '../../hw/iommu/riscv/msi.ts';
import { RiscvIommu } from '../../hw/iommu/riscv/unit.ts';
import type { CommandOptions } from '../../hw/iommu/timed/command-unit.ts';
import type { FrontEndOptions } from '../../hw/iommu/timed/front-end-ports.ts';
import { reasonName } from '../../hw/iommu/vtd/reason-names.ts';
import { vtdIdentity } from '../../hw/iommu/vtd/spec.ts';
import { VtdUnit } from '../../hw/iommu/vtd/unit.ts';
import type { Redirect } from '../../hw/iommu/walk/redirect.ts';
import type { Clock } from '../../sim/time/clock.ts';
import { type ResolvedIommu, type StageCaches, WALK_CACHE_LEVELS } from '../schema/iommu.ts';
import type { ResolvedScenario } from '../schema/resolved.ts';

/** The architecture's unit, as the scenario wants it. */
export function createUnit(scenario: ResolvedScenario, ports: UnitPorts): IommuUnit {
  const { iommu } = scenario;
  return iommu.arch === 'vtd'
    ? new VtdUnit(vtdIdentity(iommu.vtd), ports)
    : new RiscvIommu(riscvInstance(scenario), ports);
}

/** The table that the architecture sends some final addresses through. */
export function redirectOf(arch: ResolvedIommu['arch']): Redirect | null {
  return arch === 'riscv' ? MSI_PAGE_TABLE : null;
}

/** The architecture's name of a fault code. */
export function faultName(arch: ResolvedIommu['arch'], code: number): string {
  return arch === 'vtd' ? reasonName(code) : causeName(code);
}

function riscvInstance({ iommu, domains }: ResolvedScenario): RiscvIommuSpec {
  const { directory_levels, directory_format, hardware_ad, address_bits, interrupts } = iommu.riscv;
  const absent = new Set<string>(['end', 'qosid']);
  if (directory_format === 'base') for (const name of ['msiFlat', 'msiMrif']) absent.add(name);
  if (!hardware_ad) absent.add('amoHwad');
  // Guests with Sv32x4 need a unit in 32-bit guest mode (fctl.GXL), which is one for all.
  const guests32 = domains.some(({ stage2 }) => stage2 === 'Sv32x4');
  return {
    ...DEFAULT_RISCV_SPEC,
    // A unit with wires only has fctl.WSI fixed to 1.
    fctl: (guests32 ? FCTL_GXL : 0) | (interrupts === 'wired' ? FCTL_WSI : 0),
    capabilities: encodeCapabilities(
      ALL_FEATURES.filter((name) => !absent.has(name)),
      interrupts === 'wired' ? IGS_WSI : IGS_MSI,
      address_bits,
    ),
    maxMode: 1 + directory_levels,
  };
}

/** Partition numbers of the walk shards: they follow the front end's. */
export function shardIds(iommu: ResolvedIommu): number[] {
  return Array.from({ length: iommu.walkers.shards }, (_, i) => i + 1);
}

/** Cycles from the front end to a shard, and back: the window of the whole simulation. */
export function transitCycles(iommu: ResolvedIommu, clock: Clock): number {
  return Math.max(1, clock.nearest(iommu.walkers.transit));
}

export function frontEndOptions(
  iommu: ResolvedIommu,
  clock: Clock,
): FrontEndOptions & CommandOptions {
  const { front_end, caches, commands } = iommu;
  return {
    slots: front_end.slots,
    inOrder: front_end.ordering === 'in-order',
    lookupCycles: clock.nearest(caches.iotlb.latency),
    lookupPorts: caches.iotlb.ports,
    mergeMisses: caches.iotlb.merge_misses,
    faultCycles: clock.nearest(front_end.fault),
    shards: shardIds(iommu),
    transitCycles: transitCycles(iommu, clock),
    regionOrder: iommu.walkers.region_order,
    doorbellCycles: clock.nearest(commands.doorbell),
    fetchBatch: commands.fetch_batch,
    executeCycles: clock.nearest(commands.execute),
    completeCycles: clock.nearest(commands.complete),
  };
}

export function createIotlb(iommu: ResolvedIommu): Iotlb {
  const { iotlb } = iommu.caches;
  return new Iotlb(iotlbArrays(iotlb, iotlb.page_sizes));
}

/** Geometries of a shard's walk caches: element n holds entries of level n. */
export interface WalkCacheGeometries {
  readonly stage1: readonly (Geometry | undefined)[];
  readonly stage2: readonly (Geometry | undefined)[];
  readonly nested: Geometry;
}

export function walkCacheGeometries(iommu: ResolvedIommu): WalkCacheGeometries {
  const levels = (stage: StageCaches): (Geometry | undefined)[] => [
    undefined,
    ...WALK_CACHE_LEVELS.map((level) => stage[level]),
  ];
  return {
    stage1: levels(iommu.caches.walk.stage1),
    stage2: levels(iommu.caches.walk.stage2),
    nested: iommu.caches.nested,
  };
}

/** The walk caches, or null when every one of them is absent. */
export function createWalkCaches(geometries: WalkCacheGeometries): WalkCaches | null {
  const { stage1, stage2, nested } = geometries;
  const present = (geometry: Geometry | undefined): boolean =>
    geometry !== undefined && geometry.sets * geometry.ways > 0;
  if (![...stage1, ...stage2, nested].some(present)) return null;
  return new WalkCaches({
    stage1,
    stage2,
    nested: present(nested) ? iotlbArrays(nested, 'unified') : [],
    nestedFinal: true,
  });
}
