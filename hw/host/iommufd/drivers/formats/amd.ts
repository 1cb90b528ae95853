/**
 * What user space and the AMD driver tell each other: the device table entry of a guest, its check
 * and the entry installed from it and the parent's v1 table, and the feature registers
 * (drivers/iommu/amd/nested.c, iommufd.c).
 */
import { fail } from '../../../kernel/errno.ts';
import type { HardwareInfo, UserData } from '../../driver.ts';
import {
  IOMMU_HW_INFO_TYPE_AMD,
  IOMMU_HW_INFO_TYPE_DEFAULT,
  IOMMU_HWPT_DATA_AMD_GUEST,
} from '../../uapi/constants.ts';
import { HWPT_AMD_GUEST } from '../../uapi/data-structs.ts';
import { AMD_DTE, AMD_GPT_LEVEL } from '../../uapi/driver-constants.ts';
import { copyStruct } from '../../user-data.ts';
import { bytesOf, getField, putField, wordsOf } from './bits.ts';

/** A guest's entry after its check: four words. */
export type GuestDte = readonly [bigint, bigint, bigint, bigint];

const RESERVED_GLX = 3n;

export function readGuestDte(data: UserData, fiveLevels: boolean): GuestDte {
  if (data.type !== IOMMU_HWPT_DATA_AMD_GUEST) {
    fail('EOPNOTSUPP', `data type ${data.type}: a nested domain here takes AMD_GUEST 3`);
  }
  const { minSize, size } = HWPT_AMD_GUEST;
  const bytes = copyStruct(data, IOMMU_HWPT_DATA_AMD_GUEST, minSize, size);
  const words = wordsOf(bytes) as unknown as GuestDte;
  checkGuestDte(words, fiveLevels);
  return words;
}

/** validate_gdte_nested. `fiveLevels`: the host's hardware walks them. */
export function checkGuestDte(dte: GuestDte, fiveLevels: boolean): void {
  const [word0, word1, word2] = dte;
  if ((word0 & (AMD_DTE.dw0_MODE | AMD_DTE.dw0_HOST_TRP)) !== 0n) {
    fail('EINVAL', "DTE Mode and host table root are the host's and must be 0");
  }
  const valid = (word0 & AMD_DTE.dw0_V) !== 0n && (word0 & AMD_DTE.dw0_GV) !== 0n;
  const root =
    (word0 & AMD_DTE.dw0_GCR3_14_12) | (word1 & (AMD_DTE.dw1_GCR3_30_15 | AMD_DTE.dw1_GCR3_51_31));
  if (valid && root === 0n) fail('EINVAL', 'DTE V and GV are set, but the GCR3 table root is 0');
  const level = Number(getField(word2, AMD_DTE.dw2_GPT_LEVEL));
  if (level !== AMD_GPT_LEVEL.FOUR_LEVEL && level !== AMD_GPT_LEVEL.FIVE_LEVEL) {
    fail('EINVAL', `DTE GuestPagingMode ${level} is neither 0 nor 1`);
  }
  if (getField(word0, AMD_DTE.dw0_GLX) === RESERVED_GLX) fail('EINVAL', 'DTE GLX 3 is reserved');
  if (level === AMD_GPT_LEVEL.FIVE_LEVEL && !fiveLevels) {
    fail('EOPNOTSUPP', 'DTE asks for five levels, but the host walks four');
  }
}

/** Domain id that the guest gave its entry. */
export function guestDomainId(dte: GuestDte): number {
  return Number(getField(dte[1], AMD_DTE.dw1_DOMID));
}

/** A v1 table as it stands in an entry. */
export interface HostTable {
  /** Physical address of the root table. */
  readonly root: bigint;
  /** Levels of the table. */
  readonly mode: number;
  /** Hardware sets accessed and dirty bits. */
  readonly tracksDirty: boolean;
}

const HAD_BOTH = 3n;

/** amd_iommu_set_dte_v1 on a cleared entry. */
export function hostDte(table: HostTable, domainId: number): GuestDte {
  const word0 =
    AMD_DTE.dw0_V |
    AMD_DTE.dw0_TV |
    AMD_DTE.dw0_IR |
    AMD_DTE.dw0_IW |
    putField(AMD_DTE.dw0_MODE, BigInt(table.mode)) |
    (table.root & AMD_DTE.dw0_HOST_TRP) |
    (table.tracksDirty ? putField(AMD_DTE.dw0_HAD, HAD_BOTH) : 0n);
  return [word0, putField(AMD_DTE.dw1_DOMID, BigInt(domainId)), 0n, 0n];
}

/** set_dte_nested: the guest's part is PPR, GLX, GIOV, the GCR3 root and the guest paging mode. */
export function installedDte(guest: GuestDte, table: HostTable, domainId: number): GuestDte {
  const host = hostDte(table, domainId);
  const fromGuest0 = AMD_DTE.dw0_PPR | AMD_DTE.dw0_GLX | AMD_DTE.dw0_GIOV | AMD_DTE.dw0_GCR3_14_12;
  const fromGuest1 = AMD_DTE.dw1_GCR3_30_15 | AMD_DTE.dw1_GCR3_51_31;
  return [
    host[0] | AMD_DTE.dw0_GV | (guest[0] & fromGuest0),
    host[1] | (guest[1] & fromGuest1),
    host[2] | (guest[2] & AMD_DTE.dw2_GPT_LEVEL),
    host[3],
  ];
}

/** Ids that tag the translations of a unit's domains; the host's and the guests' in one space. */
export interface DomainIds {
  /** ENOSPC: none is left. */
  take(): number;
  give(id: number): void;
}

/**
 * Guest domain ids of one vIOMMU: equal ones share a host id, so that the tags of two guest tables
 * never meet (gdom_info of nested.c).
 */
export class GuestDomains {
  private readonly ids: DomainIds;
  private readonly mapping: Map<number, { readonly host: number; users: number }> = new Map();

  constructor(ids: DomainIds) {
    this.ids = ids;
  }

  take(guestId: number): number {
    const known = this.mapping.get(guestId);
    if (known !== undefined) {
      known.users++;
      return known.host;
    }
    const host = this.ids.take();
    this.mapping.set(guestId, { host, users: 1 });
    return host;
  }

  give(guestId: number): void {
    const known = this.mapping.get(guestId);
    if (known === undefined) return;
    known.users--;
    if (known.users > 0) return;
    this.mapping.delete(guestId);
    this.ids.give(known.host);
  }

  /** Host ids in use: an unmap in the parent must invalidate each of them. */
  get hostIds(): number[] {
    return [...this.mapping.values()].map(({ host }) => host);
  }
}

/** amd_iommufd_hw_info. */
export function amdHwInfo(type: number, efr: bigint, efr2: bigint): HardwareInfo {
  if (type !== IOMMU_HW_INFO_TYPE_DEFAULT && type !== IOMMU_HW_INFO_TYPE_AMD) {
    fail('EOPNOTSUPP', `hardware information of type ${type} from an AMD IOMMU`);
  }
  return { type: IOMMU_HW_INFO_TYPE_AMD, bytes: bytesOf([efr, efr2]) };
}
