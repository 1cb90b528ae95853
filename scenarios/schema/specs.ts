/**
 * Parameters that belong to a scenario as a whole: the run, domains, devices, and what a RISC-V
 * unit is built with. Parameters of hardware units are declared beside the units.
 */
import { MAPPING_POLICIES, type MappingPolicyKind } from '../../hw/host/spec.ts';
import {
  bytes,
  choice,
  count,
  duration,
  flag,
  frequency,
  type Param,
  text,
} from '../../sim/spec.ts';

export type ScenarioSpec = {
  readonly name: Param<string>;
  readonly description: Param<string>;
  readonly seed: Param<number>;
  readonly clock: Param<number>;
};

export const scenarioSpec: ScenarioSpec = {
  name: text('', 'Name of the scenario; the name of its file if not given.'),
  description: text('', 'What the scenario shows.'),
  seed: count(1, 'Seed of all random streams.', { min: 0 }),
  clock: frequency('2GHz', 'Base clock; its period is one cycle of the simulation.', {
    min: 1_000_000,
    max: 1_000_000_000_000,
  }),
};

export type RunSpec = Readonly<Record<'for' | 'max_dmas' | 'warmup', Param<number>>>;

export const runSpec: RunSpec = {
  for: duration('3ms', 'Simulated time after which the run ends.', { min: 1 }),
  max_dmas: count(0, 'Completed DMAs after which the run ends; 0 = no such limit.', { min: 0 }),
  warmup: duration('0ns', 'Time at the start that figures leave out.'),
};

export type RecordingSpec = {
  readonly folder: Param<string>;
  readonly max_events: Param<number>;
  readonly outstanding: Param<number>;
  readonly keep_gaps: Param<boolean>;
};

export const recordingSpec: RecordingSpec = {
  folder: text('', 'Capture folder to play, relative to the file that names it; empty = none.'),
  max_events: count(0, 'Events of the recording to play; 0 = all.'),
  outstanding: count(32, 'Most recorded DMAs of a device in flight.', { min: 1, max: 65_536 }),
  keep_gaps: flag(
    false,
    'Keep the recorded time between DMAs of a device; false: as soon as there is room.',
  ),
};

/** A device whose DMAs come from the recording. */
export type RecordedSpec = { readonly requester: Param<string> };

export const recordedSpec: RecordedSpec = {
  requester: text('', 'The device in the recording, as bus:device.function in hexadecimal.'),
};

/** What a device can do besides DMA. */
export type DeviceSpec = { readonly page_requests: Param<boolean> };

export const deviceSpec: DeviceSpec = {
  page_requests: flag(
    false,
    'It asks for pages by PCIe page requests (riscv with iommufd.riscv_iommufd).',
  ),
};

/** How a domain translates. */
export const TRANSLATIONS = ['passthrough', 'stage1', 'stage2', 'nested', 'user'] as const;

/** Table formats by architecture and stage, shallowest first. */
export const TABLE_FORMATS = {
  riscv: {
    stage1: ['Sv32', 'Sv39', 'Sv48', 'Sv57'],
    stage2: ['Sv32x4', 'Sv39x4', 'Sv48x4', 'Sv57x4'],
  },
  vtd: { stage1: [], stage2: ['SS3', 'SS4', 'SS5'] },
} as const;
type Stage1 = 'auto' | (typeof TABLE_FORMATS.riscv.stage1)[number];
type Stage2 =
  | 'auto'
  | (typeof TABLE_FORMATS.riscv.stage2)[number]
  | (typeof TABLE_FORMATS.vtd.stage2)[number];
const STAGE1: readonly Stage1[] = ['auto', ...TABLE_FORMATS.riscv.stage1];
const STAGE2: readonly Stage2[] = [
  'auto',
  ...TABLE_FORMATS.riscv.stage2,
  ...TABLE_FORMATS.vtd.stage2,
];

/** What `auto` stands for. */
export const AUTO_FORMATS = {
  riscv: { stage1: 'Sv48', stage2: 'Sv48x4' },
  vtd: { stage1: 'auto', stage2: 'SS4' },
} as const;

const PAGES = ['4KiB', '2MiB', '1GiB'] as const;
type Page = (typeof PAGES)[number];

export const PAGE_SIZES = ['4KiB', '2MiB', '1GiB'] as const;
export type PageSize = (typeof PAGE_SIZES)[number];

export type DomainSpec = {
  readonly policy: Param<MappingPolicyKind>;
  readonly page: Param<Page>;
  readonly guest_memory: Param<number>;
  readonly address_bits: Param<number>;
  readonly translation: Param<(typeof TRANSLATIONS)[number]>;
  readonly stage1: Param<Stage1>;
  readonly stage2: Param<Stage2>;
  readonly stage2_page: Param<Page>;
};

export const domainSpec: DomainSpec = {
  translation: choice(
    'stage1',
    TRANSLATIONS,
    'Stages that requests go through (vtd in legacy mode: stage2 only); user: as programs attach.',
  ),
  stage1: choice('auto', STAGE1, 'Format of the first-stage table; auto = Sv48.'),
  stage2: choice('auto', STAGE2, 'Format of the second-stage table; auto = Sv48x4 or SS4.'),
  stage2_page: choice('4KiB', PAGES, 'Page size with which the host maps a guest (nested).'),
  guest_memory: bytes('64MiB', 'Memory of the guest (nested).', { min: 2 ** 20, max: 2 ** 46 }),
  policy: choice(
    'static',
    MAPPING_POLICIES,
    'What the DMA API does: no mapping, map once, unmap with a flush at once, or flush later.',
  ),
  page: choice('4KiB', PAGES, 'Largest page that map uses where addresses allow it.'),
  address_bits: count(32, 'Width of the input addresses that are handed out.', {
    min: 24,
    max: 57,
  }),
};

export type RiscvSpec = {
  readonly directory_levels: Param<number>;
  readonly directory_format: Param<'base' | 'extended'>;
  readonly hardware_ad: Param<boolean>;
  readonly address_bits: Param<number>;
  readonly interrupts: Param<'msi' | 'wired'>;
  readonly page_request_entries: Param<number>;
  readonly page_request_write: Param<number>;
};

export const riscvSpec: RiscvSpec = {
  directory_levels: count(3, 'Levels of the device directory.', { min: 1, max: 3 }),
  directory_format: choice(
    'extended',
    ['base', 'extended'],
    'Device context format; extended has the MSI page table fields.',
  ),
  hardware_ad: flag(true, 'The unit sets accessed and dirty bits itself (capability AMO_HWAD).'),
  address_bits: count(56, 'Width of a physical address.', { min: 32, max: 56 }),
  interrupts: choice('msi', ['msi', 'wired'], 'How the unit raises interrupts.'),
  page_request_entries: count(512, 'Entries of the page-request queue; a power of two.', {
    min: 2,
    max: 65_536,
  }),
  page_request_write: duration('100ns', 'Until the record of a page request is in memory.'),
};

export const countParam: Param<number> = count(
  1,
  'How many of these; {i} in texts becomes the number.',
  {
    min: 1,
    max: 65_536,
  },
);
export const nameParam: Param<string> = text('', 'Name, as statistics and --set call it.');
