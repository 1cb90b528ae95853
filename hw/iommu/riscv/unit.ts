/**
 * The RISC-V IOMMU (specification v1.0.1 with the QoS ID, NL and S extensions) as the shared
 * machinery sees it: registers, contexts, commands, faults, and what only this architecture has
 * (ATS answers, page requests, debug interface). Holds no timing.
 */
import { addressOf } from '../../address.ts';
import { ACCESS_PRIVILEGED } from '../access.ts';
import { AddressLimit } from '../address-limit.ts';
import {
  type Architecture,
  type CommandQueue,
  type ContextResolver,
  type DeviceRequest,
  FAULT_SILENT,
  type FaultReport,
  type IommuUnit,
  REQUEST_ATS,
  REQUEST_PAGE,
  REQUEST_UNTRANSLATED,
  type TranslationContext,
  type UnitPorts,
} from '../architecture.ts';
import { FAULT_ACCESS, FAULT_ARCHITECTURE, FAULT_POISON } from '../walk/format.ts';
import type { Redirect } from '../walk/redirect.ts';
import { REF_REDIRECT, REF_STAGE2, type Walk } from '../walk/walk.ts';
import type { Translated } from './ats.ts';
import { decodeCapabilities, type RiscvIommuSpec } from './capabilities.ts';
import * as causes from './causes.ts';
import { RiscvCommandQueue } from './command-queue.ts';
import { disallowed, RiscvContexts } from './context-resolver.ts';
import { DebugInterface } from './debug.ts';
import { type Instance, instanceOf, type RiscvContext } from './device-context.ts';
import { FaultQueue } from './fault-queue.ts';
import { RISCV_FORMATS } from './formats.ts';
import { Interrupts } from './interrupts.ts';
import { MSI_PAGE_TABLE, orderWithoutInterruptFiles, REDIRECT_MRIF } from './msi.ts';
import { type PageRequest, PageRequestQueue, senderId } from './page-request-queue.ts';
import {
  CQCSR,
  DDTP,
  FCTL,
  FQCSR,
  MODE_BARE,
  MODE_OFF,
  PQCSR,
  RiscvRegisters,
} from './registers.ts';
import { CSR_ENABLE, CSR_ON } from './ring.ts';

export const RISCV: Architecture = { name: 'riscv', formats: RISCV_FORMATS };

export class RiscvIommu implements IommuUnit {
  readonly registers: RiscvRegisters;
  readonly contexts: ContextResolver;
  readonly commands: CommandQueue;
  readonly redirect: Redirect = MSI_PAGE_TABLE;
  readonly addressBits: number;
  private readonly spec: RiscvIommuSpec;
  private readonly ports: UnitPorts;
  private readonly faults: FaultQueue;
  private readonly pageRequests: PageRequestQueue;
  private readonly commandQueue: RiscvCommandQueue;
  private readonly debug: DebugInterface;
  private instance: Instance;

  constructor(spec: RiscvIommuSpec, ports: UnitPorts) {
    this.spec = spec;
    this.ports = ports;
    const caps = decodeCapabilities(spec.capabilities);
    this.addressBits = caps.pas;
    const memory = new AddressLimit(ports.memory, caps.pas);
    const registers = new RiscvRegisters(spec, caps);
    this.registers = registers;
    this.instance = instanceOf(spec, spec.fctl);
    const interrupts = new Interrupts(registers, memory, ports);
    this.commandQueue = new RiscvCommandQueue(registers, caps, memory, ports, interrupts);
    this.commands = this.commandQueue;
    this.faults = new FaultQueue(registers, memory, interrupts);
    this.pageRequests = new PageRequestQueue(registers, memory, ports, interrupts);
    this.debug = new DebugInterface(registers, ports);
    this.contexts = new RiscvContexts(registers, () => this.instance);
    interrupts.reportWriteFault = (address) => {
      this.faults.reportEvent(causes.CAUSE_MSI_WRITE_ACCESS, address);
    };
    registers.onWrite(FCTL, (value) => this.writeFctl(value));
    registers.onWrite(DDTP, (low, high) => this.writeDdtp(low, high));
  }

  checkRequest(request: DeviceRequest, context: TranslationContext): number {
    const arch = context.arch as RiscvContext | null;
    // Without a device directory only untranslated requests are allowed (mode Bare).
    if (arch === null) return request.kind === REQUEST_UNTRANSLATED ? 0 : causes.CAUSE_DISALLOWED;
    if (disallowed(request, arch.device)) return causes.CAUSE_DISALLOWED;
    const supervisor = request.pasid >= 0 && (request.access & ACCESS_PRIVILEGED) !== 0;
    return supervisor && arch.userOnly ? causes.CAUSE_DISALLOWED : 0;
  }

