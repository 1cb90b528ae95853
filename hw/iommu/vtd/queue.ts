/**
 * Invalidation queue (VT-d specification 6.5.2): descriptors of 128 bits, or 256 bits with IQA.DW,
 * in a ring of 4 KiB << QS bytes. A bad descriptor sets FSTS.IQE and leaves the head on it.
 */
import { pageNumber, pnHi, pnLo } from '../../address.ts';
import { MEM_OK } from '../../memory/port.ts';
import {
  type CommandQueue,
  OP_DEVICE_MESSAGE,
  OP_FENCE,
  OP_ILLEGAL,
  type Operation,
  type UnitPorts,
} from '../architecture.ts';
import { decodeDescriptor } from './descriptors.ts';
import { raiseCompletionEvent, raiseFaultEvent } from './faults.ts';
import * as R from './layout.ts';
import { enabled, get32, pageHi, pageLo, put32, type VtdState } from './state.ts';

export class VtdQueue implements CommandQueue {
  hi = 0;
  lo = 0;
  offset = 0;
  bytes = 0;
  readonly #state: VtdState;
  readonly #ports: UnitPorts;
  /** IQEI code of the descriptor decoded last. */
  #error = 0;

  constructor(state: VtdState, ports: UnitPorts) {
    this.#state = state;
    this.#ports = ports;
  }

  pending(): boolean {
    const state = this.#state;
    if (!state.fetching || !enabled(state, R.GCMD_QIE)) return false;
    const head = get32(state, R.IQH);
    const tail = get32(state, R.IQT);
    if (head === tail) return false;
    const width = this.#descriptorBytes();
    if (tail >= this.#ringBytes() || tail % width !== 0) {
      this.#stop(R.IQEI_TAIL);
      return false;
    }
    const page = pageNumber(pageHi(state, R.IQA), pageLo(state, R.IQA)) + (head >>> 12);
    this.hi = pnHi(page);
    this.lo = pnLo(page);
    this.offset = head & 0xfff;
    this.bytes = width;
    return true;
  }

  decode(words: Int32Array, operation: Operation): void {
    const count = this.#descriptorBytes() / 4;
    for (let i = 0; i < count; i++) operation.words[i] = words[i]!;
    this.#error = decodeDescriptor(words, count, this.#state.features, operation);
  }

  complete(operation: Operation): void {
    if (operation.kind === OP_ILLEGAL) {
      this.#stop(this.#error);
      return;
    }
    if (operation.kind === OP_FENCE) this.#finishWait(operation.words);
    if (operation.kind === OP_DEVICE_MESSAGE) this.#sendToDevice(operation);
    const next = get32(this.#state, R.IQH) + this.#descriptorBytes();
    put32(this.#state, R.IQH, next >= this.#ringBytes() ? 0 : next);
  }

  failFetch(_status: number): void {
    this.#stop(R.IQEI_FETCH);
  }

  /** 6.5.2.8: the status write becomes visible before the completion interrupt. */
  #finishWait(words: Int32Array): void {
    const { memory } = this.#ports;
    if ((words[0]! & R.WAIT_SW) !== 0) {
      const hi = words[3]! >>> 7;
      const lo = ((words[3]! & 0x7f) << 20) | (words[2]! >>> 12);
      const offset = words[2]! & 0xffc;
      // A status write outside memory goes nowhere, as any posted write does.
      if (memory.checkWrite(hi, lo, offset, 4) === MEM_OK) {
        memory.write32(hi, lo, offset, words[1]!);
      }
    }
    if ((words[0]! & R.WAIT_IF) !== 0) raiseCompletionEvent(this.#state, this.#ports);
  }

  #sendToDevice({ deviceId, words }: Operation): void {
    const low = BigInt(words[2]! >>> 0);
    this.#ports.deviceMessage({
      kind: 'ats-invalidate',
      deviceId,
      pasid: -1,
      tag: 0,
      payload: (BigInt(words[3]! >>> 0) << 32n) | low,
      arch: null,
    });
  }

  /** Invalidation queue error: fetching stops until software clears IQE and writes the tail. */
  #stop(why: number): void {
    const state = this.#state;
    const status = get32(state, R.FSTS);
    state.fetching = false;
    put32(state, R.IQERCD, why);
    put32(state, R.FSTS, status | R.FSTS_IQE);
    raiseFaultEvent(state, this.#ports, status);
  }

  #descriptorBytes(): number {
    return (get32(this.#state, R.IQA) & R.IQA_DW) !== 0 ? 32 : 16;
  }

  #ringBytes(): number {
    return 4096 << (get32(this.#state, R.IQA) & R.IQA_QS_MASK);
  }
}
