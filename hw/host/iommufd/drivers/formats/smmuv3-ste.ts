/**
 * The stream table entry that a guest wrote, as data of a nested domain on SMMUv3: what of it is
 * let through, and the entry that is installed from it and the parent's stage 2
 * (drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-iommufd.c).
 */
import { fail } from '../../../kernel/errno.ts';
import type { UserData } from '../../driver.ts';
import { IOMMU_HWPT_DATA_ARM_SMMUV3 } from '../../uapi/constants.ts';
import { HWPT_ARM_SMMUV3 } from '../../uapi/data-structs.ts';
import {
  SMMUV3_NESTED_STE0,
  SMMUV3_NESTED_STE1,
  SMMUV3_STE0,
  SMMUV3_STE0_CFG,
  SMMUV3_STE1,
  SMMUV3_STE1_EATS,
} from '../../uapi/driver-constants.ts';
import { copyStruct } from '../../user-data.ts';
import { getField, hex, putField, U64_MAX, wordsOf } from './bits.ts';

/** A guest's entry after its check; EATS is taken out of the words. */
export interface GuestSte {
  readonly word0: bigint;
  readonly word1: bigint;
  /** Config of a valid entry; an invalid one counts as abort. */
  readonly config: number;
  /** The guest will invalidate device TLBs itself. */
  readonly ats: boolean;
}

/** The eight words of an installed entry. */
export type Ste = readonly bigint[];

const STE_WORDS = 8;

export function readGuestSte(data: UserData): GuestSte {
  const { minSize, size } = HWPT_ARM_SMMUV3;
  const bytes = copyStruct(data, IOMMU_HWPT_DATA_ARM_SMMUV3, minSize, size);
  const [word0, word1] = wordsOf(bytes) as [bigint, bigint];
  return checkGuestSte(word0, word1);
}

/** arm_smmu_validate_vste: EIO is kept for bad contents of the entry. */
export function checkGuestSte(word0: bigint, word1: bigint): GuestSte {
  if ((word0 & SMMUV3_STE0.V) === 0n) {
    return { word0: 0n, word1: 0n, config: SMMUV3_STE0_CFG.ABORT, ats: false };
  }
  const over0 = word0 & ~SMMUV3_NESTED_STE0 & U64_MAX;
  const over1 = word1 & ~SMMUV3_NESTED_STE1 & U64_MAX;
  if (over0 !== 0n) fail('EIO', `STE word 0 sets bits that are the host's: ${hex(over0)}`);
  if (over1 !== 0n) fail('EIO', `STE word 1 sets bits that are the host's: ${hex(over1)}`);
  const config = Number(getField(word0, SMMUV3_STE0.CFG));
  if (
    config !== SMMUV3_STE0_CFG.ABORT &&
    config !== SMMUV3_STE0_CFG.BYPASS &&
    config !== SMMUV3_STE0_CFG.S1_TRANS
  ) {
    fail('EIO', `STE Config ${config} is neither abort 0, bypass 4 nor stage 1 5`);
  }
  const eats = Number(getField(word1, SMMUV3_STE1.EATS));
  if (eats !== SMMUV3_STE1_EATS.ABT && eats !== SMMUV3_STE1_EATS.TRANS) {
    fail('EIO', `STE EATS ${eats} is neither 0 nor full ATS 1`);
  }
  const ats = config === SMMUV3_STE0_CFG.S1_TRANS && eats === SMMUV3_STE1_EATS.TRANS;
  return { word0, word1: word1 & ~SMMUV3_STE1.EATS, config, ats };
}

/** Whether the entry needs a virtual stream id: it sends events and takes invalidations. */
export function translates(ste: GuestSte): boolean {
  return ste.config === SMMUV3_STE0_CFG.S1_TRANS;
}

/** An entry that refuses all DMA and records no event. */
export function abortSte(): Ste {
  const words = new Array<bigint>(STE_WORDS).fill(0n);
  words[0] = SMMUV3_STE0.V | putField(SMMUV3_STE0.CFG, BigInt(SMMUV3_STE0_CFG.ABORT));
  return words;
}

/** Stage 2 of a parent domain, as far as an entry tells it. */
export interface Stage2 {
  readonly vmid: number;
  /** Physical address of the root table. */
  readonly table: bigint;
  /** Stage 2 overrides cache attributes (S2FWB). */
  readonly forceWriteback: boolean;
}

const SHCFG_INCOMING = 1n;
const STRW_NSEL1 = 0n;

/** arm_smmu_make_s2_domain_ste, without the walk's parameters of word 2. */
export function stage2Ste(stage2: Stage2, ats: boolean): Ste {
  const words = new Array<bigint>(STE_WORDS).fill(0n);
  words[0] = SMMUV3_STE0.V | putField(SMMUV3_STE0.CFG, BigInt(SMMUV3_STE0_CFG.S2_TRANS));
  words[1] =
    putField(SMMUV3_STE1.EATS, BigInt(ats ? SMMUV3_STE1_EATS.TRANS : SMMUV3_STE1_EATS.ABT)) |
    putField(SMMUV3_STE1.SHCFG, SHCFG_INCOMING) |
    putField(SMMUV3_STE1.STRW, STRW_NSEL1) |
    (stage2.forceWriteback ? SMMUV3_STE1.S2FWB : 0n);
  words[2] = BigInt(stage2.vmid);
  words[3] = stage2.table;
  return words;
}

/** arm_smmu_make_nested_domain_ste. `ats`: on for this attachment. */
export function installedSte(guest: GuestSte, stage2: Stage2, ats: boolean): Ste {
  if (guest.config === SMMUV3_STE0_CFG.ABORT) return abortSte();
  const words = [...stage2Ste(stage2, ats)];
  if (guest.config === SMMUV3_STE0_CFG.BYPASS) return words;
  words[0] =
    SMMUV3_STE0.V |
    putField(SMMUV3_STE0.CFG, BigInt(SMMUV3_STE0_CFG.NESTED)) |
    (guest.word0 & ~SMMUV3_STE0.CFG);
  // Events are merged, so that a guest cannot fill the host's event queue.
  words[1] = (words[1] as bigint) | guest.word1 | SMMUV3_STE1.MEV;
  return words;
}