  faultCodeOf(walk: Walk, request: DeviceRequest, _context: TranslationContext): number {
    const { access } = request;
    const redirected = walk.faultKind === REF_REDIRECT;
    switch (walk.fault) {
      case FAULT_ARCHITECTURE:
        return walk.faultDetail;
      case FAULT_POISON:
        return redirected ? causes.CAUSE_MSI_PT_CORRUPT : causes.CAUSE_PT_CORRUPT;
      case FAULT_ACCESS:
        if (redirected) return causes.CAUSE_MSI_PTE_ACCESS;
        return causes.causeForAccess(
          access,
          causes.CAUSE_INSTRUCTION_ACCESS,
          causes.CAUSE_READ_ACCESS,
          causes.CAUSE_WRITE_ACCESS,
        );
      default:
        if (walk.faultKind === REF_STAGE2) return causes.guestPageFault(access);
        return causes.causeForAccess(
          access,
          causes.CAUSE_INSTRUCTION_PAGE,
          causes.CAUSE_READ_PAGE,
          causes.CAUSE_WRITE_PAGE,
        );
    }
  }

  /** `iotval2` of a guest page fault: guest address, bit 0 implicit access, bit 1 it was a write. */
  faultAddress2Of(walk: Walk, request: DeviceRequest, context: TranslationContext): bigint {
    const code = this.faultCodeOf(walk, request, context);
    if (code !== causes.guestPageFault(request.access)) return 0n;
    const address = addressOf(walk.gpnHi, walk.gpnLo, walk.gOffset) & ~3n;
    const implicit = walk.faultImplicit !== 0 ? 1n : 0n;
    return address | implicit | (walk.faultImplicitWrite !== 0 ? 2n : 0n);
  }

  /** An ATS request that is answered with "success" leaves no record. */
  reportFault(report: FaultReport): number {
    const { request, context, code, address2 } = report;
    if (request.kind === REQUEST_ATS && causes.atsAnswerTo(code) === causes.ATS_SUCCESS) {
      return FAULT_SILENT;
    }
    return this.faults.report(request, code, address2, context?.quiet ?? false);
  }

  reusableOrder(walk: Walk, context: TranslationContext): number {
    const arch = context.arch as RiscvContext | null;
    if (walk.redirected !== 0 || walk.order === 0) return 0;
    if (arch?.device.msi !== true) return walk.order;
    return orderWithoutInterruptFiles(walk, context.walk);
  }

  /** A request by which a driver finds the context for a page request message. */
  pageRequestLookup(message: PageRequest): DeviceRequest {
    return {
      deviceId: senderId(message.rid, message.segment),
      pasid: message.pasid,
      kind: REQUEST_PAGE,
      access: message.pasid >= 0 && message.privileged ? ACCESS_PRIVILEGED : 0,
      hi: 0,
      lo: 0,
      offset: 0,
    };
  }

  /** A page request message whose lookup ended with `context`, or was refused for `cause`. */
  pageRequest(message: PageRequest, context: TranslationContext | null, cause: number): void {
    this.pageRequests.accept(message, context, cause);
  }

  /** The answer to `UnitPorts.debugRequest`; `null` after a fault (already reported). */
  debugAnswer(
    request: DeviceRequest,
    context: TranslationContext | null,
    result: Translated | null,
  ): void {
    if (result?.redirected === REDIRECT_MRIF) {
      // Such an address has no translation to show (spec "Debug support").
      this.reportFault({ request, context, code: causes.CAUSE_DISALLOWED, address2: 0n });
      this.debug.answer(null);
    } else {
      this.debug.answer(result);
    }
  }

  /** Invalidation completion message of a device; segment -1 where it has none. */
  invalidationCompleted(rid: number, segment: number, vector: number, expected: number): boolean {
    return this.commandQueue.invalidationCompleted(rid, segment, vector, expected);
  }

  invalidationTimedOut(vector: number): void {
    this.commandQueue.invalidationTimedOut(vector);
  }

  /** Features cannot change while the IOMMU or a queue is on (UNSPECIFIED: dropped). */
  private writeFctl(value: number): void {
    const { registers } = this;
    const on = CSR_ENABLE | CSR_ON;
    const queues = registers.get(CQCSR) | registers.get(FQCSR) | registers.get(PQCSR);
    if ((registers.get(DDTP) & 0xf) !== MODE_OFF || (queues & on) !== 0) return;
    registers.store(FCTL, value, 0);
    this.instance = instanceOf(this.spec, registers.get(FCTL));
  }

  /** An illegal mode, or a change between directory depths, leaves the register as it is. */
  private writeDdtp(low: number, high: number): void {
    const mode = low & 0xf;
    const old = this.registers.get(DDTP) & 0xf;
    if (mode > this.spec.maxMode || (mode > MODE_BARE && old > MODE_BARE)) return;
    this.registers.store(DDTP, low, high);
    this.ports.flushAll();
  }
}
