/**
 * What an instance of the RISC-V IOMMU can do: the `capabilities` register taken apart (IOMMU spec
 * 5.3), and the few properties that the register does not tell.
 */

export interface Capabilities {
  readonly sv32: boolean;
  readonly sv39: boolean;
  readonly sv48: boolean;
  readonly sv57: boolean;
  readonly svrsw60t59b: boolean;
  readonly svpbmt: boolean;
  readonly sv32x4: boolean;
  readonly sv39x4: boolean;
  readonly sv48x4: boolean;
  readonly sv57x4: boolean;
  readonly msiFlat: boolean;
  readonly msiMrif: boolean;
  readonly amoHwad: boolean;
  readonly ats: boolean;
  readonly t2gpa: boolean;
  /** Both byte orders are supported. */
  readonly end: boolean;
  /** IGS_*: how interrupts can be signalled. */
  readonly igs: number;
  readonly dbg: boolean;
  /** Width of a physical address in bits. */
  readonly pas: number;
  readonly pd8: boolean;
  readonly pd17: boolean;
  readonly pd20: boolean;
  readonly qosid: boolean;
  /** Non-leaf and address-range invalidation. */
  readonly nl: boolean;
  readonly s: boolean;
}

export const IGS_MSI = 0;
export const IGS_WSI = 1;
export const IGS_BOTH = 2;

/** Bit positions of the one-bit fields. */
const FLAG_BITS = {
  sv32: 8,
  sv39: 9,
  sv48: 10,
  sv57: 11,
  svrsw60t59b: 14,
  svpbmt: 15,
  sv32x4: 16,
  sv39x4: 17,
  sv48x4: 18,
  sv57x4: 19,
  msiFlat: 22,
  msiMrif: 23,
  amoHwad: 24,
  ats: 25,
  t2gpa: 26,
  end: 27,
  dbg: 31,
  pd8: 38,
  pd17: 39,
  pd20: 40,
  qosid: 41,
  nl: 42,
  s: 43,
} as const;

type Flags = { -readonly [K in keyof typeof FLAG_BITS]: boolean };

export function decodeCapabilities(value: bigint): Capabilities {
  const flags = {} as Flags;
  for (const [name, bit] of Object.entries(FLAG_BITS)) {
    flags[name as keyof Flags] = ((value >> BigInt(bit)) & 1n) === 1n;
  }
  return {
    ...flags,
    igs: Number((value >> 28n) & 3n),
    pas: Number((value >> 32n) & 0x3fn),
  };
}

/** One instance of the unit. */
export interface RiscvIommuSpec {
  /** Value of the `capabilities` register. The performance monitor (HPM) is not present. */
  readonly capabilities: bigint;
  /** Reset value of `fctl`. */
  readonly fctl: number;
  readonly gxlWritable: boolean;
  readonly beWritable: boolean;
  /** Writable bits of each field of `icvec`, 0..4; there are 2^this interrupt vectors. */
  readonly vectorBits: number;
  /** Highest `ddtp.iommu_mode`: 2 = 1LVL, 3 = 2LVL, 4 = 3LVL. */
  readonly maxMode: number;
}

/** The `capabilities` value of version 1.0 with the named features. */
export function encodeCapabilities(
  features: readonly (keyof typeof FLAG_BITS)[],
  igs: number,
  pas: number,
): bigint {
  let value = 0x10n | (BigInt(igs) << 28n) | (BigInt(pas) << 32n);
  for (const name of features) value |= 1n << BigInt(FLAG_BITS[name]);
  return value;
}

/** Every one-bit feature. */
export const ALL_FEATURES: readonly (keyof typeof FLAG_BITS)[] = Object.keys(
  FLAG_BITS,
) as (keyof typeof FLAG_BITS)[];

/** All optional features but big-endian structures and QoS identifiers. */
export const DEFAULT_RISCV_SPEC: RiscvIommuSpec = {
  capabilities: encodeCapabilities(
    ALL_FEATURES.filter((name) => name !== 'end' && name !== 'qosid'),
    IGS_BOTH,
    56,
  ),
  fctl: 0,
  gxlWritable: true,
  beWritable: false,
  vectorBits: 4,
  maxMode: 4,
};

/** `fctl` fields (5.4). */
export const FCTL_BE = 1;
export const FCTL_WSI = 2;
export const FCTL_GXL = 4;
