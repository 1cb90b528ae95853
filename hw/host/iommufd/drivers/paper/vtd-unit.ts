/**
 * A VT-d unit on paper: its capabilities, told in the capability registers, and what follows from
 * them (drivers/iommu/intel/iommu.h).
 */
import { TagIds } from './driver.ts';

export interface VtdFeatures {
  /** Scalable mode (ECAP.SMTS); without it there is only legacy mode. */
  readonly scalable: boolean;
  readonly firstStage: boolean;
  readonly secondStage: boolean;
  readonly nesting: boolean;
  /** Second-stage accessed and dirty flags (ECAP.SLADS). */
  readonly dirtyFlags: boolean;
  /** The unit snoops when it walks tables (ECAP.C), and when it uses PASID tables (SMPWCS). */
  readonly coherentWalks: boolean;
  readonly coherentPasidWalks: boolean;
  /** Accesses can be forced to snoop (ECAP.SC). */
  readonly snoopControl: boolean;
  readonly pasid: boolean;
  readonly supervisor: boolean;
  readonly extendedAccessed: boolean;
  readonly deviceTlb: boolean;
  /** First stage with five levels. */
  readonly fiveLevels: boolean;
  readonly firstStage1G: boolean;
  readonly secondStage2M: boolean;
  readonly secondStage1G: boolean;
  readonly addressBits: number;
  /** Write buffers must be flushed by software (CAP.RWBF), and what is absent is cached (CM). */
  readonly writeBuffers: boolean;
  readonly cachingMode: boolean;
  /** log2 of the domain ids: 4, 6, ... 16. */
  readonly domainIdBits: number;
}

/** A server part with scalable mode (Sapphire Rapids and later). */
export const VTD_FEATURES: VtdFeatures = {
  scalable: true,
  firstStage: true,
  secondStage: true,
  nesting: true,
  dirtyFlags: true,
  coherentWalks: true,
  coherentPasidWalks: true,
  snoopControl: true,
  pasid: true,
  supervisor: false,
  extendedAccessed: false,
  deviceTlb: true,
  fiveLevels: true,
  firstStage1G: true,
  secondStage2M: true,
  secondStage1G: true,
  addressBits: 57,
  writeBuffers: false,
  cachingMode: false,
  domainIdBits: 16,
};

const PSS_20_BITS = 19n;
const SAGAW_4_LEVELS = 4n;
const SAGAW_5_LEVELS = 8n;
/** Ids 0 and 1 stand for no domain and for first-stage defaults. */
const FIRST_DOMAIN_ID = 2;

export class VtdUnit {
  readonly name: string;
  readonly features: VtdFeatures;
  readonly domainIds: TagIds;

  constructor(name: string, features: VtdFeatures) {
    this.name = name;
    this.features = features;
    this.domainIds = new TagIds(2 ** features.domainIdBits, 'domain id', FIRST_DOMAIN_ID);
  }

  /** ssads_supported. */
  get tracksDirty(): boolean {
    const { scalable, dirtyFlags, coherentPasidWalks } = this.features;
    return scalable && dirtyFlags && coherentPasidWalks;
  }

  get nests(): boolean {
    return this.features.scalable && this.features.nesting;
  }

  get pasids(): boolean {
    return this.features.scalable && this.features.pasid;
  }

  /** Legacy mode always has the second stage. */
  get hasSecondStage(): boolean {
    return !this.features.scalable || this.features.secondStage;
  }

  get hasFirstStage(): boolean {
    return this.features.scalable && this.features.firstStage;
  }

  /** CAP (VT-d specification, "Capability Register"). */
  get capability(): bigint {
    const f = this.features;
    const width = f.addressBits > 48 ? SAGAW_4_LEVELS | SAGAW_5_LEVELS : SAGAW_4_LEVELS;
    return (
      (BigInt(f.domainIdBits - 4) / 2n) |
      bit(f.writeBuffers, 4) |
      bit(f.cachingMode, 7) |
      (width << 8n) |
      (BigInt(f.addressBits - 1) << 16n) |
      bit(f.secondStage2M, 34) |
      bit(f.secondStage1G, 35) |
      bit(true, 39) |
      bit(f.firstStage1G, 56) |
      bit(f.fiveLevels, 60) |
      bit(true, 63)
    );
  }

  /** ECAP ("Extended Capability Register"). */
  get extended(): bigint {
    const f = this.features;
    return (
      bit(f.coherentWalks, 0) |
      bit(true, 1) |
      bit(f.deviceTlb, 2) |
      bit(true, 3) |
      bit(true, 6) |
      bit(f.snoopControl, 7) |
      bit(f.nesting, 26) |
      bit(f.deviceTlb, 29) |
      bit(f.supervisor, 31) |
      bit(f.extendedAccessed, 34) |
      (f.pasid ? PSS_20_BITS << 35n : 0n) |
      bit(f.pasid, 40) |
      bit(f.scalable, 43) |
      bit(f.dirtyFlags, 45) |
      bit(f.secondStage, 46) |
      bit(f.firstStage, 47) |
      bit(f.coherentPasidWalks, 48)
    );
  }
}

function bit(set: boolean, at: number): bigint {
  return set ? 1n << BigInt(at) : 0n;
}
