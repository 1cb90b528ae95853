/**
 * Units in the state of a capture: memory image and registers loaded, queues at rest. A capture
 * whose architecture or mode is not modelled says so.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { pnHiOf, pnLoOf } from '../../hw/address.ts';
import type { IommuUnit } from '../../hw/iommu/architecture.ts';
import type { FunctionalCaches, FunctionalIommu } from '../../hw/iommu/functional.ts';
import { DDTP, FCTL } from '../../hw/iommu/riscv/registers.ts';
import { CAP, ECAP, RTADDR, VER } from '../../hw/iommu/vtd/layout.ts';
import type { MemoryPort } from '../../hw/memory/port.ts';
import type { CaptureIdentity } from '../../traces/captures/capture.ts';
import type { RegisterWindow } from '../../traces/captures/image.ts';
import { readMemoryImage } from '../../traces/captures/image.ts';
import { RiscvMachine } from './riscv-machine.ts';
import { SparseMemory } from './sparse-memory.ts';
import { VtdMachine } from './vtd-machine.ts';

/** Host address width of the recorded machines: wide enough for every address in their tables. */
const HOST_ADDRESS_BITS = 48;

export interface CaptureUnit {
  readonly unit: IommuUnit;
  readonly iommu: FunctionalIommu;
  /** Bits of a fault code that hold the architected reason. */
  readonly reasonMask: number;
}

/** Why a capture cannot be checked yet, or `null`. */
export function captureSkip(capture: CaptureIdentity): string | null {
  if (!existsSync(join(capture.folder, 'memory.sparse.gz'))) {
    return 'sample of a recording, without memory image';
  }
  switch (capture.architecture) {
    case 'riscv':
      return null;
    case 'vtd': {
      const mode = (word(capture.registers[0]!, RTADDR) >>> 10) & 3;
      return mode === 0 ? null : 'VT-d scalable mode is not modelled yet';
    }
    default:
      return `architecture ${capture.architecture} is not modelled yet`;
  }
}

export function captureUnit(capture: CaptureIdentity, caches: FunctionalCaches): CaptureUnit {
  const memory = loadImage(capture.folder);
  const window = capture.registers[0]!;
  return capture.architecture === 'vtd'
    ? vtdUnit(window, memory, caches)
    : riscvUnit(window, memory, caches);
}

function vtdUnit(
  window: RegisterWindow,
  memory: MemoryPort,
  caches: FunctionalCaches,
): CaptureUnit {
  const machine = new VtdMachine(
    {
      version: word(window, VER),
      cap: quad(window, CAP),
      ecap: quad(window, ECAP),
      hostAddressBits: HOST_ADDRESS_BITS,
      mergeFaults: true,
    },
    memory,
    caches,
  );
  machine.unit.registers.restore(window.words);
  return { unit: machine.unit, iommu: machine.iommu, reasonMask: 0xff };
}

/** The command queue stays off: its commands were executed before the image was taken. */
function riscvUnit(
  window: RegisterWindow,
  memory: SparseMemory,
  caches: FunctionalCaches,
): CaptureUnit {
  const machine = new RiscvMachine(
    {
      capabilities: quad(window, 0),
      fctl: word(window, FCTL),
      gxlWritable: false,
      beWritable: false,
      vectorBits: 4,
      maxMode: 4,
    },
    memory,
    caches,
  );
  machine.unit.registers.write(DDTP, 8, quad(window, DDTP));
  return { unit: machine.unit, iommu: machine.iommu, reasonMask: 0xfff };
}

function loadImage(folder: string): SparseMemory {
  const memory = new SparseMemory();
  readMemoryImage(folder, (address, words) => {
    const hi = pnHiOf(address);
    const lo = pnLoOf(address);
    for (let i = 0; i < words.length; i++) memory.write32(hi, lo, 4 * i, words[i]!);
  });
  memory.startLog();
  return memory;
}

function word(window: RegisterWindow, offset: number): number {
  return window.words.get(offset) ?? 0;
}

function quad(window: RegisterWindow, offset: number): bigint {
  const low = BigInt(word(window, offset) >>> 0);
  return (BigInt(word(window, offset + 4) >>> 0) << 32n) | low;
}
