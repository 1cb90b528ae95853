/**
 * Intel VT-d remapping unit in legacy mode: registers, root and context tables, second-stage
 * translation, queued invalidation and primary fault logging, as the shared machinery drives them.
 */
import { pageNumber } from '../../address.ts';
import { ACCESS_WRITE } from '../access.ts';
import {
  type Architecture,
  CONTEXT_BYPASS,
  type DeviceRequest,
  type FaultReport,
  type IommuUnit,
  REQUEST_UNTRANSLATED,
  type TranslationContext,
  type UnitPorts,
} from '../architecture.ts';
import { WC_S2_FORMAT } from '../walk/context.ts';
import {
  FAULT_ACCESS,
  FAULT_INPUT_RANGE,
  FAULT_NOT_PRESENT,
  FAULT_PERMISSION,
  FAULT_POISON,
} from '../walk/format.ts';
import type { Redirect } from '../walk/redirect.ts';
import { formatOf } from '../walk/registry.ts';
import type { Walk } from '../walk/walk.ts';
import { allowsKind, VtdContexts } from './context.ts';
import { inInterruptRange, isInterruptMessage, isProtected, recordFault } from './faults.ts';
import { VTD_FORMATS } from './formats.ts';
import * as R from './layout.ts';
import { VtdQueue } from './queue.ts';
import { VtdRegisters } from './registers.ts';
import type { VtdIdentity } from './spec.ts';
import { enabled, type VtdState, vtdState } from './state.ts';

export const VTD: Architecture = { name: 'vtd', formats: VTD_FORMATS };

export class VtdUnit implements IommuUnit {
  readonly state: VtdState;
  readonly registers: VtdRegisters;
  readonly contexts: VtdContexts;
  readonly commands: VtdQueue;
  readonly redirect: Redirect | null = null;
  readonly addressBits: number;
  readonly #ports: UnitPorts;

  constructor(identity: VtdIdentity, ports: UnitPorts) {
    this.#ports = ports;
    this.state = vtdState(identity);
    this.registers = new VtdRegisters(this.state, ports);
    this.contexts = new VtdContexts(this.state);
    this.commands = new VtdQueue(this.state, ports);
    this.addressBits = identity.hostAddressBits;
  }

  checkRequest(request: DeviceRequest, context: TranslationContext): number {
    const { hi, lo, kind } = request;
    if (inInterruptRange(hi, lo) && kind === REQUEST_UNTRANSLATED) {
      // Only writes without PASID are interrupt messages; anything else there is refused (3.14).
      return isInterruptMessage(request) ? 0 : R.UNRECORDED;
    }
    if (!allowsKind(kind, context)) return this.#qualify(R.REASON_TYPE_BLOCKED, context);
    if (context.inputBits < 64 && pageNumber(hi, lo) >= 2 ** (context.inputBits - 12)) {
      return this.#qualify(R.REASON_ADDRESS_WIDTH, context);
    }
    if (context.mode === CONTEXT_BYPASS && isProtected(this.state, hi, lo)) {
      // The regions guard memory while translation is off; with it on, the tables do (11.4.13).
      if (!enabled(this.state, R.GCMD_TE)) return R.UNRECORDED;
    }
    return 0;
  }

  /** A translated address in the interrupt range is refused (LGN.4). */
  checkOutput(hi: number, lo: number, context: TranslationContext): number {
    if (context.mode === CONTEXT_BYPASS || !inInterruptRange(hi, lo)) return 0;
    return this.#qualify(R.REASON_INTERRUPT_RANGE, context);
  }

  faultCodeOf(walk: Walk, request: DeviceRequest, context: TranslationContext): number {
    return this.#qualify(reasonOf(walk, request, context), context);
  }

  faultAddress2Of(): bigint {
    return 0n;
  }

  reportFault(report: FaultReport): number {
    return recordFault(this.state, this.#ports, report.request, report.code);
  }

  reusableOrder(walk: Walk): number {
    return walk.order;
  }

  /** All conditions met after the context is known can be silenced by its FPD bit. */
  #qualify(reason: number, context: TranslationContext): number {
    return context.quiet ? reason | R.UNRECORDED : reason;
  }
}

/** Fault reason of a failed second-stage walk (7.1.3, conditions LSS.* and LCT.4). */
function reasonOf(walk: Walk, request: DeviceRequest, context: TranslationContext): number {
  switch (walk.fault) {
    case FAULT_NOT_PRESENT:
    case FAULT_PERMISSION:
      return (request.access & ACCESS_WRITE) !== 0 ? R.REASON_WRITE : R.REASON_READ;
    case FAULT_INPUT_RANGE:
      return R.REASON_ADDRESS_WIDTH;
    case FAULT_ACCESS:
    case FAULT_POISON: {
      // The root table's address stands in the context entry: that is then what is invalid.
      const format = formatOf(context.walk[WC_S2_FORMAT]!);
      const atRoot = format !== null && walk.faultLevel === format.levels - 1;
      return atRoot ? R.REASON_CONTEXT_INVALID : R.REASON_PAGING_ACCESS;
    }
    default:
      return R.REASON_PAGING_RESERVED;
  }
}
