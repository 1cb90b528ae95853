/**
 * Where the time of DMAs went, for the trace: sums by device and wait reason since the last rows of
 * the device, every so many DMAs and at the end. The sum of all rows is the whole truth; in a trace
 * that was cut, rows cover all but the last DMAs of each device.
 */
import type { Channel, RecordKind } from '../../sim/probe.ts';
import { WAIT_COUNT } from '../pcie/transactions.ts';

export const WAIT_RECORD: RecordKind = {
  name: 'wait',
  level: 'requests',
  columns: [
    { name: 'device', type: 'u32', doc: 'Index of the device.' },
    { name: 'reason', type: 'u32', doc: 'Wait reason: index into WAIT_REASONS.' },
    {
      name: 'cycles',
      type: 'u32',
      doc: 'Cycles waited for it since the rows before, low 32 bits.',
    },
    { name: 'cycles_hi', type: 'u32', doc: 'The same, high bits.' },
  ],
};

/** DMAs of a device between its rows: at most a dozen rows each time. */
const DMAS_PER_BATCH = 2048;
const HIGH = 2 ** 32;

export class WaitTotals {
  private readonly channel: Channel;
  /** Running sums, a row of WAIT_COUNT per device, and what of them has been told. */
  private readonly waits: Float64Array;
  private readonly told: Float64Array;
  private readonly pending: Int32Array;
  private last = 0;

  constructor(channel: Channel, waits: Float64Array) {
    this.channel = channel;
    this.waits = waits;
    this.told = new Float64Array(waits.length);
    this.pending = new Int32Array(waits.length / WAIT_COUNT);
  }

  /** A DMA of the device has been added to the sums. */
  count(device: number, now: number): void {
    this.last = now;
    if (++this.pending[device] === DMAS_PER_BATCH) this.tell(device);
  }

  /** Tells all that is left. */
  tellAll(): void {
    for (let device = 0; device < this.pending.length; device++) this.tell(device);
  }

  /** The running sums begin anew at zero. */
  restart(): void {
    this.tellAll();
    this.told.fill(0);
  }

  private tell(device: number): void {
    this.pending[device] = 0;
    const from = device * WAIT_COUNT;
    for (let reason = 0; reason < WAIT_COUNT; reason++) {
      const cycles = this.waits[from + reason] - this.told[from + reason];
      if (cycles === 0) continue;
      this.told[from + reason] += cycles;
      this.channel.emit(this.last, device, reason, cycles % HIGH, Math.floor(cycles / HIGH));
    }
  }
}
