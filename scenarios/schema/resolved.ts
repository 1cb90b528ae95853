/**
 * A resolved scenario: every parameter present, quantities as integers in canonical units
 * (picoseconds, bits per second, bytes, hertz), replicas written out. Plain data: it stands in the
 * header of a trace and is enough to run the scenario again.
 */
import type { NicSpec } from '../../hw/dma/nic-spec.ts';
import type { PatternSpec } from '../../hw/dma/spec.ts';
import type { SyscallSpec } from '../../hw/host/programs/costs.ts';
import type { ProgramSpec } from '../../hw/host/programs/step.ts';
import type { HostSpec } from '../../hw/host/spec.ts';
import type { MemorySpec } from '../../hw/memory/spec.ts';
import type { LinkSpec } from '../../hw/pcie/spec.ts';
import type { Values } from '../../sim/spec.ts';
import type { Expectation } from '../expect.ts';
import type { ResolvedIommu } from './iommu.ts';
import type { ResolvedIommufd } from './iommufd.ts';
import type {
  DeviceSpec,
  DomainSpec,
  RecordedSpec,
  RecordingSpec,
  RunSpec,
  ScenarioSpec,
} from './specs.ts';

export type ResolvedMaster =
  | ({ readonly kind: 'pattern' } & Values<PatternSpec>)
  | ({ readonly kind: 'nic' } & Values<NicSpec>)
  | ({ readonly kind: 'recorded' } & Values<RecordedSpec>);

export interface ResolvedDevice extends Values<DeviceSpec> {
  readonly name: string;
  /** Name of its domain. */
  readonly domain: string;
  readonly link: Values<LinkSpec>;
  readonly master: ResolvedMaster;
}

export type ResolvedDomain = Values<DomainSpec> & { readonly name: string };

export interface ResolvedScenario extends Values<ScenarioSpec> {
  readonly run: Values<RunSpec>;
  readonly memory: Values<MemorySpec>;
  readonly iommu: ResolvedIommu;
  readonly host: Values<HostSpec>;
  readonly recording: Values<RecordingSpec>;
  readonly syscalls: Values<SyscallSpec>;
  readonly iommufd: ResolvedIommufd;
  readonly domains: readonly ResolvedDomain[];
  readonly devices: readonly ResolvedDevice[];
  readonly programs: readonly ProgramSpec[];
  readonly expect: readonly Expectation[];
}

/** A validated scenario before `count` is written out. */
export type WrittenScenario = Omit<ResolvedScenario, 'domains' | 'devices'> & {
  readonly domains: readonly (ResolvedDomain & { readonly count: number })[];
  readonly devices: readonly (ResolvedDevice & { readonly count: number })[];
};
