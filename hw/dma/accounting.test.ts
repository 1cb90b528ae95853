import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InternalError } from '../../sim/errors.ts';
import { SILENT_PROBE } from '../../sim/probe.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import { Transactions, TXN_FAULT, WAIT_MEMORY, WAIT_WALK } from '../pcie/transactions.ts';
import { DmaAccounting, packDmaFlags, unpackDmaFlags } from './accounting.ts';
import { TestBench } from './testbench.ts';

interface Dma {
  readonly device: number;
  readonly access: number;
  readonly bytes: number;
  readonly status: number;
  readonly outcome: number;
  readonly walk: number;
  readonly memory: number;
}

const READ: Dma = {
  device: 0,
  access: ACCESS_READ,
  bytes: 64,
  status: 0,
  outcome: 1,
  walk: 0,
  memory: 100,
};

/** Books a DMA that is issued at cycle 1000. */
function book(books: DmaAccounting, txns: Transactions, dma: Dma): void {
  const txn = txns.allocate(1000);
  txns.device[txn] = dma.device;
  txns.access[txn] = dma.access;
  txns.bytes[txn] = dma.bytes;
  txns.status[txn] = dma.status;
  txns.outcome[txn] = dma.outcome;
  txns.mark(txn, WAIT_WALK, 1000 + dma.walk);
  const end = 1000 + dma.walk + dma.memory;
  txns.mark(txn, WAIT_MEMORY, end);
  books.complete(txn, end);
  txns.release(txn);
}

function books(): { txns: Transactions; accounting: DmaAccounting } {
  const txns = new Transactions(4);
  return { txns, accounting: new DmaAccounting(txns, 3, SILENT_PROBE) };
}

test('each device has its own figures, and the total is their sum', () => {
  const { txns, accounting } = books();
  book(accounting, txns, READ);
  book(accounting, txns, {
    ...READ,
    device: 2,
    access: ACCESS_WRITE,
    bytes: 10,
    outcome: 2,
    walk: 5,
  });
  const second = accounting.device(2);
  assert.equal([second.reads, second.writes, second.bytesRead, second.bytesWritten], [0, 1, 0, 10]);
  assert.equal(second.outcomes, { none: 0, hit: 0, miss: 1, merged: 0 });
  assert.equal([second.waits.walk, second.waits.memory], [5, 100]);
  assert.is(accounting.device(1).latency.count, 0);
  const total = accounting.total();
  assert.equal([total.reads, total.writes, total.bytesRead, total.bytesWritten], [1, 1, 64, 10]);
  assert.equal([total.latency.count, total.latency.sum, total.latency.max], [2, 205, 105]);
  assert.is(accounting.finished, 2);
});

test('an aborted DMA counts as fault and moves no bytes', () => {
  const { txns, accounting } = books();
  book(accounting, txns, { ...READ, status: TXN_FAULT });
  const { reads, faults, bytesRead } = accounting.device(0);
  assert.equal([reads, faults, bytesRead], [1, 1, 0]);
});

test('a DMA whose waits do not tile its life is an error', () => {
  const { txns, accounting } = books();
  const txn = txns.allocate(0);
  txns.mark(txn, WAIT_MEMORY, 99);
  assert.throws(
    () => accounting.complete(txn, 100),
    (e: unknown) => e instanceof InternalError && /took 100 cycles, of which 99/.test(e.message),
  );
});

test('a record says all that is needed to issue the DMA again', () => {
  const bench = new TestBench(0);
  const { txns, accounting, records } = bench;
  const txn = txns.allocate(10);
  txns.device[txn] = 3;
  txns.access[txn] = ACCESS_WRITE;
  txns.pasid[txn] = 0xfffff;
  txns.outcome[txn] = 3;
  txns.hi[txn] = 0x1ffffff;
  txns.lo[txn] = 0x7ffffff;
  txns.offset[txn] = 0;
  txns.bytes[txn] = 4096;
  txns.mark(txn, WAIT_MEMORY, 50);
  accounting.complete(txn, 50);
  const flags = packDmaFlags(ACCESS_WRITE, 0, 3, 0xfffff);
  assert.equal(records, [[50, 3, flags, 0x1ffffff, 0x7ffffff, 4096 << 12, 40]]);
});

test('flags hold access, status, outcome and PASID', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 31 }),
      fc.nat({ max: 1 }),
      fc.nat({ max: 3 }),
      fc.integer({ min: -1, max: 0xfffff }),
      (access, status, outcome, pasid) => {
        const flags = packDmaFlags(access, status, outcome, pasid);
        assert.ok(flags >= 0);
        assert.equal(unpackDmaFlags(flags), { access, status, outcome, pasid });
      },
    ),
  );
});

test.run();
