/**
 * Structures of the guest-PASID interface of 2020 as the kernel read them (include/uapi/linux/
 * iommu.h and drivers/iommu/iommu.c, v5.10): argsz against the end of the mandatory part, then as
 * much as both sides know, then contents. A tail that the kernel does not know is ignored, whatever
 * it holds: iommufd later refused it.
 */
import type { AddressSpace } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import {
  IOMMU_CACHE_INV_TYPE_DEV_IOTLB,
  IOMMU_CACHE_INV_TYPE_NR,
  IOMMU_CACHE_INV_TYPE_PASID,
  IOMMU_CACHE_INVALIDATE_INFO_VERSION_1,
  IOMMU_FAULT_DMA_UNRECOV,
  IOMMU_FAULT_PAGE_REQ,
  IOMMU_GPASID_BIND_VERSION_1,
  IOMMU_INV_ADDR_FLAGS_ARCHID,
  IOMMU_INV_ADDR_FLAGS_LEAF,
  IOMMU_INV_ADDR_FLAGS_PASID,
  IOMMU_INV_GRANU_ADDR,
  IOMMU_INV_GRANU_DOMAIN,
  IOMMU_INV_GRANU_NR,
  IOMMU_INV_GRANU_PASID,
  IOMMU_INV_PASID_FLAGS_ARCHID,
  IOMMU_INV_PASID_FLAGS_PASID,
  IOMMU_PAGE_RESP_PASID_VALID,
  IOMMU_PAGE_RESP_VERSION_1,
  IOMMU_PASID_FORMAT_LAST,
  IOMMU_SVA_GPASID_VAL,
} from '../uapi/legacy-constants.ts';
import {
  LEGACY_CACHE_INVALIDATE,
  LEGACY_FAULT,
  LEGACY_FAULT_PAGE_REQUEST,
  LEGACY_FAULT_UNRECOVERABLE,
  LEGACY_GPASID_BIND,
  LEGACY_INV_ADDR_INFO,
  LEGACY_INV_PASID_INFO,
  LEGACY_PAGE_RESPONSE,
} from '../uapi/legacy-structs.ts';

/** A guest's first-stage table for one PASID. */
export interface GpasidBind {
  readonly argsz: number;
  readonly format: number;
  readonly addressWidth: number;
  readonly guestPasidValid: boolean;
  /** Table root, in guest physical addresses. */
  readonly table: bigint;
  readonly hostPasid: bigint;
  readonly guestPasid: bigint;
  readonly vtdFlags: bigint;
  readonly vtdPat: number;
  readonly vtdEmt: number;
}

export interface LegacyInvalidation {
  /** Bits: IOTLB 1, device TLB 2, PASID cache 4. */
  readonly cache: number;
  readonly granularity: number;
  /** -1n: the structure names none. */
  readonly pasid: bigint;
  readonly address: bigint;
  readonly granule: bigint;
  readonly granules: bigint;
  readonly leaf: boolean;
}

export interface LegacyResponse {
  readonly hasPasid: boolean;
  readonly pasid: number;
  readonly grpid: number;
  readonly code: number;
}

/** A page request or an unrecoverable fault, as it went to user space. */
export interface LegacyPageRequest {
  readonly flags: number;
  readonly pasid: number;
  readonly grpid: number;
  readonly perm: number;
  readonly address: bigint;
}

export interface LegacyUnrecoverable {
  readonly reason: number;
  readonly flags: number;
  readonly pasid: number;
  readonly perm: number;
  readonly address: bigint;
  readonly fetchAddress: bigint;
}

/** Offset of what follows type and padding, or version and the fixed part. */
const RECORD_AT = 8;
const GRANULE_AT = 16;

/** The mandatory part, then what both sides know of the rest. */
function readGrowing(
  space: AddressSpace,
  address: bigint,
  layout: { readonly name: string; readonly size: number; readonly minSize: number },
  needed: (view: DataView) => number,
): DataView {
  const bytes = new Uint8Array(layout.size);
  const view = new DataView(bytes.buffer);
  space.copyIn(address, bytes.subarray(0, layout.minSize));
  const argsz = view.getUint32(0, true);
  const least = needed(view);
  if (argsz < layout.minSize) fail('EINVAL', `argsz ${argsz} is below ${layout.minSize}`);
  if (argsz < least) fail('EINVAL', `argsz ${argsz} is below the ${least} that this form needs`);
  const known = Math.min(argsz, layout.size);
  space.copyIn(address + BigInt(layout.minSize), bytes.subarray(layout.minSize, known));
  return view;
}

