/**
 * /dev/iommu for programs of the simulator: what a VMM does, in the words of the interface. Every
 * method is one ioctl in user memory of the calling process; it returns what the kernel answered,
 * or throws Errno with the rule that refused. `call` makes any ioctl by name and tells its bytes.
 */
import type { CallOptions, CallReport } from './client/call.ts';
import {
  decodeHwInfo,
  encodeHwptData,
  HW_INFO_DATA,
  type HwInfoData,
  type HwptData,
  VIOMMUS,
  type ViommuAnswer,
  type ViommuInput,
  type ViommuType,
} from './client/driver-data.ts';
import { HwptHandle } from './client/hwpt.ts';
import { IoasHandle } from './client/ioas.ts';
import { type CallingProcess, valueFrom } from './client/process.ts';
import { FaultQueue } from './client/queues.ts';
import type { CallFields } from './client/request.ts';
import { Session } from './client/session.ts';
import { VfioDevice } from './client/vfio-device.ts';
import { ViommuHandle } from './client/viommu.ts';
import { decode, encode, type Inputs } from './uapi/codec.ts';
import * as C from './uapi/constants.ts';
import type { Fields, Layout } from './uapi/layout.ts';
import * as S from './uapi/structs.ts';

/** Anything with an object id: a handle, or a bound device. */
export interface Identified {
  readonly id: number;
}

export interface HwptSpec {
  /** The device that the page table is made for (others may share it). */
  readonly device: Identified;
  /** IOAS: the kernel manages the table. Nesting parent or vIOMMU: user space does, with `data`. */
  readonly on: Identified;
  readonly nestParent?: boolean;
  readonly dirtyTracking?: boolean;
  /** The table may be attached to PASIDs, or to a device that uses PASIDs. */
  readonly pasid?: boolean;
  /** Page requests of devices on this table go to the queue. */
  readonly fault?: FaultQueue;
  readonly data?: HwptData;
}

export interface HwInfo {
  readonly type: number;
  /** The driver's structure; null where the type has none, or none that is known here. */
  readonly data: HwInfoData | null;
  readonly bytes: Uint8Array;
  /** PASIDs that the device can use. */
  readonly maxPasids: number;
  readonly dirtyTracking: boolean;
  readonly pasidExecute: boolean;
  readonly pasidPrivileged: boolean;
  readonly ats: boolean;
}

export interface ViommuSpec<T extends ViommuType> {
  readonly type: T;
  readonly device: Identified;
  readonly parent: Identified;
  readonly data?: ViommuInput<T>;
}

const HW_INFO_BYTES = 256;

export class IommuClient {
  readonly session: Session;

  private constructor(session: Session) {
    this.session = session;
  }

  static open(process: CallingProcess, path: string = '/dev/iommu'): IommuClient {
    return new IommuClient(new Session(process, valueFrom(process.open(path))));
  }

  get fd(): number {
    return this.session.fd;
  }

  close(): void {
    valueFrom(this.session.process.close(this.fd));
  }

  /** Any ioctl by its name, on this context or on another descriptor; reports refusals too. */
  call(
    name: string,
    fields: CallFields = {},
    options: CallOptions & { fd?: number } = {},
  ): CallReport {
    return this.session.byName(options.fd ?? this.fd, name, fields, options);
  }

  destroy(object: Identified): void {
    this.session.destroy(object.id);
  }

  ioasAlloc(): IoasHandle {
    this.session.begin();
    return new IoasHandle(this.session, this.session.call(S.IOAS_ALLOC, {}).out_ioas_id);
  }

  /** Opens a VFIO device and binds it to this context. */
  openDevice(path: string): VfioDevice {
    return VfioDevice.open(this.session, path);
  }

  hwptAlloc(spec: HwptSpec): HwptHandle {
    const { session } = this;
    session.begin();
    const data = spec.data === undefined ? null : encodeHwptData(spec.data);
    const { out_hwpt_id } = session.call(S.HWPT_ALLOC, {
      flags: hwptFlags(spec),
      dev_id: spec.device.id,
      pt_id: spec.on.id,
      data_type: data?.number ?? C.IOMMU_HWPT_DATA_NONE,
      data_len: data?.bytes.length ?? 0,
      data_uptr: session.place(data?.bytes ?? null),
      fault_id: spec.fault?.id ?? 0,
    });
    return new HwptHandle(session, out_hwpt_id);
  }

