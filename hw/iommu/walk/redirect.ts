/**
 * An architecture may send some final guest addresses through a table of its own instead of the
 * second stage (RISC-V: addresses of virtual interrupt files, IOMMU spec "MSI page tables").
 */
import type { Walk } from './walk.ts';

export interface Redirect {
  /** Whether the final guest page (walk.guestHi/Lo) is redirected; sets read* fields if so. */
  matches(walk: Walk): boolean;
  /** Consumes the entry's four words; returns a STEP_* code (DONE or FAULT). */
  decode(walk: Walk, w0: number, w1: number, w2: number, w3: number): number;
}