function checkPadding(view: DataView, at: number, count: number): void {
  for (let i = 0; i < count; i++) {
    if (view.getUint8(at + i) !== 0) fail('EINVAL', `padding byte ${i} is not zero`);
  }
}

function checkVersion(view: DataView, version: number): void {
  const given = view.getUint32(4, true);
  if (given !== version) fail('EINVAL', `version ${given} is not ${version}`);
}

/** iommu_sva_prepare_bind_data; unbind takes the same structure. */
export function readBind(space: AddressSpace, address: bigint): GpasidBind {
  const { at, fields, minSize } = LEGACY_GPASID_BIND;
  const view = readGrowing(space, address, LEGACY_GPASID_BIND, () => minSize);
  checkVersion(view, IOMMU_GPASID_BIND_VERSION_1);
  const format = view.getUint32(at.format, true);
  if (format >= IOMMU_PASID_FORMAT_LAST) fail('EINVAL', `format ${format} is not known`);
  const flags = view.getBigUint64(at.flags, true);
  if ((flags & ~BigInt(IOMMU_SVA_GPASID_VAL)) !== 0n) {
    fail('EINVAL', `flags 0x${flags.toString(16)}: only GPASID_VAL 1 is known`);
  }
  checkPadding(view, at.padding, fields.padding.count);
  return {
    argsz: view.getUint32(at.argsz, true),
    format,
    addressWidth: view.getUint32(at.addr_width, true),
    guestPasidValid: flags !== 0n,
    table: view.getBigUint64(at.gpgd, true),
    hostPasid: view.getBigUint64(at.hpasid, true),
    guestPasid: view.getBigUint64(at.gpasid, true),
    vtdFlags: view.getBigUint64(at.vtd_flags, true),
    vtdPat: view.getUint32(at.vtd_pat, true),
    vtdEmt: view.getUint32(at.vtd_emt, true),
  };
}

/** iommu_uapi_cache_invalidate, up to the driver's part. */
export function readInvalidation(space: AddressSpace, address: bigint): LegacyInvalidation {
  const { at, fields } = LEGACY_CACHE_INVALIDATE;
  const view = readGrowing(space, address, LEGACY_CACHE_INVALIDATE, invalidationBytes);
  checkVersion(view, IOMMU_CACHE_INVALIDATE_INFO_VERSION_1);
  const cache = view.getUint8(at.cache);
  const granularity = view.getUint8(at.granularity);
  if (cache >> IOMMU_CACHE_INV_TYPE_NR !== 0) fail('EINVAL', `caches 0x${cache.toString(16)}`);
  if (granularity >= IOMMU_INV_GRANU_NR) fail('EINVAL', `granularity ${granularity} is not known`);
  const granule = readGranule(view, cache, granularity);
  checkPadding(view, at.padding, fields.padding.count);
  return { cache, granularity, ...granule };
}

/** A PASID or an address needs its part of the union. */
function invalidationBytes(view: DataView): number {
  switch (view.getUint8(LEGACY_CACHE_INVALIDATE.at.granularity)) {
    case IOMMU_INV_GRANU_PASID:
      return GRANULE_AT + LEGACY_INV_PASID_INFO.size;
    case IOMMU_INV_GRANU_ADDR:
      return GRANULE_AT + LEGACY_INV_ADDR_INFO.size;
    default:
      return LEGACY_CACHE_INVALIDATE.minSize;
  }
}

type Granule = Pick<LegacyInvalidation, 'pasid' | 'address' | 'granule' | 'granules' | 'leaf'>;

const NO_GRANULE: Granule = { pasid: -1n, address: 0n, granule: 0n, granules: 0n, leaf: false };

function readGranule(view: DataView, cache: number, granularity: number): Granule {
  if (granularity === IOMMU_INV_GRANU_DOMAIN) {
    if ((cache & IOMMU_CACHE_INV_TYPE_DEV_IOTLB) !== 0) {
      fail('EINVAL', 'device TLBs cannot be invalidated by domain');
    }
    return NO_GRANULE;
  }
  if (granularity === IOMMU_INV_GRANU_PASID) {
    const { at } = LEGACY_INV_PASID_INFO;
    const flags = view.getUint32(GRANULE_AT + at.flags, true);
    const known = IOMMU_INV_PASID_FLAGS_PASID | IOMMU_INV_PASID_FLAGS_ARCHID;
    if ((flags & ~known) !== 0) fail('EINVAL', `PASID flags 0x${flags.toString(16)}`);
    const named = (flags & IOMMU_INV_PASID_FLAGS_PASID) !== 0;
    const pasid = named ? view.getBigUint64(GRANULE_AT + at.pasid, true) : -1n;
    return { ...NO_GRANULE, pasid };
  }
  return readAddress(view, cache);
}

