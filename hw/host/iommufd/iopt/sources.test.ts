import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DmaBufFile } from '../../kernel/dma-buf.ts';
import { Errno } from '../../kernel/errno.ts';
import { NullFile } from '../../kernel/files.ts';
import { testKernel } from '../../kernel/testbench.ts';
import { changeProcess } from './change-process.ts';
import { RecordingDomain, RW, tableBench } from './testbench.ts';

const P = 4096n;
const NO_CAPABILITIES = { ipcLock: false, sysResource: false, sysRawio: false };

function refused(code: string, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Errno, String(error));
    assert.is((error as Errno).code, code, (error as Errno).rule);
    return;
  }
  assert.unreachable(`${code} expected`);
}

test('a file is pinned when a domain needs it, and what is no memory only then is refused', () => {
  const { table, context, test: kernel } = tableBench();
  const { calls, process } = kernel;
  const fd = calls.memfdCreate().value;
  calls.ftruncate(fd, 4 * 4096);
  const file = process.file(fd);
  assert.ok(file);
  const refs = file.refs;
  table.mapFile(context, process, 0n, true, file, P, 3n * P, RW);
  table.mapFile(context, process, 0x10_0000n, true, file, 0n, 5n * P, RW);
  assert.is(file.refs, refs + 2);
  const domain = new RecordingDomain();
  refused('EINVAL', () => table.addDomain(domain));
  assert.is(kernel.kernel.pins.total, 0);
  table.unmap(0x10_0000n, 5n * P);
  table.addDomain(domain);
  assert.is(kernel.kernel.pins.total, 3);
  const none = new NullFile();
  refused('EINVAL', () => table.mapFile(context, process, 0x20_0000n, true, none, 0n, P, RW));
  table.unmapAll();
  assert.is(file.refs, refs);
  assert.is(kernel.kernel.pins.total, 0);
});

test('a dma-buf that is taken back leaves every domain, and does not come back by itself', () => {
  const { table, context, test: kernel } = tableBench();
  const { process } = kernel;
  const { memory, pins } = kernel.kernel;
  const buffer = new DmaBufFile(kernel.kernel.pages, 8);
  const domain = new RecordingDomain();
  table.addDomain(domain);
  const before = memory.allocations;
  refused('EINVAL', () => table.mapFile(context, process, 0n, true, buffer, 0n, 9n * P, RW));
  table.mapFile(context, process, 0n, true, buffer, 2n * P, 6n * P, RW);
  assert.equal(domain.calls, [6n * P]);
  assert.is(domain.iovaToPhys(P), BigInt(buffer.frames[3]) * P);
  assert.is(pins.total, 0);
  refused('EOPNOTSUPP', () => table.cut([P - 1n]));
  buffer.setRevoked(true);
  assert.is(domain.granules.size, 0);
  const late = new RecordingDomain();
  table.addDomain(late);
  assert.is(late.granules.size, 0);
  refused('ENODEV', () => table.mapFile(context, process, 0x10_0000n, true, buffer, 0n, P, RW));
  buffer.setRevoked(false);
  table.mapFile(context, process, 0x10_0000n, true, buffer, 0n, P, RW);
  assert.is(domain.granules.size, 2);
  table.removeDomain(late);
  table.unmapAll();
  assert.is(domain.granules.size, 0);
  assert.is(buffer.refs, 1);
  assert.is(memory.allocations, before);
});

test('pinned pages change over to another process, or nothing changes', () => {
  const kernel = testKernel({ capabilities: NO_CAPABILITIES, memlockPages: 100, uid: 1 });
  const { table, context, map } = tableBench(kernel);
  const { calls, process } = kernel;
  const other = (memlockPages: number) =>
    kernel.kernel.createProcess({ capabilities: NO_CAPABILITIES, memlockPages, uid: 2 });
  const fd = calls.memfdCreate().value;
  calls.ftruncate(fd, 8 * 4096);
  const file = process.file(fd);
  assert.ok(file);
  table.addDomain(new RecordingDomain());
  table.mapFile(context, process, 0n, true, file, 0n, 8n * P, RW);
  const poor = other(7);
  refused('ENOMEM', () => changeProcess([table], poor));
  assert.is(process.user.lockedPages, 8);
  assert.is(poor.user.lockedPages + poor.space.pinnedVm, 0);
  const rich = other(8);
  changeProcess([table], rich);
  assert.is(process.user.lockedPages + process.space.pinnedVm, 0);
  assert.is(rich.user.lockedPages, 8);
  assert.is(rich.space.pinnedVm, 8);
  changeProcess([table], rich);
  assert.is(rich.user.lockedPages, 8);
  table.unmapAll();
  assert.is(rich.user.lockedPages + rich.space.pinnedVm, 0);
  map(kernel.alloc(4096), P, 0n);
  refused('EINVAL', () => changeProcess([table], rich));
});

test.run();
