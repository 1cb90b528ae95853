/** Reports the faults of a timed unit: to the architecture's fault queue and to the trace. */
import type { Channel, Probe } from '../../../sim/probe.ts';
import {
  type DeviceRequest,
  FAULT_LOST,
  FAULT_RECORDED,
  type IommuUnit,
  type TranslationContext,
} from '../architecture.ts';
import { FAULT_RECORD } from './records.ts';

export class FaultReporter {
  /** Faults reported, by the architecture's code. */
  readonly codes: Map<number, number> = new Map();
  /** Those that software can read, and those that a full queue lost. */
  recorded = 0;
  lost = 0;
  private readonly unit: IommuUnit;
  private readonly channel: Channel | null;

  constructor(unit: IommuUnit, probe: Probe) {
    this.unit = unit;
    this.channel = probe.channel(FAULT_RECORD);
  }

  /** @param device index of the device whose request it is */
  report(
    cycle: number,
    device: number,
    request: DeviceRequest,
    context: TranslationContext | null,
    code: number,
    address2: bigint,
  ): void {
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
    const outcome = this.unit.reportFault({ request, context, code, address2 });
    if (outcome === FAULT_RECORDED) this.recorded++;
    else if (outcome === FAULT_LOST) this.lost++;
    const { access, hi, lo, offset } = request;
    this.channel?.emit(cycle, device, code, access, hi, lo, offset);
  }

  /** Figures count from now on. */
  resetFigures(): void {
    this.codes.clear();
    this.recorded = 0;
    this.lost = 0;
  }
}
