/**
 * Memory-mapped registers of a VT-d unit and what writes to them set in motion (VT-d
 * specification 11.4). Commands of GCMD complete at once; the time they take is the machinery's.
 */

import { InputError } from '../../../sim/errors.ts';
import { hex } from '../../address.ts';
import type { RegisterFile, UnitPorts } from '../architecture.ts';
import { deliverEvent, refreshPending, serviceFaultEvent } from './faults.ts';
import * as R from './layout.ts';
import { enabled, get32, get64, pageHi, pageLo, put32, put64, type VtdState } from './state.ts';

/** Status bits of GSTS that a write of GCMD sets or clears by level. */
const LEVEL_BITS = R.GCMD_TE | R.GCMD_QIE | R.GCMD_IRE | R.GCMD_CFI;

export class VtdRegisters implements RegisterFile {
  readonly state: VtdState;
  readonly #ports: UnitPorts;

  constructor(state: VtdState, ports: UnitPorts) {
    this.state = state;
    this.#ports = ports;
  }

  read(offset: number, size: number): bigint {
    checkAccess(offset, size);
    if (offset + size > this.state.words.length * 4) return 0n;
    if (size === 8) return get64(this.state, offset);
    return BigInt(get32(this.state, offset) >>> 0);
  }

  write(offset: number, size: number, value: bigint): void {
    checkAccess(offset, size);
    if (offset + size > this.state.words.length * 4) return;
    const lo = Number(BigInt.asIntN(32, value));
    this.#store(offset, lo);
    if (size === 8) this.#store(offset + 4, Number(BigInt.asIntN(32, value >> 32n)));
    this.#act(offset, lo);
    if (size === 8) this.#act(offset + 4, get32(this.state, offset + 4));
  }

  /** Puts words read from a live unit in place, without the effects of writing them. */
  restore(words: ReadonlyMap<number, number>): void {
    const { state } = this;
    for (const [offset, value] of words) {
      if (offset + 4 <= state.words.length * 4) put32(state, offset, value);
    }
    this.#latchRoot();
    state.fetching = (get32(state, R.FSTS) & R.FSTS_IQE) === 0;
  }

  #store(offset: number, value: number): void {
    const { state } = this;
    const i = offset >> 2;
    const mask = state.writable[i]!;
    const kept = state.words[i]! & ~mask & ~(value & state.clearable[i]!);
    state.words[i] = kept | (value & mask);
  }

  #act(offset: number, value: number): void {
    const { state } = this;
    const ports = this.#ports;
    switch (offset) {
      case R.GCMD:
        this.#command(value);
        break;
      case R.CCMD + 4:
        this.#invalidateByRegister(R.CCMD + 4, R.CCMD_ICC, R.CCMD_CAIG_SHIFT);
        break;
      case R.FSTS:
        serviceFaultEvent(state);
        break;
      case R.FECTL:
      case R.IECTL:
        deliverEvent(state, ports, offset);
        break;
      case R.PMEN:
        if (!state.features.protectedRegions) break;
        put32(state, R.PMEN, (value & R.PMEN_EPM) !== 0 ? R.PMEN_EPM | R.PMEN_PRS : 0);
        break;
      case R.IQT:
        this.#ring();
        break;
      case R.ICS:
        if ((get32(state, R.ICS) & R.ICS_IWC) === 0) {
          put32(state, R.IECTL, get32(state, R.IECTL) & ~R.EVENT_IP);
        }
        break;
      default:
        this.#actAtFeatureOffset(offset);
    }
  }

  /** Registers whose place the capabilities tell. */
  #actAtFeatureOffset(offset: number): void {
    const { faultOffset, faultRecords, iotlbOffset } = this.state.features;
    const high = iotlbOffset + 12;
    if (offset === high) this.#invalidateByRegister(high, R.IOTLB_IVT, R.IOTLB_IAIG_SHIFT);
    const end = faultOffset + faultRecords * R.FRCD_BYTES;
    if (offset >= faultOffset && offset < end) refreshPending(this.state);
  }

  /** GCMD (11.4.4): a level for each of TE, QIE, IRE, CFI; SRTP, SIRTP and WBF are one-shot. */
  #command(value: number): void {
    const { state } = this;
    const before = get32(state, R.GSTS);
    if ((value & R.GCMD_SRTP) !== 0) this.#setRootPointer();
    let levels = value & LEVEL_BITS;
    if (!state.features.interruptRemapping) levels &= ~(R.GCMD_IRE | R.GCMD_CFI);
    let status = (get32(state, R.GSTS) & ~LEVEL_BITS) | levels;
    if ((value & R.GCMD_SIRTP) !== 0 && state.features.interruptRemapping) {
      status |= R.GCMD_SIRTP;
    }
    put32(state, R.GSTS, status);
    const changed = before ^ status;
    if ((changed & R.GCMD_TE) !== 0) {
      if ((status & R.GCMD_TE) === 0) state.nextFault = 0;
      // Cached contexts include "translation is off" for devices seen so far.
      this.#ports.flushAll();
    }
    if ((changed & R.GCMD_QIE) !== 0) this.#enableQueue((status & R.GCMD_QIE) !== 0);
    put32(state, R.GCMD, 0);
  }

  #setRootPointer(): void {
    const { state } = this;
    this.#latchRoot();
    put32(state, R.GSTS, get32(state, R.GSTS) | R.GCMD_SRTP);
    // With CAP.ESRTPS the operation invalidates all remapping caches (6.6); else software must.
    if (state.features.flushOnRootPointer) this.#ports.flushAll();
  }

  #latchRoot(): void {
    const { state } = this;
    state.rootHi = pageHi(state, R.RTADDR);
    state.rootLo = pageLo(state, R.RTADDR);
    state.tableMode = (get32(state, R.RTADDR) >>> 10) & 3;
  }

  /** The head returns to 0 whenever the queue is disabled (11.4.9.4). */
  #enableQueue(on: boolean): void {
    if (on) this.#ring();
    else put64(this.state, R.IQH, 0n);
  }

  /**
   * The doorbell of the queue. While IQE is set no descriptor is fetched (6.5.2.11); software
   * clears it and writes the tail again.
   */
  #ring(): void {
    const { state } = this;
    if (!enabled(state, R.GCMD_QIE) || (get32(state, R.FSTS) & R.FSTS_IQE) !== 0) {
      state.fetching = false;
      return;
    }
    state.fetching = true;
    this.#ports.doorbell();
  }

  /**
   * Register-based invalidation (6.5.1). Any granularity asked for is served by a global one, as
   * the specification allows, and CAIG / IAIG say so. Not served while the queue is enabled.
   */
  #invalidateByRegister(offset: number, trigger: number, actualShift: number): void {
    const { state } = this;
    const value = get32(state, offset);
    if ((value & trigger) === 0) return;
    const served = !enabled(state, R.GCMD_QIE);
    if (served) this.#ports.flushAll();
    const actual = served ? R.GRANULARITY_GLOBAL << actualShift : 0;
    put32(state, offset, (value & ~(trigger | (3 << actualShift))) | actual);
  }
}

function checkAccess(offset: number, size: number): void {
  if ((size === 4 || size === 8) && offset >= 0 && offset % size === 0) return;
  throw new InputError(
    'vtd.register-access',
    `VT-d registers take aligned 4 or 8 byte accesses, not ${size} bytes at ${hex(offset)}`,
  );
}
