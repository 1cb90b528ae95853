/** A kernel with one process on its own memory, for tests. */
import { PhysicalMemory } from '../../memory/physical-memory.ts';
import { FrameAllocator } from '../frames.ts';
import { PAGE_SIZE } from './api.ts';
import { Kernel } from './kernel.ts';
import { MAP_ANONYMOUS, MAP_SHARED } from './mmap.ts';
import type { ProcessSpec, UserProcess } from './process.ts';
import { Syscalls } from './syscalls.ts';
import { PROT_READ, PROT_WRITE } from './vma.ts';

export interface TestKernel {
  readonly kernel: Kernel;
  readonly memory: PhysicalMemory;
  readonly process: UserProcess;
  readonly calls: Syscalls;
  /** Address of zeroed shared anonymous memory, whole pages. */
  alloc(bytes: number): bigint;
  poke(address: bigint, bytes: Uint8Array | readonly number[]): void;
  peek(address: bigint, bytes: number): Uint8Array;
}

export interface TestKernelSpec extends ProcessSpec {
  /** How much memory may be touched (default 64 MiB). */
  readonly bytes?: number;
}

export function testKernel(spec: TestKernelSpec = {}): TestKernel {
  const bytes = spec.bytes ?? 64 * 1024 * 1024;
  const memory = PhysicalMemory.create({ bytes });
  const frames = new FrameAllocator({ base: 0x100000, frames: bytes / PAGE_SIZE });
  const kernel = new Kernel({ memory, frames });
  const process = kernel.createProcess(spec);
  const calls = new Syscalls(kernel, process);
  return {
    kernel,
    memory,
    process,
    calls,
    alloc(length) {
      const prot = PROT_READ | PROT_WRITE;
      const flags = MAP_SHARED | MAP_ANONYMOUS;
      return BigInt(calls.mmap({ length, prot, flags }).value);
    },
    poke(address, content) {
      process.space.copyOut(address, Uint8Array.from(content));
    },
    peek(address, length) {
      const into = new Uint8Array(length);
      process.space.copyIn(address, into);
      return into;
    },
  };
}
