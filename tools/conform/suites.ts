/**
 * Kinds of vector files, told apart by their first line. A kind turns one vector into runs (one
 * per cache configuration); all must agree for the vector to pass.
 */
import { CACHED, type CacheSetting, UNCACHED } from './cache-settings.ts';
import type { Mismatch } from './mismatch.ts';
import { QemuRiscvRun } from './qemu-riscv.ts';
import { RiscvVectorRun } from './riscv-vectors.ts';
import type { Vector } from './vectors.ts';
import { VtdVectorRun, vtdVectorSkip } from './vtd-vectors.ts';

export interface Suite {
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

const riscvReference: Suite = {
  name: 'riscv',
  recognises: (vector) => isRiscv(vector) && 'flush_each' in vector,
  optional: (vector) => {
    return vector.topic === 'quirks' || vector.tags.some((tag) => MODEL_QUIRKS.has(tag));
  },
  run: (vector, setting) => new RiscvVectorRun(vector, setting.create()).run(),
  settings: [UNCACHED, CACHED],
};

const qemuRiscv: Suite = {
  name: 'qemu riscv',
  recognises: (vector) => isRiscv(vector) && Array.isArray(vector.cfg.ram),
  optional: (vector) => vector.tags.includes('differs'),
  run: (vector, setting) => new QemuRiscvRun(vector, setting.create()).run(),
  settings: [UNCACHED, CACHED],
};

const qemuVtd: Suite = {
  name: 'qemu vtd',
  recognises: (vector) => typeof vector.cfg.ecap === 'string',
  // Vectors with peculiarities of that model have ids that end in `q`.
  optional: (vector) => vector.id.endsWith('q'),
  skip: vtdVectorSkip,
  run: (vector, setting) => new VtdVectorRun(vector, setting.create()).run(),
  settings: [UNCACHED, CACHED],
};

/** An architecture whose vectors are known but which has no model. */
function unmodelled(name: string, property: string): Suite {
  return {
    name: `qemu ${name}`,
    recognises: (vector) => property in vector.cfg,
    optional: () => false,
    skip: () => `architecture ${name} is not modelled yet`,
    run: () => null,
    settings: [],
  };
}

export const SUITES: readonly Suite[] = [
  riscvReference,
  qemuRiscv,
  qemuVtd,
  unmodelled('smmuv3', 'idr'),
  unmodelled('amdvi', 'ext_features'),
];
