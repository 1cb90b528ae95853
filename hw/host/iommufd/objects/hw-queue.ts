/**
 * Hardware queue of a vIOMMU (IOMMUFD_OBJ_HW_QUEUE, drivers/iommu/iommufd/viommu.c): a queue in the
 * virtual machine's memory that the physical IOMMU reads by physical address. An internal access
 * object pins the memory and keeps it mapped for as long as the queue lives.
 */
import { PAGE_SIZE } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import type { Command, IoctlCall } from '../call.ts';
import type { HwQueueDriver, ViommuDriver } from '../driver.ts';
import type { ViommuHwQueue } from '../graph.ts';
import { IommufdObject } from '../object.ts';
import { HW_QUEUE_ALLOC } from '../uapi/structs.ts';
import { Access } from './access.ts';
import { Viommu } from './viommu.ts';

const OBJECT_BYTES = 192;
/** IOMMU_HW_QUEUE_TYPE_DEFAULT. */
const TYPE_DEFAULT = 0;
const U64_MAX = 0xffffffffffffffffn;
const PAGE = BigInt(PAGE_SIZE);
const PAGE_POINTER_BYTES = 8n;
/** Larger arrays than INT_MAX bytes are refused by kvcalloc (fuzz/01971). */
const ARRAY_MAX = 0x7fffffffn;

export class HwQueue extends IommufdObject {
  readonly type = 'hw-queue';
  readonly viommu: Viommu;
  readonly kind: number;
  readonly index: number;
  /** Where the queue is in the nesting parent's address space. */
  readonly iova: bigint;
  readonly length: bigint;
  private access: Access | null = null;
  private driver: HwQueueDriver | null = null;
  /** The queue that must outlive this one. */
  predecessor: ViommuHwQueue | null = null;

  constructor(viommu: Viommu, kind: number, index: number, iova: bigint, length: bigint) {
    super(OBJECT_BYTES);
    this.viommu = viommu;
    this.kind = kind;
    this.index = index;
    this.iova = iova;
    this.length = length;
  }

  /** Pins the memory and starts the hardware; `abort` undoes what was done when this throws. */
  start(init: NonNullable<ViommuDriver['initHwQueue']>): void {
    const base = this.pin();
    this.viommu.users++;
    const { kind, index, length, viommu } = this;
    const driver = init.call(viommu.driver, { type: kind, index, base, length });
    this.driver = driver;
    viommu.hwQueues.set(index, this);
    if (driver.dependsOn < 0) return;
    this.predecessor = viommu.hwQueues.get(driver.dependsOn) ?? null;
    if (this.predecessor !== null) this.predecessor.users++;
  }

  destroy(): void {
    if (this.driver !== null) {
      this.driver.destroy();
      this.viommu.hwQueues.delete(this.index);
      if (this.predecessor !== null) this.predecessor.users--;
    }
    if (this.access === null) return;
    this.access.unpinPages(this.firstPage, this.pageBytes);
    this.access.destroyInternal();
    this.viommu.users--;
  }

  private get firstPage(): bigint {
    return this.iova - (this.iova % PAGE);
  }

  /** Bytes of the pages that the queue touches. */
  private get pageBytes(): bigint {
    const bytes = (this.iova % PAGE) + this.length;
    return bytes + ((PAGE - (bytes % PAGE)) % PAGE);
  }

  /** iommufd_hw_queue_alloc_phys: physical address of the first byte of the pinned queue. */
  private pin(): bigint {
    const { context, parent } = this.viommu;
    const { memory } = context.services;
    const bytes = this.pageBytes;
    if (bytes > U64_MAX) fail('ERANGE', 'the pages of the queue pass the end of the addresses');
    const array = (bytes / PAGE) * PAGE_POINTER_BYTES;
    if (array > ARRAY_MAX) fail('ENOMEM', `no memory for the addresses of ${bytes / PAGE} pages`);
    memory.take(Number(array), 'pages of a hardware queue');
    try {
      const access = Access.internal(context);
      try {
        access.attachInternal(parent.ioas);
        const frames = access.pinPages(this.firstPage, bytes, false);
        this.access = access;
        checkContiguous(frames);
        return BigInt(frames[0] as number) * PAGE + (this.iova % PAGE);
      } catch (error) {
        if (this.access !== null) access.unpinPages(this.firstPage, bytes);
        this.access = null;
        access.destroyInternal();
        throw error;
      }
    } finally {
      memory.give(Number(array));
    }
  }
}

/** The hardware reads the queue by physical address, without translation. */
function checkContiguous(frames: readonly number[]): void {
  for (let i = 1; i < frames.length; i++) {
    if (frames[i] !== (frames[i - 1] as number) + 1) {
      fail('EFAULT', `page ${i} of the queue does not follow page ${i - 1} in physical memory`);
    }
  }
}

function allocHwQueue(call: IoctlCall): void {
  const { at } = HW_QUEUE_ALLOC;
  const { objects } = call.context;
  const kind = call.u32(at.type);
  const iova = call.u64(at.nesting_parent_iova);
  const length = call.u64(at.length);
  if (call.u32(at.flags) !== 0) fail('EOPNOTSUPP', 'flags must be 0');
  if (kind === TYPE_DEFAULT) fail('EOPNOTSUPP', 'the type must name a kind of queue');
  if (length === 0n) fail('EINVAL', 'the queue has no length');
  if (iova + length - 1n > U64_MAX) {
    fail('EOVERFLOW', 'the queue passes the end of the addresses');
  }
  const viommu = objects.get(call.u32(at.viommu_id), Viommu);
  try {
    const { initHwQueue, supportsHwQueue } = viommu.driver;
    if (supportsHwQueue === undefined || initHwQueue === undefined) {
      fail('EOPNOTSUPP', `vIOMMU ${viommu.id} has no hardware queues`);
    }
    if (!supportsHwQueue.call(viommu.driver, kind)) {
      fail('EOPNOTSUPP', `vIOMMU ${viommu.id} has no hardware queues of type ${kind}`);
    }
    const queue = new HwQueue(viommu, kind, call.u32(at.index), iova, length);
    objects.reserve(queue);
    call.created = queue;
    queue.start(initHwQueue);
    call.setU32(at.out_hw_queue_id, queue.id);
    call.respond();
  } finally {
    objects.put(viommu);
  }
}

export const HW_QUEUE_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_HW_QUEUE_ALLOC',
    word: HW_QUEUE_ALLOC.word,
    size: HW_QUEUE_ALLOC.size,
    minSize: HW_QUEUE_ALLOC.minSize,
    run: allocHwQueue,
  },
];
