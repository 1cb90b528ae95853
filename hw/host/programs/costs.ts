/** What a system call costs its core, from the work that it did. */
import { duration, type Param, type Values } from '../../../sim/spec.ts';
import type { Clock } from '../../../sim/time/clock.ts';
import type { CallWork } from '../kernel/work.ts';

type CostName =
  | 'entry'
  | 'object'
  | 'copy_line'
  | 'pin_page'
  | 'unpin_page'
  | 'map_call'
  | 'map_page'
  | 'unmap_call'
  | 'unmap_page'
  | 'user_entry'
  | 'invalidate'
  | 'poll';

export type SyscallSpec = Readonly<Record<CostName, Param<number>>>;

/**
 * Orders of magnitude of a 3 GHz server: entry and return with mitigations as lmbench's null call;
 * pins as get_user_pages of resident 4 KiB pages; map and unmap as the host's DMA API.
 */
export const syscallSpec: SyscallSpec = {
  entry: duration('150ns', 'Into the kernel and back, with the look-up of the descriptor.'),
  object: duration('200ns', 'Making or destroying an object: allocation, its id, its counts.'),
  copy_line: duration('4ns', 'Each 64 bytes copied from or to user memory.'),
  pin_page: duration('35ns', 'Pinning a 4 KiB page: the walk of the process and two counts.'),
  unpin_page: duration('15ns', 'Letting go of a pinned page.'),
  map_call: duration('60ns', "A call of the driver's map: the walk to the first entry."),
  map_page: duration('10ns', 'Each 4 KiB page entered into an I/O page table.'),
  unmap_call: duration('50ns', "A call of the driver's unmap."),
  unmap_page: duration('5ns', 'Each 4 KiB page cleared from an I/O page table.'),
  user_entry: duration('40ns', 'Checking and converting one driver-specific structure.'),
  invalidate: duration(
    '370ns',
    'An invalidation of an IOMMU that exists on paper, its fence included: as long as on simulated VT-d.',
  ),
  poll: duration('1us', 'Time between two looks of a program that waits for a device.', { min: 1 }),
};

const LINE_BYTES = 64;

/** The parameters in cycles. */
export class CallCosts {
  readonly pollCycles: number;
  private readonly cycles: Readonly<Record<CostName, number>>;

  constructor(values: Values<SyscallSpec>, clock: Clock) {
    const names = Object.keys(syscallSpec) as CostName[];
    this.cycles = Object.fromEntries(
      names.map((name) => [name, clock.nearest(values[name])]),
    ) as Record<CostName, number>;
    this.pollCycles = Math.max(1, this.cycles.poll);
  }

  /** @param entries how often the program entered the kernel */
  of(work: CallWork, entries: number): number {
    const { cycles } = this;
    return (
      entries * cycles.entry +
      work.objects * cycles.object +
      Math.ceil(work.bytesCopied / LINE_BYTES) * cycles.copy_line +
      work.pagesPinned * cycles.pin_page +
      work.pagesUnpinned * cycles.unpin_page +
      work.mapCalls * cycles.map_call +
      work.pagesMapped * cycles.map_page +
      work.unmapCalls * cycles.unmap_call +
      work.pagesUnmapped * cycles.unmap_page +
      work.entries * cycles.user_entry +
      work.invalidations * cycles.invalidate
    );
  }
}
