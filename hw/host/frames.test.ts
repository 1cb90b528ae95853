import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PhysicalMemory } from '../memory/physical-memory.ts';
import { MEM_ACCESS_FAULT, MEM_OK } from '../memory/port.ts';
import { FrameAllocator } from './frames.ts';
import { GuestMemory, GuestMemoryPort } from './guest.ts';

test('frames ascend, and a returned one is the next to go', () => {
  const frames = new FrameAllocator({ base: 100, frames: 10 });
  assert.equal([frames.alloc(), frames.alloc(), frames.alloc()], [100, 101, 102]);
  frames.release(100);
  frames.release(102);
  assert.equal([frames.alloc(), frames.alloc(), frames.alloc()], [102, 100, 103]);
  assert.is(frames.inUse, 4);
});

test('runs are aligned in absolute page numbers', () => {
  const frames = new FrameAllocator({ base: 101, frames: 100 });
  assert.is(frames.allocRun(4, 4), 104);
  assert.is(frames.allocRun(3), 108);
  assert.is(frames.alloc(), 111);
  assert.is(frames.allocRun(16, 16), 112);
});

test('the last frame is given, the one after it refused', () => {
  const frames = new FrameAllocator({ base: 0, frames: 2 });
  frames.allocRun(2);
  assert.throws(() => frames.alloc(), /no 1 free frames left/);
  assert.throws(() => new FrameAllocator({ base: 0, frames: 2 }).allocRun(3), /no 3 free/);
});

test('scattered frames are each given once, far apart, the same for the same seed', () => {
  const draw = (seed: number): number[] => {
    const frames = new FrameAllocator({ base: 1000, frames: 400, scatterSeed: seed });
    return Array.from({ length: 300 }, () => frames.alloc());
  };
  const one = draw(7);
  assert.is(new Set(one).size, 300);
  assert.ok(one.every((frame) => frame >= 1100 && frame < 1400));
  assert.ok(Math.abs((one[1] as number) - (one[0] as number)) > 50);
  assert.equal(one, draw(7));
  assert.not.equal(one, draw(8));
  const frames = new FrameAllocator({ base: 1000, frames: 400, scatterSeed: 7 });
  assert.is(frames.allocRun(100), 1000);
  assert.throws(() => frames.allocRun(1), /no 1 free/);
});

test('a guest sees its memory at its own addresses', () => {
  const memory = PhysicalMemory.create({ bytes: 2 ** 20 });
  for (const [base, hostBase] of [
    [0x200, 0x80000],
    [0x80000, 0x200],
    [0x7fffe00, 0x8000000 * 3],
  ] as const) {
    const guest = new GuestMemory({ base, pages: 1024, hostBase, pageOrder: 9 });
    const port = new GuestMemoryPort(guest, memory);
    for (const page of [0, 511, 512, 1023]) {
      const at = base + page;
      const to = hostBase + page;
      const [hi, lo] = [Math.floor(at / 2 ** 27), at % 2 ** 27];
      port.write32(hi, lo, 8, page + 1);
      assert.is(port.read32(hi, lo, 8), page + 1);
      assert.is(memory.read32(Math.floor(to / 2 ** 27), to % 2 ** 27, 8), page + 1);
      assert.is(guest.hostHi(hi, lo) * 2 ** 27 + guest.hostLo(lo), to);
      port.or64(hi, lo, 8, 0x1000, 0);
      assert.is(port.read32(hi, lo, 8), (page + 1) | 0x1000);
    }
  }
});

test('a guest reaches nothing beyond its memory', () => {
  const memory = PhysicalMemory.create({ bytes: 2 ** 20 });
  const guest = new GuestMemory({ base: 16, pages: 16, hostBase: 64, pageOrder: 0 });
  const port = new GuestMemoryPort(guest, memory);
  assert.is(port.checkRead(0, 15, 0, 8), MEM_ACCESS_FAULT);
  assert.is(port.checkRead(0, 16, 0, 8), MEM_OK);
  assert.is(port.checkWrite(0, 31, 0, 8), MEM_OK);
  assert.is(port.checkWrite(0, 32, 0, 8), MEM_ACCESS_FAULT);
});

test('guest memory fits its second-stage pages', () => {
  const spec = { base: 0, pages: 512, hostBase: 512, pageOrder: 9 };
  assert.ok(new GuestMemory(spec));
  assert.throws(() => new GuestMemory({ ...spec, hostBase: 513 }), /multiple/);
  assert.throws(() => new GuestMemory({ ...spec, pages: 511 }), /multiple/);
});

test.run();
