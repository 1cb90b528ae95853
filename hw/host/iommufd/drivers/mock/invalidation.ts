/** What one invalidation entry does to the pretended caches of the mock: four words each. */
import { fail } from '../../../kernel/errno.ts';
import { IOMMU_TEST_INVALIDATE_FLAG_ALL } from '../../uapi/test-constants.ts';

/** The checks of an entry, in their order; the index counts even where all words are meant. */
export function checkInvalidation(words: number, flags: number, index: number): void {
  if ((flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL) !== 0) {
    fail('EOPNOTSUPP', `invalidation flags 0x${flags.toString(16)}: only bit 0 (all) is known`);
  }
  if (index >= words) fail('EINVAL', `invalidation of word ${index}: there are ${words}`);
}

/** Carries out an entry that was checked. */
export function clearWords(words: Uint32Array, flags: number, index: number): void {
  if (flags & IOMMU_TEST_INVALIDATE_FLAG_ALL) words.fill(0);
  else words[index] = 0;
}
