/** Random programs on /dev/iommu (the long form: `iommusim fuzz-ioctl`). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fuzz } from '../fuzz/fuzzer.ts';

const CALLS = 20_000;

test('20,000 random calls: no crash, a sound object graph after each, nothing left', () => {
  const { calls, counts } = fuzz({ seed: 1, calls: CALLS });
  assert.is(calls, CALLS);
  const never = [...counts].filter(([, { done }]) => done === 0).map(([name]) => name);
  // Without an IOMMU only, and there is none of those here.
  assert.equal(never, ['IOAS_NOIOMMU_GET_PA']);
});

test('the same seed makes the same calls with the same answers', () => {
  const run = () => [...fuzz({ seed: 7, calls: 2000 }).counts];
  assert.equal(run(), run());
});

test.run();
