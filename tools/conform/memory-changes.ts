/** Doublewords that a step changed, against those it should have changed. */
import { Difference, expectEqual } from './mismatch.ts';
import { hexValue } from './vectors.ts';

/**
 * @param expected list of [address, doubleword] as vectors hold it
 * @param changes what changed; emptied
 * @param tolerate whether another value at an address is legal too
 */
export function compareMemory(
  expected: unknown,
  changes: Map<bigint, bigint>,
  tolerate: (address: bigint, want: bigint, got: bigint) => boolean = () => false,
): void {
  for (const [text, word] of (expected ?? []) as [string, string][]) {
    const address = hexValue(text);
    const want = hexValue(word);
    const got = changes.get(address);
    if (got === undefined || got === want || !tolerate(address, want, got)) {
      expectEqual(`mem[${text}]`, want, got);
    }
    changes.delete(address);
  }
  for (const [address, value] of changes) {
    throw new Difference(`mem[0x${address.toString(16)}]`, 'unchanged', value);
  }
}
