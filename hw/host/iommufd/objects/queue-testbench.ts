/** A context with a process and some commands, and attachments without hardware, for tests. */
import { Errno } from '../../kernel/errno.ts';
import { type TestKernel, testKernel } from '../../kernel/testbench.ts';
import type { Command } from '../call.ts';
import { Context } from '../context.ts';
import { commandTable, Dispatcher } from '../dispatch.ts';
import type { Domain, IommuDevice, IommuDriver, PageRequest, ResponseCode } from '../driver.ts';
import type { AttachHandle, FaultQueue } from '../graph.ts';
import { IommufdObject } from '../object.ts';

export interface QueueBench extends TestKernel {
  readonly context: Context;
  /** Two pages of user memory, with an unmapped page behind them. */
  readonly buffer: bigint;
  /** Runs an ioctl whose structure has these 32-bit words; the structure after it, or the errno. */
  ioctl(word: number, words: readonly number[]): Uint32Array | string;
  /** The same with a structure that is in user memory already. */
  ioctlAt(address: bigint, word: number, words: readonly number[]): Uint32Array | string;
}

export function queueBench(commands: readonly Command[]): QueueBench {
  const base = testKernel({ fdLimit: 16 });
  const context = new Context(base.kernel);
  const dispatcher = new Dispatcher(context, commandTable(commands));
  const buffer = base.alloc(2 * 4096);
  const argument = base.alloc(4096);
  const ioctlAt = (address: bigint, word: number, words: readonly number[]) => {
    try {
      dispatcher.run(base.process, word, address);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      return error.code;
    }
    return new Uint32Array(base.peek(address, words.length * 4).slice().buffer);
  };
  return {
    ...base,
    context,
    buffer,
    ioctlAt,
    ioctl(word, words) {
      base.poke(argument, new Uint8Array(Uint32Array.from(words).buffer));
      return ioctlAt(argument, word, words);
    },
  };
}

/** An answer that the hardware got. */
export interface Answer {
  readonly grpid: number;
  readonly code: ResponseCode;
}

/** A device whose driver writes down the answers to page requests. */
export function faultDevice(userPasidTable = false): { device: IommuDevice; answers: Answer[] } {
  const answers: Answer[] = [];
  const driver: IommuDriver = {
    name: 'fake',
    userPasidTable,
    blocked: null as never,
    capable: () => false,
    pageResponse: (_device, { grpid }, code) => {
      answers.push({ grpid, code });
    },
  };
  const device = { name: 'dev', driver, instance: driver, maxPasids: 0, pci: null, reserved: [] };
  return { device, answers };
}

class FakeObject extends IommufdObject {
  readonly type = 'selftest';

  destroy(): void {}
}

/** The device, as object `id`, is attached to a page table of a kind that routes to a queue. */
export function attachment(
  device: IommuDevice,
  id: number,
  fault: FaultQueue | null,
  pasid = 0,
  kind: Domain['kind'] = 'paging',
): AttachHandle {
  const domain: Domain = { kind, driver: device.driver, attach: () => {}, free: () => {} };
  const bound = Object.assign(new FakeObject(0), { iommu: device, id });
  const hwpt = Object.assign(new FakeObject(0), { domain, fault });
  return { domain, hwpt, device: bound, pasid };
}

/** A page request; the last of its group unless flags say otherwise. */
export function request(grpid: number, flags = 2, pasid = 0): PageRequest {
  return { flags, pasid, grpid, perm: 1, address: 0x1000n * BigInt(grpid) };
}