  /** What the device's IOMMU can do; `type` asks for one of several descriptions. */
  getHwInfo(device: Identified, type?: keyof typeof HW_INFO_DATA): HwInfo {
    const { session } = this;
    session.begin();
    const address = session.place(new Uint8Array(HW_INFO_BYTES));
    const answer = session.call(S.GET_HW_INFO, {
      flags: type === undefined ? 0 : C.IOMMU_HW_INFO_FLAG_INPUT_TYPE,
      in_data_type: type === undefined ? 0 : HW_INFO_DATA[type].number,
      dev_id: device.id,
      data_len: HW_INFO_BYTES,
      data_uptr: address,
    });
    const bytes = session.peek(address, Math.min(answer.data_len, HW_INFO_BYTES));
    const can = (bit: number): boolean => (answer.out_capabilities & BigInt(bit)) !== 0n;
    const log2 = answer.out_max_pasid_log2;
    return {
      type: answer.out_data_type,
      data: decodeHwInfo(answer.out_data_type, bytes),
      bytes,
      maxPasids: log2 === 0 ? 0 : 2 ** log2,
      dirtyTracking: can(C.IOMMU_HW_CAP_DIRTY_TRACKING),
      pasidExecute: can(C.IOMMU_HW_CAP_PCI_PASID_EXEC),
      pasidPrivileged: can(C.IOMMU_HW_CAP_PCI_PASID_PRIV),
      ats: !can(C.IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED),
    };
  }

  faultQueue(): FaultQueue {
    this.session.begin();
    const { out_fault_id, out_fault_fd } = this.session.call(S.FAULT_QUEUE_ALLOC, {});
    return new FaultQueue(this.session, out_fault_id, out_fault_fd);
  }

  viommuAlloc<T extends ViommuType>(spec: ViommuSpec<T>): ViommuHandle<T> {
    const { session } = this;
    const { number, layout } = VIOMMUS[spec.type];
    session.begin();
    const bytes =
      layout === null
        ? null
        : encode<Fields>(layout as Layout, (spec.data ?? {}) as Inputs<Fields>);
    const data_uptr = session.place(bytes);
    const { out_viommu_id } = session.call(S.VIOMMU_ALLOC, {
      type: number,
      dev_id: spec.device.id,
      hwpt_id: spec.parent.id,
      data_len: bytes?.length ?? 0,
      data_uptr,
    });
    const data =
      bytes === null
        ? null
        : decode<Fields>(layout as Layout, session.peek(data_uptr, bytes.length));
    return new ViommuHandle<T>(session, out_viommu_id, data as ViommuAnswer<T> | null);
  }

  /** Charges all pinned pages to this process (after a file-backed VM moved to it). */
  changeProcess(): void {
    this.session.begin();
    this.session.call(S.IOAS_CHANGE_PROCESS, {});
  }

  /** Whether pinned pages count as locked memory of the process, as with VFIO type 1. */
  get rlimitModeMm(): boolean {
    return this.rlimitMode(C.IOMMU_OPTION_OP_GET, 0n) !== 0n;
  }

  set rlimitModeMm(on: boolean) {
    this.rlimitMode(C.IOMMU_OPTION_OP_SET, on ? 1n : 0n);
  }

  /** The IOAS that VFIO type 1 calls on this descriptor use. */
  get vfioIoas(): IoasHandle {
    this.session.begin();
    const { ioas_id } = this.session.call(S.VFIO_IOAS, { op: C.IOMMU_VFIO_IOAS_GET });
    return new IoasHandle(this.session, ioas_id);
  }

  setVfioIoas(ioas: IoasHandle | null): void {
    this.session.begin();
    const op = ioas === null ? C.IOMMU_VFIO_IOAS_CLEAR : C.IOMMU_VFIO_IOAS_SET;
    this.session.call(S.VFIO_IOAS, { op, ioas_id: ioas?.id ?? 0 });
  }

  private rlimitMode(op: number, val64: bigint): bigint {
    this.session.begin();
    const option_id = C.IOMMU_OPTION_RLIMIT_MODE;
    return this.session.call(S.OPTION, { option_id, op, val64 }).val64;
  }
}

function hwptFlags({ nestParent, dirtyTracking, pasid, fault }: HwptSpec): number {
  return (
    (nestParent ? C.IOMMU_HWPT_ALLOC_NEST_PARENT : 0) |
    (dirtyTracking ? C.IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0) |
    (pasid ? C.IOMMU_HWPT_ALLOC_PASID : 0) |
    (fault === undefined ? 0 : C.IOMMU_HWPT_FAULT_ID_VALID)
  );
}
