/**
 * Conformance of a capture folder: every line of expected.jsonl must translate or fault as it says,
 * every mapping that was live must be found by walking, with its page sizes, and so must every
 * leaf of the page tables.
 */
import { addressOf, hex, pageOffsetOf, pnHiOf, pnLoOf } from '../../hw/address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../hw/iommu/access.ts';
import { REQUEST_UNTRANSLATED } from '../../hw/iommu/architecture.ts';
import {
  type FunctionalCaches,
  NO_CACHES,
  OUTCOME_FAULT,
  type Outcome,
} from '../../hw/iommu/functional.ts';
import { identifyCapture } from '../../traces/captures/capture.ts';
import {
  type ExpectedTranslation,
  type LiveMap,
  readExpected,
  readLeaves,
  readLiveMaps,
} from '../../traces/captures/image.ts';
import { type CaptureUnit, captureSkip, captureUnit } from './capture-units.ts';
import { Difference, expectEqual } from './mismatch.ts';

export interface CaptureTotals {
  readonly passed: number;
  readonly failed: number;
  /** Why nothing was checked, or `null`. */
  readonly skipped: string | null;
}

/** Checks a capture folder; `print` gets one line per kind of check and one per failure. */
export function conformCapture(
  folder: string,
  print: (line: string) => void,
  caches: FunctionalCaches = NO_CACHES,
): CaptureTotals {
  const capture = identifyCapture(folder);
  const skipped = captureSkip(capture);
  if (skipped !== null) return { passed: 0, failed: 0, skipped };
  const check = new CaptureCheck(captureUnit(capture, caches), print);
  const expected = readExpected(folder);
  const faults = expected.filter(({ pa }) => pa === null).length;
  check.all(`${expected.length - faults} translations, ${faults} faults`, expected, (row) => {
    check.expected(row);
  });
  const maps = readLiveMaps(folder);
  check.all(`${maps.length} live maps`, maps, (map) => check.liveMap(map));
  check.leaves(folder);
  return { passed: check.passed, failed: check.failed, skipped: null };
}

class CaptureCheck {
  passed = 0;
  failed = 0;
  readonly #of: CaptureUnit;
  readonly #print: (line: string) => void;

  constructor(of: CaptureUnit, print: (line: string) => void) {
    this.#of = of;
    this.#print = print;
  }

  /** Runs a check on each row; a row that differs is one failure. */
  all<Row extends { readonly line: number }>(
    what: string,
    rows: readonly Row[],
    check: (row: Row) => void,
  ): void {
    const before = this.failed;
    for (const row of rows) {
      this.#one(`line ${row.line}`, () => check(row));
    }
    this.#print(`${what}: ${this.failed - before} differ`);
  }

  expected(row: ExpectedTranslation): void {
    if (row.pa === null) {
      this.#expectedFault(row);
      return;
    }
    // What the recording does not tell about the access, the leaf's permissions tell.
    const reads = row.access === 'r' || (row.access === null && row.leafRead !== false);
    const writes = row.access === 'w' || (row.access === null && row.leafWrite !== false);
    if (reads) this.#expectedOutput(row, false);
    if (writes) this.#expectedOutput(row, true);
    this.#refused(row, row.leafRead, false);
    this.#refused(row, row.leafWrite, true);
  }

