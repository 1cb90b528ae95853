/** Requester ids of devices: what identifies them to the unit. */
import type { ResolvedIommu } from './iommu.ts';

/** Bus 1 on, 8 devices of 8 functions each. */
const FIRST = 0x100;
const REQUESTER_BITS = 16;
/** Id bits of the last directory level, by format, and of each level above. */
const LEAF_BITS = { extended: 6, base: 7 } as const;
const LEVEL_BITS = 9;

/** Id of the first device; those of bus 0 where the directory has a single level. */
export function firstRequester({ arch, riscv }: Pick<ResolvedIommu, 'arch' | 'riscv'>): number {
  return arch === 'riscv' && riscv.directory_levels === 1 ? 0 : FIRST;
}

/** Ids below this one can be told apart. */
export function requesterLimit({ arch, riscv }: Pick<ResolvedIommu, 'arch' | 'riscv'>): number {
  if (arch !== 'riscv') return 2 ** REQUESTER_BITS;
  const bits = LEAF_BITS[riscv.directory_format] + LEVEL_BITS * (riscv.directory_levels - 1);
  return 2 ** Math.min(bits, REQUESTER_BITS);
}
