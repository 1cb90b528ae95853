/**
 * Parameters of memory: its size, the last-level cache that devices and the IOMMU reach it through,
 * and DRAM behind it.
 */

import { InputError } from '../../sim/errors.ts';
import { bytes, count, duration, flag, type Param, rate, type Values } from '../../sim/spec.ts';
import type { Clock } from '../../sim/time/clock.ts';
import type { MemoryTimingConfig } from './timing.ts';

export type MemorySpec = {
  readonly size: Param<number>;
  readonly llc_size: Param<number>;
  readonly llc_ways: Param<number>;
  readonly llc_line: Param<number>;
  readonly llc_latency: Param<number>;
  readonly llc_tables: Param<boolean>;
  readonly ddio: Param<boolean>;
  readonly ddio_ways: Param<number>;
  readonly dram_latency: Param<number>;
  readonly dram_rate: Param<number>;
  readonly dram_banks: Param<number>;
  readonly dram_bank_busy: Param<number>;
};

export const memorySpec: MemorySpec = {
  size: bytes('1GiB', 'How much simulated memory may be touched.', { min: 4096 }),
  llc_size: bytes('16MiB', 'Size of the last-level cache; 0 = there is none.'),
  llc_ways: count(16, 'Ways of the last-level cache.', { min: 1, max: 64 }),
  llc_line: bytes('64B', 'Line of the last-level cache and of DRAM.', { min: 64, max: 4096 }),
  llc_latency: duration('20ns', 'Look-up of the last-level cache: the whole latency of a hit.'),
  llc_tables: flag(true, 'Table reads of the IOMMU bring their line into the last-level cache.'),
  ddio: flag(true, 'Writes of devices go to the last-level cache (DDIO), otherwise to DRAM.'),
  ddio_ways: count(
    2,
    'Ways that data of devices and of the host may take; the rest is for tables.',
    { min: 1, max: 64 },
  ),
  dram_latency: duration('70ns', 'Latency of DRAM, in addition to the look-up of the cache.'),
  dram_rate: rate('800Gb/s', 'Bandwidth of DRAM.'),
  dram_banks: count(0, 'Banks of DRAM, a power of two; 0 = no bank is ever busy.', {
    max: 65536,
  }),
  dram_bank_busy: duration('40ns', 'Time for which an access keeps its bank busy.'),
};

/**
 * The parameters in cycles, for one of `slices` equal parts of cache and DRAM. Partitions share
 * nothing within a window, so each has a part of its own; see timing.ts.
 */
export function memoryTimingConfig(
  values: Values<MemorySpec>,
  clock: Clock,
  slices = 1,
): MemoryTimingConfig {
  const { llc_size: size, llc_ways: ways, llc_line: lineBytes, dram_banks: banks } = values;
  const sets = Math.floor(size / (ways * lineBytes));
  if (size > 0 && sets === 0) {
    const message = `last-level cache of ${size} bytes holds no set of ${ways} lines`;
    throw new InputError('memory-spec', message);
  }
  if (values.ddio_ways >= ways) {
    const message = `ddio_ways ${values.ddio_ways}: the cache has ${ways} ways, one is for tables`;
    throw new InputError('memory-spec', message);
  }
  if (banks !== 0 && (banks & (banks - 1)) !== 0) {
    throw new InputError('memory-spec', `dram_banks ${banks}: expected a power of two`);
  }
  return {
    sets: sets === 0 ? 0 : Math.max(1, Math.floor(sets / slices)),
    tableWays: ways - values.ddio_ways,
    dataWays: values.ddio_ways,
    lineBytes,
    cacheCycles: clock.nearest(values.llc_latency),
    tablesAllocate: values.llc_tables,
    deviceWritesAllocate: values.ddio,
    dramCycles: clock.nearest(values.dram_latency),
    dramCost: clock.cyclesPerByte(Math.max(1, Math.floor(values.dram_rate / slices))),
    banks,
    bankCycles: clock.nearest(values.dram_bank_busy),
  };
}