  liveMap(map: LiveMap): void {
    const sizes = new Map<number, number>();
    const end = map.iova + BigInt(map.bytes);
    for (let iova = map.iova; iova < end; ) {
      const write = !map.read && map.write;
      const outcome = this.#translate(map.sid, -1, iova, write);
      expectEqual(`pa at ${hex(iova)}`, map.pa + (iova - map.iova), output(outcome, iova));
      const size = pageSize(outcome);
      if (map.read && map.write) {
        expectEqual(`write at ${hex(iova)}`, true, this.#permits(map.sid, iova, true));
      }
      sizes.set(size, (sizes.get(size) ?? 0) + 1);
      iova = (iova & ~(BigInt(size) - 1n)) + BigInt(size);
    }
    for (const [size, count] of map.pageSizes) {
      expectEqual(`leaves of ${size} bytes`, count, sizes.get(size) ?? 0);
    }
    expectEqual('leaf sizes', map.pageSizes.size, sizes.size);
  }

  /** Every leaf in the tables is found at its place with its size: one check in all. */
  leaves(folder: string): void {
    let count = 0;
    let wrong = 0;
    readLeaves(folder, ({ sid, iova, bytes }) => {
      count++;
      let outcome = this.#translate(sid, -1, iova, false);
      if (outcome.kind === OUTCOME_FAULT) outcome = this.#translate(sid, -1, iova, true);
      if (outcome.kind !== OUTCOME_FAULT && pageSize(outcome) === bytes) return;
      if (wrong++ < 10) this.#print(`leaf of ${bytes} bytes at ${hex(iova)} not found`);
    });
    if (count === 0) return;
    if (wrong === 0) this.passed++;
    else this.failed++;
    this.#print(`${count} leaves: ${wrong} differ`);
  }

  #expectedFault(row: ExpectedTranslation): void {
    const outcome = this.#translate(row.sid, row.pasid, row.iova, row.access === 'w');
    expectEqual('status', 'fault', outcome.kind === OUTCOME_FAULT ? 'fault' : 'ok');
    if (row.reasonNow && row.fault >= 0) {
      expectEqual('fault', row.fault, outcome.code & this.#of.reasonMask);
    }
  }

  #expectedOutput(row: ExpectedTranslation, write: boolean): void {
    const outcome = this.#translate(row.sid, row.pasid, row.iova, write);
    expectEqual(write ? 'pa (write)' : 'pa (read)', row.pa, output(outcome, row.iova));
    if (row.pageSize !== 0) expectEqual('page_size', row.pageSize, pageSize(outcome));
    if (row.domain >= 0) {
      expectEqual('domain', row.domain, domainOf(outcome));
    }
  }

  /** An access that the leaf does not permit must fault. */
  #refused(row: ExpectedTranslation, permitted: boolean | null, write: boolean): void {
    if (permitted !== false) return;
    const name = write ? 'leaf_w' : 'leaf_r';
    expectEqual(name, false, this.#permits(row.sid, row.iova, write, row.pasid));
  }

  #permits(sid: number, iova: bigint, write: boolean, pasid = -1): boolean {
    return this.#translate(sid, pasid, iova, write).kind !== OUTCOME_FAULT;
  }

  #translate(deviceId: number, pasid: number, iova: bigint, write: boolean): Outcome {
    return this.#of.iommu.translate({
      deviceId,
      pasid,
      kind: REQUEST_UNTRANSLATED,
      access: write ? ACCESS_WRITE : ACCESS_READ,
      hi: pnHiOf(iova),
      lo: pnLoOf(iova),
      offset: pageOffsetOf(iova),
    });
  }

  #one(where: string, check: () => void): void {
    try {
      check();
      this.passed++;
    } catch (error) {
      if (!(error instanceof Difference)) throw error;
      this.failed++;
      this.#print(`${where}: ${error.message}`);
    }
  }
}

function output(outcome: Outcome, iova: bigint): bigint | string {
  if (outcome.kind === OUTCOME_FAULT) return `fault ${outcome.code}`;
  return addressOf(outcome.outHi, outcome.outLo, pageOffsetOf(iova));
}

/** The tag of the first stage where there is one, else that of the second. */
function domainOf({ context }: Outcome): number {
  if (context === null) return -1;
  return context.tag1 >= 0 ? context.tag1 : context.tag2;
}

function pageSize(outcome: Outcome): number {
  return outcome.kind === OUTCOME_FAULT ? 0 : 4096 * 2 ** outcome.order;
}
