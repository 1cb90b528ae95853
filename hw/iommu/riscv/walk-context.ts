/** The walk context (walk/context.ts) of a device and, where there is one, a first stage. */
import {
  bareWalkContext,
  WC_REDIRECT,
  WC_S1_FLAGS,
  WC_S1_FORMAT,
  WC_S1_ROOT_HI,
  WC_S1_ROOT_LO,
  WC_S2_FLAGS,
  WC_S2_FORMAT,
  WC_S2_ROOT_HI,
  WC_S2_ROOT_LO,
  WC_TAG1,
  WC_TAG2,
} from '../walk/context.ts';
import {
  STAGE_BIG_ENDIAN,
  STAGE_HW_AD,
  STAGE_INPUT_BITS_SHIFT,
  STAGE_PRIVILEGED_USER,
} from '../walk/format.ts';
import { formatNumber } from '../walk/registry.ts';
import { type DeviceContext, type Instance, MODE_8 } from './device-context.ts';
import {
  RISCV_PBMT,
  RISCV_RSW,
  SV32,
  SV32X4,
  SV39,
  SV39X4,
  SV48,
  SV48X4,
  SV57,
  SV57X4,
} from './formats.ts';
import {
  MSI_BIG_ENDIAN,
  MSI_MRIF,
  WC_MSI_FLAGS,
  WC_MSI_HI,
  WC_MSI_LO,
  WC_MSI_MASK_HI,
  WC_MSI_MASK_LO,
  WC_MSI_PATTERN_HI,
  WC_MSI_PATTERN_LO,
} from './msi.ts';
import type { ProcessContext } from './process-context.ts';

/** By MODE - 8. */
const FIRST_STAGE = [SV39, SV48, SV57] as const;
const SECOND_STAGE = [SV39X4, SV48X4, SV57X4] as const;

/** With SXL = 1 guest addresses have at most 34 bits (spec, "Translation control"). */
const SXL_GUEST_BITS = 34;

export function walkContextOf(
  instance: Instance,
  device: DeviceContext,
  first: ProcessContext | null,
  secondStage: boolean,
  redirect: boolean,
): Int32Array {
  const words = bareWalkContext();
  const { caps } = instance;
  const extensions = (caps.svpbmt ? RISCV_PBMT : 0) | (caps.svrsw60t59b ? RISCV_RSW : 0);
  if (first !== null) {
    const format = device.sxl ? SV32 : FIRST_STAGE[first.fscMode - MODE_8];
    words[WC_S1_FORMAT] = formatNumber(format);
    words[WC_S1_ROOT_HI] = first.fscHi;
    words[WC_S1_ROOT_LO] = first.fscLo;
    words[WC_S1_FLAGS] =
      extensions |
      (device.sade ? STAGE_HW_AD : 0) |
      (device.sbe ? STAGE_BIG_ENDIAN : 0) |
      (first.sum ? STAGE_PRIVILEGED_USER : 0);
    words[WC_TAG1] = first.pscid;
  }
  if (!secondStage) return words;
  const format = instance.gxl ? SV32X4 : SECOND_STAGE[device.iohgatpMode - MODE_8];
  words[WC_S2_FORMAT] = formatNumber(format);
  words[WC_S2_ROOT_HI] = device.iohgatpHi;
  words[WC_S2_ROOT_LO] = device.iohgatpLo;
  words[WC_S2_FLAGS] =
    extensions |
    (device.gade ? STAGE_HW_AD : 0) |
    (instance.bigEndian ? STAGE_BIG_ENDIAN : 0) |
    (device.sxl ? SXL_GUEST_BITS << STAGE_INPUT_BITS_SHIFT : 0);
  words[WC_TAG2] = device.gscid;
  if (!redirect) return words;
  words[WC_REDIRECT] = 1;
  words[WC_MSI_FLAGS] = (instance.bigEndian ? MSI_BIG_ENDIAN : 0) | (caps.msiMrif ? MSI_MRIF : 0);
  words[WC_MSI_HI] = device.msiHi;
  words[WC_MSI_LO] = device.msiLo;
  words[WC_MSI_MASK_HI] = device.maskHi;
  words[WC_MSI_MASK_LO] = device.maskLo;
  words[WC_MSI_PATTERN_HI] = device.patternHi;
  words[WC_MSI_PATTERN_LO] = device.patternLo;
  return words;
}
