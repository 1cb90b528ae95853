/** The client on the system calls and the memory of the simulated kernel. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { OpenFile, Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import { testKernel } from '../../kernel/testbench.ts';
import { IommuClient } from '../client.ts';
import { decode, encode } from '../uapi/codec.ts';
import { IOAS_ALLOC, IOAS_UNMAP } from '../uapi/structs.ts';
import { KernelProcess } from './kernel-process.ts';

/** A node that makes address spaces 1, 2, ... and refuses everything else. */
class Node implements OpenFile {
  readonly kind = 'node';
  refs = 1;
  released = false;
  private made = 0;

  ioctl(process: Process, command: number, argument: bigint): number {
    if (command !== IOAS_ALLOC.word) fail('ENOTTY', 'only IOAS_ALLOC is here');
    const bytes = new Uint8Array(IOAS_ALLOC.size);
    process.space.copyIn(argument, bytes);
    const given = decode(IOAS_ALLOC, bytes);
    const answer = encode(IOAS_ALLOC, { ...given, out_ioas_id: ++this.made });
    process.space.copyOut(argument, answer);
    return 0;
  }

  release(): void {
    this.released = true;
  }
}

test('a typed call travels through user memory of the process, and close releases the node', () => {
  const { kernel, calls } = testKernel();
  const node = new Node();
  kernel.registerNode('/dev/iommu', () => node);
  const iommu = IommuClient.open(new KernelProcess(calls));
  assert.is(iommu.ioasAlloc().id, 1);
  assert.equal(iommu.call('IOAS_ALLOC').out, { out_ioas_id: 2 });
  assert.is(iommu.call('IOAS_UNMAP', { ioas_id: 1 }).error, 'ENOTTY');
  assert.is(iommu.call('IOAS_UNMAP').sent.length, IOAS_UNMAP.size);
  iommu.close();
  assert.ok(node.released);
});

test('an argument where nothing is mapped is EFAULT', () => {
  const { kernel, calls } = testKernel();
  kernel.registerNode('/dev/iommu', () => new Node());
  const iommu = IommuClient.open(new KernelProcess(calls));
  assert.is(iommu.call('IOAS_ALLOC', {}, { address: 0n }).error, 'EFAULT');
});

test('a node that is not there cannot be opened', () => {
  const { calls } = testKernel();
  assert.throws(() => IommuClient.open(new KernelProcess(calls)), /ENOENT/);
});

test.run();
