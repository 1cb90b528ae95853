/** The schema of a scenario file: the sections, assembled from the parameter declarations. */
import { z } from 'zod';
import { nicSpec } from '../../hw/dma/nic-spec.ts';
import { patternSpec } from '../../hw/dma/spec.ts';
import { syscallSpec } from '../../hw/host/programs/costs.ts';
import { hostSpec } from '../../hw/host/spec.ts';
import { memorySpec } from '../../hw/memory/spec.ts';
import { linkSpec } from '../../hw/pcie/spec.ts';
import type { Spec } from '../../sim/spec.ts';
import { didYouMean } from '../nearest.ts';
import { expectType } from './expectation.ts';
import { iommuType } from './iommu.ts';
import { iommufdType } from './iommufd.ts';
import { listOf, optionalSection, paramType, requiredType, section, specShape } from './param.ts';
import { programsType } from './programs.ts';
import { describe } from './quantity.ts';
import {
  countParam,
  deviceSpec,
  domainSpec,
  nameParam,
  recordedSpec,
  recordingSpec,
  runSpec,
  scenarioSpec,
} from './specs.ts';

/** Kinds of DMA masters with their parameters. */
export const MASTERS: Readonly<Record<string, { readonly spec: Spec; readonly doc: string }>> = {
  pattern: { spec: patternSpec, doc: 'Generates addresses by a pattern.' },
  nic: { spec: nicSpec, doc: 'A network card with descriptor rings, and its driver.' },
  recorded: { spec: recordedSpec, doc: 'Issues the DMAs of a device in the recording.' },
};

const KINDS = Object.keys(MASTERS);

function masterKind(kind: string): z.ZodObject {
  const { spec, doc } = MASTERS[kind];
  return section({ kind: z.literal(kind), ...specShape(spec) }, doc);
}

type Masters = [z.ZodObject, ...z.ZodObject[]];

const masterType = z
  .discriminatedUnion('kind', KINDS.map(masterKind) as Masters, {
    error: ({ input }) => {
      const kind = (input as { kind?: unknown } | null | undefined)?.kind;
      const hint = typeof kind === 'string' ? didYouMean(kind, KINDS) : '';
      return `expected a mapping with kind: one of ${KINDS.join(', ')}; got ${describe(kind)}${hint}`;
    },
  })
  .meta({ description: 'What issues the DMAs of the device.' });

const domainType = section(
  { name: requiredType(nameParam), count: paramType(countParam), ...specShape(domainSpec) },
  'An address space of devices: a guest, or a kernel driver.',
);

const deviceType = section(
  {
    name: requiredType(nameParam),
    count: paramType(countParam),
    domain: requiredType({ ...nameParam, doc: 'Name of the domain that the device belongs to.' }),
    ...specShape(deviceSpec),
    link: optionalSection(specShape(linkSpec), 'The PCIe link of the device.'),
    master: masterType,
  },
  'A device that issues DMAs.',
);

export const scenarioType: z.ZodType = section(
  {
    ...specShape(scenarioSpec),
    run: optionalSection(specShape(runSpec), 'When the run ends; whichever comes first.'),
    memory: optionalSection(specShape(memorySpec), 'Memory, last-level cache and DRAM.'),
    iommu: iommuType,
    host: optionalSection(specShape(hostSpec), 'Cores and what software costs on them.'),
    recording: optionalSection(specShape(recordingSpec), 'A recording of a real kernel, to play.'),
    syscalls: optionalSection(specShape(syscallSpec), 'What system calls of programs cost.'),
    iommufd: iommufdType,
    domains: listOf(domainType, 'Address spaces.').default([]),
    devices: listOf(deviceType, 'Devices.').default([]),
    programs: programsType,
    expect: expectType,
  },
  'A scenario: hardware, software and traffic.',
);
