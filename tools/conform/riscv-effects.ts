/** Effects of a step beside answers and fault records, compared with what a vector expects. */
import type { DeviceMessage } from '../../hw/iommu/architecture.ts';
import { Difference, expectEqual } from './mismatch.ts';
import type { QueueRecord } from './riscv-records.ts';
import { hexValue } from './vectors.ts';

type Values = Readonly<Record<string, unknown>>;

/** Pages of the range that a `tr_response` value covers. */
function responsePages(value: bigint): bigint {
  if (((value >> 9n) & 1n) === 0n) return 1n;
  let pages = 2n;
  for (let ppn = value >> 10n; (ppn & 1n) === 1n; ppn >>= 1n) pages *= 2n;
  return pages;
}

/** `tr_response` where the specification leaves the size open: only the address counts. */
export function compareDebugResponse(expected: bigint, got: bigint): void {
  const open = (responsePages(expected) - 1n) | (responsePages(got) - 1n);
  const page = (value: bigint): bigint => (value >> 10n) & ((1n << 44n) - 1n) & ~open;
  expectEqual('val.ppn', page(expected), page(got));
  expectEqual('val.fault', expected & 1n, got & 1n);
  expectEqual('val.pbmt', (expected >> 7n) & 3n, (got >> 7n) & 3n);
}

export function compareMessages(expected: unknown, messages: readonly DeviceMessage[]): void {
  const wanted = (expected ?? []) as Values[];
  expectEqual('msgs.length', wanted.length, messages.length);
  wanted.forEach((want, index) => {
    const got = messages[index];
    const { rid, segment } = got.arch as { rid: number; segment: number };
    const at = `msgs[${index}]`;
    expectEqual(`${at}.code`, want.code, got.kind === 'ats-invalidate' ? 1 : 5);
    expectEqual(`${at}.tag`, want.tag, got.tag);
    expectEqual(`${at}.rid`, want.rid, rid);
    expectEqual(`${at}.pv`, want.pv, got.pasid >= 0 ? 1 : 0);
    if (want.pv) expectEqual(`${at}.pid`, want.pid, got.pasid);
    expectEqual(`${at}.dsv`, want.dsv, segment >= 0 ? 1 : 0);
    if (want.dsv) expectEqual(`${at}.dseg`, want.dseg, segment);
    expectEqual(`${at}.payload`, hexValue(want.payload as string), got.payload);
  });
}

/** Global observability that IOFENCE.C asked for. */
export function compareDrains(
  expected: unknown,
  drains: readonly { readonly reads: boolean; readonly writes: boolean }[],
): void {
  const want = expected as { pr: number; pw: number } | undefined;
  expectEqual('go', want !== undefined, drains.length > 0);
  if (want === undefined) return;
  const last = drains[drains.length - 1];
  expectEqual('go.pr', want.pr, last.reads ? 1 : 0);
  expectEqual('go.pw', want.pw, last.writes ? 1 : 0);
}

export function comparePageRequests(expected: unknown, got: readonly QueueRecord[]): void {
  const wanted = (expected ?? []) as { pa: string; w: string[] }[];
  expectEqual('pq.length', wanted.length, got.length);
  wanted.forEach((want, index) => {
    const record = got[index];
    expectEqual(`pq[${index}].pa`, hexValue(want.pa), record.address);
    const names = ['w[0]', 'w[1]'];
    names.forEach((name, word) => {
      const [w, g] = [hexValue(want.w[word]), record.words[word]];
      if (w !== g) throw new Difference(`pq[${index}].${name}`, w, g);
    });
  });
}
