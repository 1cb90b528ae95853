/** An address space of user memory, as a client uses it. */
import { decode, encode } from '../uapi/codec.ts';
import {
  IOMMU_IOAS_MAP_FIXED_IOVA,
  IOMMU_IOAS_MAP_READABLE,
  IOMMU_IOAS_MAP_WRITEABLE,
  IOMMU_OPTION_HUGE_PAGES,
  IOMMU_OPTION_OP_GET,
  IOMMU_OPTION_OP_SET,
} from '../uapi/constants.ts';
import * as S from '../uapi/structs.ts';
import { refusal } from './process.ts';
import type { Session } from './session.ts';

export interface Placement {
  /** Where to map; left out: the kernel chooses. */
  readonly iova?: bigint;
  /** What devices may do (default: both). */
  readonly read?: boolean;
  readonly write?: boolean;
}

export interface MapUser extends Placement {
  readonly userVa: bigint;
  readonly length: bigint;
}

export interface MapFile extends Placement {
  readonly fd: number;
  readonly start: bigint;
  readonly length: bigint;
}

export interface CopyFrom extends Placement {
  readonly source: IoasHandle;
  readonly sourceIova: bigint;
  readonly length: bigint;
}

/** First and last address. */
export interface IovaRange {
  readonly start: bigint;
  readonly last: bigint;
}

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const FIRST_RANGES = 16;

export class IoasHandle {
  readonly id: number;
  private readonly session: Session;

  constructor(session: Session, id: number) {
    this.session = session;
    this.id = id;
  }

  /** Maps user memory; returns its IOVA. */
  map({ userVa, length, ...placement }: MapUser): bigint {
    this.session.begin();
    const flags = flagsOf(placement);
    const iova = placement.iova ?? 0n;
    return this.session.call(S.IOAS_MAP, { flags, ioas_id: this.id, user_va: userVa, length, iova })
      .iova;
  }

  /** Maps pages of a memfd or dma-buf; returns their IOVA. */
  mapFile({ fd, start, length, ...placement }: MapFile): bigint {
    this.session.begin();
    const flags = flagsOf(placement);
    const iova = placement.iova ?? 0n;
    return this.session.call(S.IOAS_MAP_FILE, { flags, ioas_id: this.id, fd, start, length, iova })
      .iova;
  }

  /** Maps pages that another address space (or this one) has mapped; returns their IOVA here. */
  copy({ source, sourceIova, length, ...placement }: CopyFrom): bigint {
    this.session.begin();
    return this.session.call(S.IOAS_COPY, {
      flags: flagsOf(placement),
      dst_ioas_id: this.id,
      src_ioas_id: source.id,
      length,
      dst_iova: placement.iova ?? 0n,
      src_iova: sourceIova,
    }).dst_iova;
  }

  /** Removes all mappings that lie within the range; returns how many bytes they were. */
  unmap(iova: bigint, length: bigint): bigint {
    this.session.begin();
    return this.session.call(S.IOAS_UNMAP, { ioas_id: this.id, iova, length }).length;
  }

  /** Removes everything; nothing to remove is no error. */
  unmapAll(): bigint {
    return this.unmap(0n, U64_MAX);
  }

  /** Ranges that are not reserved, and the alignment that mappings need. */
  iovaRanges(): { ranges: readonly IovaRange[]; alignment: bigint } {
    let room = FIRST_RANGES;
    for (;;) {
      this.session.begin();
      const buffer = new Uint8Array(room * S.IOVA_RANGE.size);
      const address = this.session.place(buffer);
      const { answer, fields } = this.session.attempt(S.IOAS_IOVA_RANGES, {
        ioas_id: this.id,
        num_iovas: room,
        allowed_iovas: address,
      });
      const failure = answer.errno === 0 ? null : refusal(answer);
      if (failure !== null && failure.code !== 'EMSGSIZE') throw failure;
      const { num_iovas, out_iova_alignment } = fields();
      if (failure === null) {
        const bytes = this.session.peek(address, num_iovas * S.IOVA_RANGE.size);
        const ranges = Array.from({ length: num_iovas }, (_, i) =>
          decode(S.IOVA_RANGE, bytes.subarray(i * S.IOVA_RANGE.size)),
        );
        return { ranges, alignment: out_iova_alignment };
      }
      if (num_iovas <= room) throw failure;
      room = num_iovas;
    }
  }

  /** Automatic IOVAs come from these ranges only, and no device may reserve any of them. */
  allowIovas(ranges: readonly IovaRange[]): void {
    this.session.begin();
    const bytes = new Uint8Array(ranges.length * S.IOVA_RANGE.size);
    for (const [i, { start, last }] of ranges.entries()) {
      bytes.set(encode(S.IOVA_RANGE, { start, last }), i * S.IOVA_RANGE.size);
    }
    const allowed_iovas = this.session.place(bytes);
    this.session.call(S.IOAS_ALLOW_IOVAS, {
      ioas_id: this.id,
      num_iovas: ranges.length,
      allowed_iovas,
    });
  }

  /** Whether contiguous pages may share a large table entry. */
  get hugePages(): boolean {
    return this.hugePagesOption(IOMMU_OPTION_OP_GET, 0n) !== 0n;
  }

  set hugePages(on: boolean) {
    this.hugePagesOption(IOMMU_OPTION_OP_SET, on ? 1n : 0n);
  }

  destroy(): void {
    this.session.destroy(this.id);
  }

  private hugePagesOption(op: number, val64: bigint): bigint {
    this.session.begin();
    const option_id = IOMMU_OPTION_HUGE_PAGES;
    return this.session.call(S.OPTION, { option_id, op, object_id: this.id, val64 }).val64;
  }
}

function flagsOf({ iova, read = true, write = true }: Placement): number {
  return (
    (iova === undefined ? 0 : IOMMU_IOAS_MAP_FIXED_IOVA) |
    (read ? IOMMU_IOAS_MAP_READABLE : 0) |
    (write ? IOMMU_IOAS_MAP_WRITEABLE : 0)
  );
}
