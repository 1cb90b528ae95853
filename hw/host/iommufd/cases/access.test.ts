/** Reference 10.10: in-kernel users, which pin pages or read and write through an IOAS. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  A,
  type Bench,
  BUFFER,
  BUFFER_PAGES,
  type Caller,
  HUGE,
  M,
  type MockDevice,
  number,
  P,
  ruleIn,
  type Setup,
} from './fixture.ts';

const VARIANTS = ['N', 'D'] as const;
const PINS = 1;
const WRITE = 1;
const SLOW = 4;
const BYTES = BUFFER_PAGES * P;

function access(b: Caller, ioas: number, flags = PINS): number {
  return number(b.op('CREATE_ACCESS', { id: ioas, flags }), 'out_access_fd');
}

/** Pins a range and compares the pages with those at a user address; returns its number. */
function pin(b: Caller, fd: number, iova: bigint, length: bigint, userVa: bigint): number {
  const made = b.op('ACCESS_PAGES', { id: fd, iova, length, uptr: userVa, flags: WRITE });
  return number(made, 'out_access_pages_id');
}

function unpin(b: Caller, fd: number, item: number): void {
  b.op('DESTROY_ACCESS_PAGES', { id: fd, access_pages_id: item });
}

function destroyDevice(b: Bench, device: MockDevice): void {
  b.destroy(device.stdev);
}

ruleIn(['D'], '132: pinned pages survive the domain of a device', (b, { ioas, devices }) => {
  const user = b.memory(2n * HUGE, 2n * BUFFER);
  b.map(ioas, user, 2n * HUGE, A);
  const fd = access(b, ioas);
  const item = pin(b, fd, A, P, user);
  b.checkPins(user, P, 1);
  destroyDevice(b, devices[0]);
  b.checkPins(user, P, 1);
  unpin(b, fd, item);
  b.checkPins(user, P, 0);
  assert.is(b.calls.close(fd).errno, 0);
});

ruleIn(VARIANTS, '133: one to fifteen pages are pinned and let go', (b, { ioas, base }) => {
  b.map(ioas, BUFFER, BYTES, base);
  const fd = access(b, ioas);
  for (let pages = 1n; pages < 16n; pages++) unpin(b, fd, pin(b, fd, base, pages * P, BUFFER));
});

ruleIn(VARIANTS, '134: a range pinned twice is let go in either order', (b, { ioas, base }) => {
  b.map(ioas, BUFFER, BYTES, base);
  const fd = access(b, ioas);
  for (const order of [0, 1]) {
    const items = [pin(b, fd, base, 4n * P, BUFFER), pin(b, fd, base, 4n * P, BUFFER)];
    unpin(b, fd, items[order]);
    unpin(b, fd, items[1 - order]);
  }
});

ruleIn(VARIANTS, '135: a device that comes later sees the pinned pages', (b, { ioas }) => {
  b.map(ioas, BUFFER, BYTES, A);
  const fd = access(b, ioas);
  const item = pin(b, fd, A, 4n * P, BUFFER);
  const device = b.mock(ioas);
  b.checkMap(device.hwpt, A, BUFFER, BYTES);
  destroyDevice(b, device);
  unpin(b, fd, item);
});

ruleIn(VARIANTS, '136: UNMAP takes the pins of an access with it', (b, { ioas, base }) => {
  b.map(ioas, BUFFER, BYTES, base);
  const fd = access(b, ioas);
  const item = pin(b, fd, base, 4n * P, BUFFER);
  b.unmap(ioas, base, BYTES);
  b.refuseOp('ENOENT', 'DESTROY_ACCESS_PAGES', { id: fd, access_pages_id: item });
});

/** Content that tells every byte of the buffer from its neighbours. */
function pattern(length: number, salt: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) * 13 + salt) & 0xff);
}

