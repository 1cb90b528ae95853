/** A domain that remembers what it maps, and a table over a test kernel, for tests. */
import { fail } from '../../kernel/errno.ts';
import { type TestKernel, testKernel } from '../../kernel/testbench.ts';
import { Context } from '../context.ts';
import { type PagingDomain, PROT_CACHE, PROT_READ, PROT_WRITE } from '../driver.ts';
import { TestDriver } from '../testbench.ts';
import { IoPageTable } from './io-pagetable.ts';
import { U64_MAX } from './units.ts';

export const RW: number = PROT_CACHE | PROT_READ | PROT_WRITE;
export const READ_ONLY: number = PROT_CACHE | PROT_READ;

const GRANULE = 2048n;

export interface DomainSpec {
  readonly pageSizes?: bigint;
  readonly start?: bigint;
  readonly end?: bigint;
}

export class RecordingDomain implements PagingDomain {
  readonly kind = 'paging';
  readonly driver: TestDriver = new TestDriver();
  readonly pageSizes: bigint;
  readonly apertureStart: bigint;
  readonly apertureEnd: bigint;
  /** Output address of each granule. */
  readonly granules: Map<bigint, bigint> = new Map();
  /** Bytes of each call of `map`, in order. */
  readonly calls: bigint[] = [];
  /** The map call, counted from now, that is refused; 0: none. */
  refuseIn = 0;

  constructor({ pageSizes = 0x1ff800n, start = 0n, end = U64_MAX }: DomainSpec = {}) {
    this.pageSizes = pageSizes;
    this.apertureStart = start;
    this.apertureEnd = end;
  }

  attach(): void {}

  free(): void {}

  map(iova: bigint, physical: bigint, bytes: bigint): void {
    if (this.refuseIn > 0 && --this.refuseIn === 0) fail('ERANGE', 'the test refuses a map');
    for (let at = 0n; at < bytes; at += GRANULE) {
      if (this.granules.has(iova + at)) fail('EADDRINUSE', 'mapped already');
      this.granules.set(iova + at, physical + at);
    }
    this.calls.push(bytes);
  }

  unmap(iova: bigint, bytes: bigint): bigint {
    let removed = 0n;
    for (let at = 0n; at < bytes; at += GRANULE) {
      if (this.granules.delete(iova + at)) removed += GRANULE;
    }
    return removed;
  }

  sync(): void {}

  iovaToPhys(iova: bigint): bigint | null {
    const offset = iova % GRANULE;
    const physical = this.granules.get(iova - offset);
    return physical === undefined ? null : physical + offset;
  }
}

export interface TableBench {
  readonly test: TestKernel;
  readonly context: Context;
  readonly table: IoPageTable;
  /** Maps memory of the process; without an IOVA it is chosen. */
  map(address: bigint, length: bigint, iova?: bigint, prot?: number): bigint;
}

export function tableBench(test: TestKernel = testKernel()): TableBench {
  const context = new Context(test.kernel);
  const table = new IoPageTable(test.kernel);
  return {
    test,
    context,
    table,
    map(address, length, iova, prot = RW) {
      const fixed = iova !== undefined;
      return table.mapUser(context, test.process, iova ?? 0n, fixed, address, length, prot);
    },
  };
}
