/**
 * Process context (spec "Process-Directory-Table"): layout and configuration checks. Words are
 * values, as for device contexts.
 */
import { firstStageSupported, type Instance } from './device-context.ts';
import { rootHi, rootLo } from './words.ts';

export interface ProcessContext {
  readonly ens: boolean;
  readonly sum: boolean;
  readonly pscid: number;
  readonly fscMode: number;
  readonly fscHi: number;
  readonly fscLo: number;
}

export const PROCESS_CONTEXT_BYTES = 16;

const ENS = 1 << 1;
const SUM = 1 << 2;

/** Reserved bits of the four words. */
const RESERVED = [0xff8, -1, 0, 0x0ffff000] as const;

/** Spec "Process-context configuration checks"; `sxl` is the device context's. */
export function processMisconfigured(words: Int32Array, sxl: boolean, instance: Instance): boolean {
  for (let i = 0; i < 4; i++) if ((words[i] & RESERVED[i]) !== 0) return true;
  return !firstStageSupported(instance.caps, sxl, words[3] >>> 28);
}

export function decodeProcess(words: Int32Array): ProcessContext {
  return {
    ens: (words[0] & ENS) !== 0,
    sum: (words[0] & SUM) !== 0,
    pscid: words[0] >>> 12,
    fscMode: words[3] >>> 28,
    fscHi: rootHi(words[2], words[3]),
    fscLo: rootLo(words[2]),
  };
}
