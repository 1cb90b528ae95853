/**
 * What a page walk must know of the device or process context, as plain integers, so that it
 * travels to a walk shard as a message. Word layout of a WalkContext (Int32Array of 20):
 */

export const WALK_CONTEXT_WORDS = 20;

/** First stage: index into the format registry, 0 = bare. */
export const WC_S1_FORMAT = 0;
export const WC_S1_ROOT_HI = 1;
export const WC_S1_ROOT_LO = 2;
export const WC_S1_FLAGS = 3;
/** Second stage: likewise. */
export const WC_S2_FORMAT = 4;
export const WC_S2_ROOT_HI = 5;
export const WC_S2_ROOT_LO = 6;
export const WC_S2_FLAGS = 7;
/** Address-space tag of the first stage (PSCID, ASID, PASID), -1 where there is none. */
export const WC_TAG1 = 8;
/** Domain tag of the second stage (GSCID, DID, VMID), -1 where there is none. */
export const WC_TAG2 = 9;
/** Architecture's redirect of final addresses (RISC-V MSI page table); 0 = none. */
export const WC_REDIRECT = 10;
/** Words 11..19 belong to the architecture (RISC-V: MSI root, mask, pattern). */
export const WC_ARCH = 11;

/** A fresh bare/bare context. */
export function bareWalkContext(): Int32Array {
  const words = new Int32Array(WALK_CONTEXT_WORDS);
  words[WC_TAG1] = -1;
  words[WC_TAG2] = -1;
  return words;
}
