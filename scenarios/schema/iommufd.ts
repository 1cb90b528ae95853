/** The `iommufd:` section: who drives the IOMMU behind /dev/iommu, and devices that exist on paper. */
import type { z } from 'zod';
import { choice, count, flag, type Param, type Values } from '../../sim/spec.ts';
import { listOf, optionalSection, requiredType, section, specShape } from './param.ts';
import { nameParam } from './specs.ts';

/** Drivers of /dev/iommu. */
export const IOMMUFD_DRIVERS = [
  'hardware',
  'mock',
  'paper-vtd',
  'paper-smmuv3',
  'paper-amd',
  'paper-riscv',
] as const;
export type IommufdDriverName = (typeof IOMMUFD_DRIVERS)[number];

const SHARING = ['driver', 'instance', 'capability'] as const;
const LEGACY = ['none', '2020'] as const;

export type IommufdSpec = {
  readonly driver: Param<IommufdDriverName>;
  readonly share_across_instances: Param<(typeof SHARING)[number]>;
  readonly invalidation: Param<boolean>;
  readonly riscv_iommufd: Param<boolean>;
  readonly legacy_uapi: Param<(typeof LEGACY)[number]>;
};

export const iommufdSpec: IommufdSpec = {
  driver: choice(
    'hardware',
    IOMMUFD_DRIVERS,
    "The simulated IOMMU; Linux's mock of its own tests; or a driver as in Linux without hardware.",
  ),
  share_across_instances: choice(
    'driver',
    SHARING,
    'When two IOMMU units share a domain: as the driver does, never, or where the units can do the same.',
  ),
  invalidation: flag(
    true,
    'False: the kernel forgets the invalidations that calls ask for; the safety checker sees it.',
  ),
  riscv_iommufd: flag(
    false,
    'A RISC-V driver with nesting, dirty tracking and page requests; Linux has none yet: bind is EINVAL.',
  ),
  legacy_uapi: choice(
    'none',
    LEGACY,
    'The guest-PASID interface of 2020 beside /dev/iommu, for comparison.',
  ),
};

/** An IOMMU unit without hardware. */
export type PaperUnitSpec = {
  readonly dirty_tracking: Param<boolean>;
  readonly nesting: Param<boolean>;
  readonly snoop_control: Param<boolean>;
  readonly address_bits: Param<number>;
  readonly domain_id_bits: Param<number>;
  readonly cmdqv: Param<boolean>;
};

export const paperUnitSpec: PaperUnitSpec = {
  dirty_tracking: flag(true, 'The unit sets dirty bits in tables.'),
  nesting: flag(true, 'The unit has two stages.'),
  snoop_control: flag(true, 'The unit can force DMA to be coherent (VT-d).'),
  address_bits: count(48, 'Width of input addresses (VT-d, RISC-V).', { min: 39, max: 57 }),
  domain_id_bits: count(16, 'log2 of the domain ids or VMIDs.', { min: 4, max: 16 }),
  cmdqv: flag(false, 'Virtual command queues as in Tegra241 (SMMUv3).'),
};

export type PaperDeviceSpec = {
  readonly unit: Param<number>;
  readonly pasids: Param<number>;
  readonly ats: Param<boolean>;
};

export const paperDeviceSpec: PaperDeviceSpec = {
  unit: count(0, 'Index of its unit.', { min: 0, max: 63 }),
  pasids: count(0, 'PASIDs that it can use.', { min: 0, max: 2 ** 20 }),
  ats: flag(true, 'It has a TLB of its own (ATS).'),
};

export type ResolvedPaperDevice = Values<PaperDeviceSpec> & { readonly name: string };

export type ResolvedIommufd = Values<IommufdSpec> & {
  readonly units: readonly Values<PaperUnitSpec>[];
  readonly devices: readonly ResolvedPaperDevice[];
};

const unitType = section(specShape(paperUnitSpec), 'What an IOMMU unit without hardware can do.');
const deviceType = section(
  { name: requiredType(nameParam), ...specShape(paperDeviceSpec) },
  'A device that exists for its driver only: it is bound and attached, and has no traffic.',
);

export const iommufdType: z.ZodType = optionalSection(
  {
    ...specShape(iommufdSpec),
    units: listOf(unitType, 'IOMMU units of a driver without hardware.').default([]),
    devices: listOf(deviceType, 'Devices of a driver without hardware.').default([]),
  },
  '/dev/iommu: the driver behind it.',
);
