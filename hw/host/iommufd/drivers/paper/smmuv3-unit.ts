/** An SMMUv3 on paper: its features, registers, and the ids that tag what it caches. */
import type { ErrnoName } from '../../../kernel/errno.ts';
import { fail } from '../../../kernel/errno.ts';
import type { CommandSupport } from '../formats/smmuv3-command-bits.ts';
import type { SmmuCommand } from '../formats/smmuv3-commands.ts';
import { type SmmuFeatures, type SmmuRegisters, smmuRegisters } from '../formats/smmuv3-info.ts';
import type { CmdqvFeatures } from '../formats/tegra241.ts';
import { TagIds } from './driver.ts';

export interface SmmuUnitFeatures extends SmmuFeatures {
  /** Tegra241's virtual command queues; null: a plain SMMUv3. */
  readonly cmdqv: CmdqvFeatures | null;
}

/** A server part with MMU-700. */
export const SMMU_FEATURES: SmmuUnitFeatures = {
  stage1: true,
  stage2: true,
  coherentWalks: true,
  dirtyFlags: true,
  ats: true,
  pri: true,
  wideAsid: true,
  wideVmid: true,
  commandQueueLog2: 19,
  substreamBits: 20,
  streamBits: 32,
  stage2Writeback: true,
  rangeInvalidation: true,
  largeAddresses: false,
  cmdqv: null,
};

/** CMDQV of Tegra241: two queues for each interface, 16 stream slots. */
export const CMDQV_FEATURES: CmdqvFeatures = {
  version: 1,
  interfaces: 64,
  queuesPerInterfaceLog2: 1,
  streamsPerInterfaceLog2: 4,
};

const NARROW_BITS = 8;
const WIDE_BITS = 16;

export class SmmuUnit {
  readonly name: string;
  readonly features: SmmuUnitFeatures;
  readonly registers: SmmuRegisters;
  readonly vmids: TagIds;
  readonly asids: TagIds;
  /** Interfaces of its CMDQV; the host keeps interface 0. */
  readonly interfaces: TagIds;
  /** Makes the command queue fail from now on; null: it works. */
  queueFailure: ErrnoName | null = null;

  constructor(name: string, features: SmmuUnitFeatures) {
    this.name = name;
    this.features = features;
    this.registers = smmuRegisters(features);
    this.vmids = new TagIds(2 ** (features.wideVmid ? WIDE_BITS : NARROW_BITS), 'VMID');
    this.asids = new TagIds(2 ** (features.wideAsid ? WIDE_BITS : NARROW_BITS), 'ASID');
    this.interfaces = new TagIds(features.cmdqv?.interfaces ?? 0, 'virtual interface');
  }

  get nests(): boolean {
    return this.features.stage1 && this.features.stage2;
  }

  get tracksDirty(): boolean {
    return this.features.dirtyFlags && this.features.coherentWalks;
  }

  get commandSupport(): CommandSupport {
    const { rangeInvalidation, largeAddresses, ats, substreamBits, wideAsid } = this.features;
    return { rangeInvalidation, largeAddresses, ats, substreams: substreamBits > 0, wideAsid };
  }

  /** The commands go to the queue with a final sync. */
  issue(_commands: readonly SmmuCommand[]): void {
    if (this.queueFailure !== null) fail(this.queueFailure, `the queue of ${this.name} failed`);
  }
}
