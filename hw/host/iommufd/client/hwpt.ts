/** A hardware page table as a client uses it: dirty pages, and invalidation of what it manages. */
import { Errno, type ErrnoName } from '../../kernel/errno.ts';
import { encode, type Inputs } from '../uapi/codec.ts';
import {
  IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
  IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
} from '../uapi/constants.ts';
import type { Fields, Layout } from '../uapi/layout.ts';
import * as S from '../uapi/structs.ts';
import { pagesOf } from './call.ts';
import { type EntriesOf, INVALIDATIONS, type InvalidationType } from './driver-data.ts';
import { refusal } from './process.ts';
import type { Session } from './session.ts';

export interface DirtyRange {
  readonly iova: bigint;
  readonly length: bigint;
  readonly pageSize: bigint;
  /** Whether the pages count as clean afterwards (default: yes). */
  readonly clear?: boolean;
}

/** An invalidation was refused after some entries had been carried out. */
export class InvalidationRefused extends Errno {
  override readonly name: string = 'InvalidationRefused';
  /** Entries carried out before the one that was refused. */
  readonly handled: number;

  constructor(code: ErrnoName, rule: string, handled: number) {
    super(code, rule);
    this.handled = handled;
  }
}

export class HwptHandle {
  readonly id: number;
  protected readonly session: Session;

  constructor(session: Session, id: number) {
    this.session = session;
    this.id = id;
  }

  setDirtyTracking(on: boolean): void {
    this.session.begin();
    const flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0;
    this.session.call(S.HWPT_SET_DIRTY_TRACKING, { flags, hwpt_id: this.id });
  }

  /** Numbers (IOVA / page size) of the pages that devices have written. */
  dirtyPages({ iova, length, pageSize, clear = true }: DirtyRange): ReadonlySet<number> {
    this.session.begin();
    const words = pageSize === 0n ? 1n : length / pageSize / 64n + 1n;
    const bytes = Number(words) * 8;
    const data = this.session.place(new Uint8Array(bytes));
    this.session.call(S.HWPT_GET_DIRTY_BITMAP, {
      hwpt_id: this.id,
      flags: clear ? 0 : IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
      iova,
      length,
      page_size: pageSize,
      data,
    });
    return new Set(pagesOf(this.session.peek(data, bytes), iova, pageSize));
  }

  /** Invalidates cached entries of a nested page table; returns how many entries were handled. */
  invalidate<T extends InvalidationType>(type: T, entries: EntriesOf<T>): number {
    return invalidate(this.session, this.id, type, entries);
  }

  destroy(): void {
    this.session.destroy(this.id);
  }
}

/** HWPT_INVALIDATE on a nested page table or a vIOMMU. */
export function invalidate<T extends InvalidationType>(
  session: Session,
  id: number,
  type: T,
  entries: EntriesOf<T>,
): number {
  const { number, layout } = INVALIDATIONS[type];
  const bytes = new Uint8Array(entries.length * layout.size);
  for (const [i, entry] of entries.entries()) {
    bytes.set(encode<Fields>(layout as Layout, entry as Inputs<Fields>), i * layout.size);
  }
  session.begin();
  const { answer, fields } = session.attempt(S.HWPT_INVALIDATE, {
    hwpt_id: id,
    data_uptr: session.place(bytes),
    data_type: number,
    entry_len: layout.size,
    entry_num: entries.length,
  });
  const handled = fields().entry_num;
  if (answer.errno === 0) return handled;
  const { code, rule } = refusal(answer);
  // A call that was refused before it reached a driver leaves the number of entries as it was.
  throw new InvalidationRefused(code, rule, handled < entries.length ? handled : 0);
}
