/** A VT-d unit with recording ports, for tests. */

import { defaults } from '../../../sim/spec.ts';
import { pnHiOf, pnLoOf } from '../../address.ts';
import { PhysicalMemory } from '../../memory/physical-memory.ts';
import { ACCESS_READ } from '../access.ts';
import {
  ContextFetch,
  type DeviceMessage,
  type DeviceRequest,
  FETCH_READ,
  Operation,
  REQUEST_UNTRANSLATED,
} from '../architecture.ts';
import * as R from './layout.ts';
import { type VtdIdentity, vtdIdentity, vtdSpec } from './spec.ts';
import { VtdUnit } from './unit.ts';

export const ROOT = 0x10_0000n;
export const CONTEXTS = 0x10_1000n;
export const QUEUE = 0x10_2000n;
export const STATUS = 0x10_4000n;
/** Addresses at and above this are outside memory. */
export const MEMORY_END = 0x1000_0000n;
/** 00:02.0 */
export const DEVICE = 0x10;

/** Parameters of {@link vtdSpec} to change. */
export type Changes = Parameters<typeof vtdIdentity>[0] extends infer V ? Partial<V> : never;

export class Bench {
  readonly memory: PhysicalMemory;
  readonly unit: VtdUnit;
  readonly interrupts: string[] = [];
  readonly messages: DeviceMessage[] = [];
  doorbells = 0;
  flushes = 0;

  constructor(changes: Changes = {}, identity?: Partial<VtdIdentity>) {
    this.memory = PhysicalMemory.create({
      bytes: 1 << 20,
      legal: [{ start: 0n, end: MEMORY_END }],
    });
    const full = { ...vtdIdentity({ ...defaults(vtdSpec), ...changes }), ...identity };
    this.unit = new VtdUnit(full, {
      memory: this.memory,
      storeInterrupt: (hi, lo, offset, value) => {
        this.interrupts.push(`${hi}:${lo.toString(16)}:${offset.toString(16)}=${value}`);
      },
      setInterruptLine: () => {},
      doorbell: () => {
        this.doorbells++;
      },
      flushAll: () => {
        this.flushes++;
      },
      deviceMessage: (message) => {
        this.messages.push(message);
      },
    });
  }

  read(offset: number, size: 4 | 8 = 4): bigint {
    return this.unit.registers.read(offset, size);
  }

  write(offset: number, value: bigint | number, size: 4 | 8 = 4): void {
    this.unit.registers.write(offset, size, BigInt(value));
  }

  store64(address: bigint, value: bigint): void {
    const [hi, lo, offset] = [pnHiOf(address), pnLoOf(address), Number(address & 0xfffn)];
    this.memory.write32(hi, lo, offset, Number(BigInt.asIntN(32, value)));
    this.memory.write32(hi, lo, offset + 4, Number(BigInt.asIntN(32, value >> 32n)));
  }

  load32(address: bigint): number {
    return this.memory.read32(pnHiOf(address), pnLoOf(address), Number(address & 0xfffn)) >>> 0;
  }

  /** Root table and queue in place, translation and queue on. */
  enable(rtaddr: bigint = ROOT): this {
    this.write(R.RTADDR, rtaddr, 8);
    this.write(R.GCMD, R.GCMD_SRTP);
    this.write(R.IQA, QUEUE, 8);
    this.write(R.GCMD, R.GCMD_QIE);
    this.write(R.GCMD, R.GCMD_QIE + R.GCMD_TE);
    return this;
  }

  /** Root and context entry of a device: bus 0, default 4 levels in domain 5. */
  attach(device: number, low: bigint, high: bigint = 0x502n): this {
    const bus = BigInt(device >>> 8);
    this.store64(ROOT + 16n * bus, CONTEXTS | 1n);
    this.store64(CONTEXTS + 16n * BigInt(device & 0xff), low);
    this.store64(CONTEXTS + 16n * BigInt(device & 0xff) + 8n, high);
    return this;
  }

  /** Fetches a context; `fault` is 0 where one was found. */
  fetch(request: DeviceRequest): ContextFetch {
    const fetch = new ContextFetch(request);
    const { contexts } = this.unit;
    let step = contexts.begin(fetch);
    for (let reads = 0; step === FETCH_READ && reads < 8; reads++) {
      const { hi, lo, offset, bytes } = fetch;
      const status = this.memory.checkRead(hi, lo, offset, bytes);
      for (let i = 0; i < bytes / 4; i++)
        fetch.data[i] = this.memory.read32(hi, lo, offset + 4 * i);
      step = status === 0 ? contexts.next(fetch) : contexts.failRead(fetch, status);
    }
    return fetch;
  }

  /** Stores descriptors at the tail and rings; runs the queue until it has nothing to do. */
  submit(...descriptors: (readonly bigint[])[]): readonly Operation[] {
    const width = (Number(this.read(R.IQA, 8)) & R.IQA_DW) !== 0 ? 32n : 16n;
    let tail = this.read(R.IQT, 8);
    for (const words of descriptors) {
      words.forEach((word, i) => {
        this.store64(QUEUE + tail + 8n * BigInt(i), word);
      });
      tail += width;
    }
    this.write(R.IQT, tail, 8);
    return this.run();
  }

  run(): readonly Operation[] {
    const { commands } = this.unit;
    const done: Operation[] = [];
    const words = new Int32Array(8);
    while (commands.pending()) {
      const { hi, lo, offset, bytes } = commands;
      const status = this.memory.checkRead(hi, lo, offset, bytes);
      if (status !== 0) {
        commands.failFetch(status);
        break;
      }
      for (let i = 0; i < bytes / 4; i++) words[i] = this.memory.read32(hi, lo, offset + 4 * i);
      const operation = new Operation();
      commands.decode(words, operation);
      commands.complete(operation);
      done.push(operation);
    }
    return done;
  }
}

export function request(address: bigint, changes: Partial<DeviceRequest> = {}): DeviceRequest {
  return {
    deviceId: DEVICE,
    pasid: -1,
    kind: REQUEST_UNTRANSLATED,
    access: ACCESS_READ,
    hi: pnHiOf(address),
    lo: pnLoOf(address),
    offset: Number(address & 0xfffn),
    ...changes,
  };
}
