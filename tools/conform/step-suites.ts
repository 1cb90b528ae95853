/**
 * Suites of vectors that set a unit up and step through it. Each vector runs once per cache
 * setting; all runs must agree for it to pass.
 */
import { CACHED, type CacheSetting, UNCACHED } from './cache-settings.ts';
import { describe, type Mismatch } from './mismatch.ts';
import { QemuRiscvRun } from './qemu-riscv.ts';
import { RiscvVectorRun } from './riscv-vectors.ts';
import { PASSED, type Suite, type Verdict } from './suite.ts';
import type { Vector } from './vectors.ts';
import { VtdVectorRun, vtdVectorSkip } from './vtd-vectors.ts';

interface StepSuite {
  readonly name: string;
  /** Whether a file whose first vector is this belongs to the suite. */
  recognises(vector: Vector): boolean;
  /** Vectors that need not agree (known peculiarities of the model that answered them). */
  optional(vector: Vector): boolean;
  /** Why a vector cannot be run (architecture or mode not modelled yet), or `null`. */
  skip?(vector: Vector): string | null;
  /** The first difference under a cache setting, or `null`. */
  run(vector: Vector, setting: CacheSetting): Mismatch | null;
  readonly settings: readonly CacheSetting[];
}

const isRiscv = (vector: Vector): boolean => typeof vector.cfg.caps === 'string';

/** Tags of scenarios in which the reference model itself departs from the specification. */
const MODEL_QUIRKS: ReadonlySet<string> = new Set([
  'gstage_d_on_implicit',
  'devid_width_8bit_truncation',
  'msi_gpa_above_mgpaw',
  'msipte_custom_bit',
  'ats_dirty_handling',
]);

const riscvReference: StepSuite = {
  name: 'riscv',
  recognises: (vector) => isRiscv(vector) && 'flush_each' in vector,
  optional: (vector) => {
    return vector.topic === 'quirks' || vector.tags.some((tag) => MODEL_QUIRKS.has(tag));
  },
  run: (vector, setting) => new RiscvVectorRun(vector, setting.create()).run(),
  settings: [UNCACHED, CACHED],
};

const qemuRiscv: StepSuite = {
  name: 'qemu riscv',
  recognises: (vector) => isRiscv(vector) && Array.isArray(vector.cfg.ram),
  optional: (vector) => vector.tags.includes('differs'),
  run: (vector, setting) => new QemuRiscvRun(vector, setting.create()).run(),
  settings: [UNCACHED, CACHED],
};

const qemuVtd: StepSuite = {
  name: 'qemu vtd',
  recognises: (vector) => typeof vector.cfg.ecap === 'string',
  // Vectors with peculiarities of that model have ids that end in `q`.
  optional: (vector) => vector.id.endsWith('q'),
  skip: vtdVectorSkip,
  run: (vector, setting) => new VtdVectorRun(vector, setting.create()).run(),
  settings: [UNCACHED, CACHED],
};

/** An architecture whose vectors are known but which has no model. */
function unmodelled(name: string, property: string): StepSuite {
  return {
    name: `qemu ${name}`,
    recognises: (vector) => property in vector.cfg,
    optional: () => false,
    skip: () => `architecture ${name} is not modelled yet`,
    run: () => null,
    settings: [],
  };
}

export const STEP_SUITES: readonly Suite[] = [
  riscvReference,
  qemuRiscv,
  qemuVtd,
  unmodelled('smmuv3', 'idr'),
  unmodelled('amdvi', 'ext_features'),
].map(suiteOf);

function suiteOf(steps: StepSuite): Suite {
  return {
    name: steps.name,
    recognises: (line) => {
      const vector = line as Vector;
      if (typeof vector?.cfg !== 'object' || !Array.isArray(vector.steps)) return false;
      return steps.recognises(vector);
    },
    open: () => ({ judge: (line) => judge(steps, line as Vector) }),
  };
}

function judge(steps: StepSuite, vector: Vector): Verdict {
  const reason = steps.skip?.(vector) ?? null;
  if (reason !== null) return { kind: 'skipped', reason };
  const text = firstDifference(steps, vector);
  if (steps.optional(vector)) return { kind: 'optional', agrees: text === null };
  return text === null ? PASSED : { kind: 'failed', text };
}

/** Description of the first difference under any cache setting, or `null`. */
function firstDifference(steps: StepSuite, vector: Vector): string | null {
  for (const setting of steps.settings) {
    const mismatch = steps.run(vector, setting);
    if (mismatch === null) continue;
    return `${describe(vector.topic, vector.id, mismatch)} (${setting.name})`;
  }
  return null;
}
