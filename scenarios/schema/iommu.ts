/** The `iommu:` section: the parameters of hw/iommu, arranged as a person looks for them. */
import type { z } from 'zod';
import {
  commandsSpec,
  contextCacheSpec,
  frontEndSpec,
  iotlbSpec,
  nestedTlbSpec,
  type ReplacementPolicy,
  walkCacheSpec,
  walkersSpec,
} from '../../hw/iommu/spec.ts';
import { vtdSpec } from '../../hw/iommu/vtd/spec.ts';
import { choice, flag, type Values } from '../../sim/spec.ts';
import {
  optionalSection,
  paramType,
  partialShape,
  type Shape,
  section,
  specShape,
} from './param.ts';
import { riscvSpec } from './specs.ts';

/** Table levels above the last: the ones a walk cache can hold. */
export const WALK_CACHE_LEVELS = ['l1', 'l2', 'l3', 'l4'] as const;
export type WalkCacheLevel = (typeof WALK_CACHE_LEVELS)[number];

export interface CacheGeometry {
  readonly sets: number;
  readonly ways: number;
  readonly policy: ReplacementPolicy;
}
export type StageCaches = Readonly<Record<WalkCacheLevel, CacheGeometry>>;

export interface ResolvedIommu {
  /** False: devices reach memory directly, untranslated. */
  readonly enabled: boolean;
  readonly arch: 'riscv' | 'vtd';
  readonly front_end: Values<typeof frontEndSpec>;
  readonly caches: {
    readonly iotlb: CacheGeometry & Values<typeof iotlbSpec>;
    readonly context: CacheGeometry;
    readonly nested: CacheGeometry;
    /** Walk caches of each shard: what is read from a table at that level. */
    readonly walk: { readonly stage1: StageCaches; readonly stage2: StageCaches };
  };
  readonly walkers: Values<typeof walkersSpec>;
  readonly commands: Values<typeof commandsSpec>;
  readonly riscv: Values<typeof riscvSpec>;
  readonly vtd: Values<typeof vtdSpec>;
}

const enabledParam = flag(true, 'False: devices reach memory directly, without translation.');
const archParam = choice('riscv', ['riscv', 'vtd'], 'Architecture of the unit.');

type Partial = Readonly<Record<string, unknown>>;

/** Walk caches: `all` first, then what a stage's level says for itself. */
function walkCaches(): z.ZodType {
  const levels = (what: string): z.ZodType => {
    const shape: Shape = {};
    for (const level of WALK_CACHE_LEVELS) {
      const doc = `Walk cache of ${what} for entries read at level ${level.slice(1)}.`;
      shape[level] = optionalSection(partialShape(walkCacheSpec), doc);
    }
    return optionalSection(shape, `Walk caches of ${what}, by level.`);
  };
  const written = section(
    {
      all: optionalSection(specShape(walkCacheSpec), 'What every walk cache is, unless it says.'),
      stage1: levels('the first stage'),
      stage2: levels('the second stage'),
    },
    'Walk caches of each shard, by stage and level.',
  );
  return written
    .transform((value) => {
      const { all, stage1, stage2 } = value as Record<string, Partial>;
      const filled = (stage: Partial): unknown =>
        Object.fromEntries(
          WALK_CACHE_LEVELS.map((level) => [level, { ...all, ...(stage[level] as Partial) }]),
        );
      return { stage1: filled(stage1), stage2: filled(stage2) };
    })
    .prefault({});
}

export const iommuType: z.ZodType = optionalSection(
  {
    enabled: paramType(enabledParam),
    arch: paramType(archParam),
    front_end: optionalSection(specShape(frontEndSpec), 'Requests waiting and their order.'),
    caches: optionalSection(
      {
        iotlb: optionalSection(specShape(iotlbSpec), 'The IOTLB.'),
        context: optionalSection(specShape(contextCacheSpec), 'The context cache.'),
        nested: optionalSection(specShape(nestedTlbSpec), 'Guest page to system page, per shard.'),
        walk: walkCaches(),
      },
      'What the unit remembers.',
    ),
    walkers: optionalSection(specShape(walkersSpec), 'The page-walk units.'),
    commands: optionalSection(specShape(commandsSpec), 'The command queue.'),
    riscv: optionalSection(specShape(riscvSpec), 'What only a RISC-V unit has.'),
    vtd: optionalSection(specShape(vtdSpec), 'What only a VT-d unit has.'),
  },
  'The IOMMU.',
);
