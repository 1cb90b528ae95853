/**
 * A user of an IOAS inside the kernel (IOMMUFD_OBJ_ACCESS): a driver without an IOMMU that pins
 * memory or copies it, or another object of the context that keeps memory pinned and mapped.
 */
import { InternalError } from '../../../../sim/errors.ts';
import type { Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import type { TableAccess } from '../iopt/access-list.ts';
import { lastOf, pinRange, unpinRange } from '../iopt/access-pins.ts';
import { transfer } from '../iopt/access-rw.ts';
import { IommufdObject } from '../object.ts';
import { Ioas } from './ioas.ts';

const ACCESS_BYTES = 160;
const PAGE = 4096n;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** What the driver says of itself (struct iommufd_access_ops). */
export interface AccessOps {
  /** It pins pages, and so needs whole ones. */
  readonly pin: boolean;
  /** It must have let go of what it pinned in the range when this returns. */
  unmapped(iova: bigint, length: bigint): void;
}

export class Access extends IommufdObject implements TableAccess {
  readonly type = 'access';
  /** Null while it is attached to none, or changes over to another. */
  ioas: Ioas | null = null;
  /** Where its pins are: still the old one while it changes over. */
  private pinnedIn: Ioas | null = null;
  private readonly context: Context;
  private readonly ops: AccessOps | null;

  /** iommufd_access_create: the object is published; null for ops of the kernel's own. */
  constructor(context: Context, ops: AccessOps | null) {
    super(ACCESS_BYTES);
    this.context = context;
    this.ops = ops;
    context.objects.reserve(this);
    // Whoever made it is a user until `close`.
    this.users++;
    if (ops !== null) context.services.get(context.file);
    context.objects.publish(this);
  }

  static create(context: Context, ops: AccessOps): Access {
    return new Access(context, ops);
  }

  /** For an object of the context: its areas cannot be unmapped while they are pinned. */
  static internal(context: Context): Access {
    return new Access(context, null);
  }

  get internal(): boolean {
    return this.ops === null;
  }

  get alignment(): bigint {
    return this.ops === null || this.ops.pin ? PAGE : 1n;
  }

  /** iommufd_access_destroy. */
  close(): void {
    const { context } = this;
    this.users--;
    context.objects.remove(this);
    if (this.ops !== null) context.services.put(context.file);
  }

  destroyInternal(): void {
    this.close();
  }

  override destroy(): void {
    if (this.ioas !== null) this.change(null);
  }

  attach(ioasId: number): void {
    this.requireDetached();
    this.changeTo(ioasId);
  }

  attachInternal(ioas: Ioas): void {
    this.requireDetached();
    this.change(ioas);
  }

  replace(ioasId: number): void {
    if (this.ioas === null) fail('ENOENT', `access ${this.id} is attached to no IOAS`);
    this.changeTo(ioasId);
  }

  detach(): void {
    if (this.ioas === null) throw new InternalError('access', 'an access is detached twice');
    this.change(null);
  }

  /** The driver lets go of memory in a range of its IOAS. */
  unmapped(iova: bigint, length: bigint): void {
    this.ops?.unmapped(iova, length);
  }

  /** Frames of a range, pinned; all of it or nothing. */
  pinPages(iova: bigint, length: bigint, write: boolean): number[] {
    if (this.alignment !== PAGE) fail('EINVAL', 'the access was not made for pinning pages');
    const last = lastOf(iova, length);
    return pinRange(this.attached.table, iova, last, write, this.internal);
  }

  /** Undoes a pin of exactly this range. */
  unpinPages(iova: bigint, length: bigint): void {
    if (this.pinnedIn === null) throw new InternalError('access', 'unpin without an IOAS');
    unpinRange(this.pinnedIn.table, iova, lastOf(iova, length), this.internal);
  }

  /**
   * Copies between `data` and the IOAS. In a call of a process its own memory is reached by its
   * addresses; without one (a kernel thread, or the slow path) all memory by the frames. Not all or
   * nothing.
   */
  rw(iova: bigint, data: Uint8Array, write: boolean, caller: Process | null = null): void {
    const last = lastOf(iova, BigInt(data.length));
    transfer(this.attached.table, caller, iova, last, data, write);
  }

  /** First IOVA of the n-th area of its IOAS, from 0 on; null where there are not as many. */
  nthArea(n: number): bigint | null {
    const areas = this.ioas?.table.areas;
    let area = areas?.first ?? null;
    for (let left = n; left > 0 && area !== null; left--) area = areas?.next(area) ?? null;
    return area === null ? null : area.iova;
  }

  private get attached(): Ioas {
    return this.ioas ?? fail('ENOENT', `access ${this.id} is attached to no IOAS`);
  }

  private requireDetached(): void {
    if (this.ioas !== null) fail('EINVAL', `access ${this.id} is attached to an IOAS already`);
  }

  private changeTo(ioasId: number): void {
    const { objects } = this.context;
    const ioas = objects.get(ioasId, Ioas);
    try {
      this.change(ioas);
    } finally {
      objects.put(ioas);
    }
  }

  /** iommufd_access_change_ioas: joins the new one first, so that a refusal changes nothing. */
  private change(next: Ioas | null): void {
    const current = this.ioas;
    if (current !== this.pinnedIn) fail('EBUSY', `access ${this.id} is being detached`);
    if (current === next) return;
    this.ioas = null;
    if (next !== null) {
      try {
        next.table.addAccess(this);
      } catch (error) {
        this.ioas = current;
        throw error;
      }
      next.users++;
    }
    if (current !== null) {
      this.ops?.unmapped(0n, U64_MAX);
      current.table.removeAccess(this);
      current.users--;
    }
    this.ioas = next;
    this.pinnedIn = next;
  }
}
