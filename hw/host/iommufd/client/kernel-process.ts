/** A process of the simulated kernel, for a client to run in. */
import { MAP_ANONYMOUS, MAP_SHARED } from '../../kernel/mmap.ts';
import type { Syscalls } from '../../kernel/syscalls.ts';
import { PROT_READ, PROT_WRITE } from '../../kernel/vma.ts';
import { type CallingProcess, type SyscallAnswer, valueFrom } from './process.ts';

export class KernelProcess implements CallingProcess {
  readonly calls: Syscalls;

  constructor(calls: Syscalls) {
    this.calls = calls;
  }

  open(path: string): SyscallAnswer {
    return this.calls.open(path);
  }

  close(fd: number): SyscallAnswer {
    return this.calls.close(fd);
  }

  ioctl(fd: number, command: number, argument: bigint): SyscallAnswer {
    return this.calls.ioctl(fd, command, argument);
  }

  read(fd: number, address: bigint, count: number): SyscallAnswer {
    return this.calls.read(fd, address, count);
  }

  write(fd: number, address: bigint, count: number): SyscallAnswer {
    return this.calls.write(fd, address, count);
  }

  poll(fd: number, events: number): number {
    const entry = { fd, events, revents: 0 };
    this.calls.poll([entry]);
    return entry.revents;
  }

  mapRegion(fd: number, offset: bigint, bytes: bigint): SyscallAnswer {
    const prot = PROT_READ | PROT_WRITE;
    return this.calls.mmap({
      length: Number(bytes),
      prot,
      flags: MAP_SHARED,
      fd,
      offset: Number(offset),
    });
  }

  anonymous(bytes: number): bigint {
    const flags = MAP_SHARED | MAP_ANONYMOUS;
    const prot = PROT_READ | PROT_WRITE;
    return BigInt(valueFrom(this.calls.mmap({ length: bytes, prot, flags })));
  }

  peek(address: bigint, into: Uint8Array): void {
    this.calls.process.space.copyIn(address, into);
  }

  poke(address: bigint, bytes: Uint8Array): void {
    this.calls.process.space.copyOut(address, bytes);
  }
}
