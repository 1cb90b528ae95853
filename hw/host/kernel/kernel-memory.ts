/**
 * The kernel's own memory, as far as accounting goes (GFP_KERNEL_ACCOUNT: charged to the memory
 * cgroup), and the points at which a kernel call can fail for want of it. Every fallible step is
 * numbered in the order of execution, so that a test can make exactly the n-th one fail (Linux
 * CONFIG_FAULT_INJECTION, tools/testing/selftests/iommu/iommufd_fail_nth.c).
 */
import { InternalError } from '../../../sim/errors.ts';
import { Errno, type ErrnoName } from './errno.ts';
import { CallWork } from './work.ts';

export class KernelMemory {
  /** Bytes charged now, and how many allocations they are. */
  bytes = 0;
  allocations = 0;
  /** Largest number of bytes ever charged. */
  peakBytes = 0;
  /** Fallible steps passed since `arm` (or the start). */
  points = 0;
  /** What the injected failure hit; empty when it has not been reached. */
  failedAt = '';
  /** Counts objects made and freed; what else a call does is counted here too. */
  readonly work: CallWork = new CallWork();
  private failing = 0;

  /** Lets the n-th fallible step from now on fail, once; 0: none. */
  arm(n: number): void {
    this.points = 0;
    this.failing = n;
    this.failedAt = '';
  }

  /** Takes memory for one object; throws ENOMEM where that is to fail. */
  take(bytes: number, what: string): void {
    this.point('ENOMEM', what);
    this.bytes += bytes;
    this.allocations++;
    this.work.objects++;
    if (this.bytes > this.peakBytes) this.peakBytes = this.bytes;
  }

  /** Gives back what one `take` took. */
  give(bytes: number): void {
    this.bytes -= bytes;
    this.allocations--;
    this.work.objects++;
    if (this.bytes < 0 || this.allocations < 0) {
      throw new InternalError('kernel-memory', 'more kernel memory was freed than allocated');
    }
  }

  /** A step that can fail with `code`. */
  point(code: ErrnoName, what: string): void {
    this.points++;
    if (this.points !== this.failing) return;
    this.failedAt = what;
    throw new Errno(code, `injected failure of ${what}`);
  }
}