function readAddress(view: DataView, cache: number): Granule {
  const { at } = LEGACY_INV_ADDR_INFO;
  if ((cache & IOMMU_CACHE_INV_TYPE_PASID) !== 0) {
    fail('EINVAL', 'the PASID cache cannot be invalidated by address');
  }
  const flags = view.getUint32(GRANULE_AT + at.flags, true);
  const known =
    IOMMU_INV_ADDR_FLAGS_PASID | IOMMU_INV_ADDR_FLAGS_ARCHID | IOMMU_INV_ADDR_FLAGS_LEAF;
  if ((flags & ~known) !== 0) fail('EINVAL', `address flags 0x${flags.toString(16)}`);
  const named = (flags & IOMMU_INV_ADDR_FLAGS_PASID) !== 0;
  return {
    pasid: named ? view.getBigUint64(GRANULE_AT + at.pasid, true) : -1n,
    address: view.getBigUint64(GRANULE_AT + at.addr, true),
    granule: view.getBigUint64(GRANULE_AT + at.granule_size, true),
    granules: view.getBigUint64(GRANULE_AT + at.nb_granules, true),
    leaf: (flags & IOMMU_INV_ADDR_FLAGS_LEAF) !== 0,
  };
}

/** The response of user space to a page request. */
export function readResponse(space: AddressSpace, address: bigint): LegacyResponse {
  const { at, size } = LEGACY_PAGE_RESPONSE;
  const view = readGrowing(space, address, LEGACY_PAGE_RESPONSE, () => size);
  checkVersion(view, IOMMU_PAGE_RESP_VERSION_1);
  const flags = view.getUint32(at.flags, true);
  if ((flags & ~IOMMU_PAGE_RESP_PASID_VALID) !== 0) {
    fail('EINVAL', `flags 0x${flags.toString(16)}: only PASID_VALID 1 is known`);
  }
  return {
    hasPasid: (flags & IOMMU_PAGE_RESP_PASID_VALID) !== 0,
    pasid: view.getUint32(at.pasid, true),
    grpid: view.getUint32(at.grpid, true),
    code: view.getUint32(at.code, true),
  };
}

/** struct iommu_fault of type PAGE_REQ. */
export function pageRequestRecord(request: LegacyPageRequest): Uint8Array {
  const { at } = LEGACY_FAULT_PAGE_REQUEST;
  const bytes = new Uint8Array(LEGACY_FAULT.size);
  const view = new DataView(bytes.buffer);
  view.setUint32(LEGACY_FAULT.at.type, IOMMU_FAULT_PAGE_REQ, true);
  view.setUint32(RECORD_AT + at.flags, request.flags, true);
  view.setUint32(RECORD_AT + at.pasid, request.pasid, true);
  view.setUint32(RECORD_AT + at.grpid, request.grpid, true);
  view.setUint32(RECORD_AT + at.perm, request.perm, true);
  view.setBigUint64(RECORD_AT + at.addr, request.address, true);
  return bytes;
}

/** struct iommu_fault of type DMA_UNRECOV. */
export function unrecoverableRecord(fault: LegacyUnrecoverable): Uint8Array {
  const { at } = LEGACY_FAULT_UNRECOVERABLE;
  const bytes = new Uint8Array(LEGACY_FAULT.size);
  const view = new DataView(bytes.buffer);
  view.setUint32(LEGACY_FAULT.at.type, IOMMU_FAULT_DMA_UNRECOV, true);
  view.setUint32(RECORD_AT + at.reason, fault.reason, true);
  view.setUint32(RECORD_AT + at.flags, fault.flags, true);
  view.setUint32(RECORD_AT + at.pasid, fault.pasid, true);
  view.setUint32(RECORD_AT + at.perm, fault.perm, true);
  view.setBigUint64(RECORD_AT + at.addr, fault.address, true);
  view.setBigUint64(RECORD_AT + at.fetch_addr, fault.fetchAddress, true);
  return bytes;
}