/** Reads and writes of all short lengths around the end of the first page, and of everything. */
function readWrite(b: Bench, { ioas, base }: Setup, shift: bigint, flags: number): void {
  const whole = pattern(Number(BYTES), 1);
  b.poke(BUFFER, whole);
  b.map(ioas, BUFFER, BYTES, base + shift);
  const fd = access(b, ioas, 0);
  const other = b.memory(BYTES);
  const rw = (iova: bigint, length: number, more: number): void => {
    b.op('ACCESS_RW', { id: fd, iova, length, uptr: other, flags: flags | more });
  };
  for (let iova = base + P - 50n; iova < base + P + 50n; iova++) {
    const at = Number(iova - base - shift);
    for (const length of [1, 2, 31, 62, 63]) {
      rw(iova, length, 0);
      assert.equal(b.peek(other, length), whole.subarray(at, at + length));
      whole.set(pattern(length, at + length), at);
      b.poke(other, whole.subarray(at, at + length));
      rw(iova, length, WRITE);
    }
  }
  assert.equal(b.peek(BUFFER, whole.length), whole);
  rw(base + shift, whole.length, 0);
  assert.equal(b.peek(other, whole.length), whole);
}

ruleIn(VARIANTS, '137: an access reads and writes exactly the bytes asked for', (b, setup) => {
  readWrite(b, setup, 0n, 0);
});

ruleIn(VARIANTS, '138: an access reads and writes page by page', (b, setup) => {
  readWrite(b, setup, 0n, SLOW);
});

ruleIn(VARIANTS, '139: an access reads and writes the whole area', (b, { ioas, base }) => {
  const whole = pattern(Number(BYTES), 3);
  const [from, to] = [b.memory(BYTES), b.memory(BYTES)];
  b.poke(from, whole);
  b.map(ioas, BUFFER, BYTES, base);
  const fd = access(b, ioas, 0);
  b.op('ACCESS_RW', { id: fd, iova: base, length: BYTES, uptr: from, flags: WRITE });
  b.op('ACCESS_RW', { id: fd, iova: base, length: BYTES, uptr: to });
  assert.equal(b.peek(to, whole.length), whole);
  assert.equal(b.peek(BUFFER, whole.length), whole);
});

ruleIn(VARIANTS, '140: pages of memory and of IOVA that are not in step', (b, setup) => {
  readWrite(b, setup, M, 0);
});

/** A child maps memory of its own, which only it has. */
function childMap(b: Bench, { ioas, base }: Setup): { child: Caller; userVa: bigint } {
  const child = b.fork();
  const userVa = child.memory(2n * P, 2n * BUFFER);
  child.poke(userVa, pattern(64, 9));
  child.map(ioas, userVa, 2n * P, base);
  return { child, userVa };
}

function readsPattern(b: Bench, { ioas, base }: Setup): void {
  const fd = access(b, ioas, 0);
  const into = b.memory(P);
  b.op('ACCESS_RW', { id: fd, iova: base, length: 64, uptr: into });
  assert.equal(b.peek(into, 64), pattern(64, 9));
}

ruleIn(VARIANTS, '141: memory of a process that has exited', (b, setup) => {
  const base = A;
  const { child } = childMap(b, { ...setup, base });
  child.calls.exit();
  if (setup.variant === 'N') {
    b.refuseOp('EFAULT', 'MOCK_DOMAIN', { id: setup.ioas });
    return;
  }
  b.mock(setup.ioas);
  readsPattern(b, { ...setup, base });
});

ruleIn(VARIANTS, '142: memory of another process that lives', (b, setup) => {
  const base = A;
  const { child, userVa } = childMap(b, { ...setup, base });
  const device = b.mock(setup.ioas);
  child.checkMap(device.hwpt, base, userVa, 2n * P);
  readsPattern(b, { ...setup, base });
});

ruleIn(['D'], '143: a copy outlives the IOAS that its pages come from', (b, { ioas, devices }) => {
  const source = b.ioas();
  b.map(source, BUFFER, BYTES, 0n);
  const fd = access(b, source);
  const item = pin(b, fd, 0n, P, BUFFER);
  b.ok('IOAS_COPY', {
    flags: 'FIXED_IOVA|WRITEABLE',
    dst_ioas_id: ioas,
    src_ioas_id: source,
    length: BYTES,
    dst_iova: A,
    src_iova: 0n,
  });
  b.checkMap(devices[0].hwpt, A, BUFFER, BYTES);
  b.op('ACCESS_REPLACE_IOAS', { id: fd, ioas_id: ioas });
  b.refuseOp('ENOENT', 'DESTROY_ACCESS_PAGES', { id: fd, access_pages_id: item });
  b.destroy(source);
  b.checkMap(devices[0].hwpt, A, BUFFER, BYTES);
  assert.is(b.unmap(ioas, A, BYTES), BYTES);
});

test.run();
