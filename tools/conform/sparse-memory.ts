/**
 * Memory for conformance runs: pages made on demand anywhere in 64 bits, ranges that refuse access
 * or hold corrupt data, and a log of the doublewords that a step changed.
 */

import { pageNumber, pageOffsetOf, pnHiOf, pnLoOf } from '../../hw/address.ts';
import { MEM_ACCESS_FAULT, MEM_OK, MEM_POISON, type MemoryPort } from '../../hw/memory/port.ts';

export type FaultKind = 'access' | 'ro' | 'poison';

interface FaultRange {
  readonly address: bigint;
  readonly end: bigint;
  readonly kind: FaultKind;
}

const PAGE_WORDS = 1024;

export class SparseMemory implements MemoryPort {
  private readonly pages = new Map<number, Int32Array>();
  private readonly faults: FaultRange[] = [];
  /** Where memory is, if not everywhere: accesses elsewhere are refused. */
  private readonly legal: { readonly start: bigint; readonly end: bigint }[] = [];
  /** Doublewords written since `startLog`, by address: their values before. */
  private readonly before = new Map<bigint, bigint>();

  addFault(address: bigint, bytes: number, kind: FaultKind): void {
    this.faults.push({ address, end: address + BigInt(bytes), kind });
  }

  addLegal(start: bigint, end: bigint): void {
    this.legal.push({ start, end });
  }

  checkRead(hi: number, lo: number, offset: number, bytes: number): number {
    if (this.meets('access', hi, lo, offset, bytes)) return MEM_ACCESS_FAULT;
    return this.meets('poison', hi, lo, offset, bytes) ? MEM_POISON : MEM_OK;
  }

  checkWrite(hi: number, lo: number, offset: number, bytes: number): number {
    const refused =
      this.meets('access', hi, lo, offset, bytes) || this.meets('ro', hi, lo, offset, bytes);
    return refused ? MEM_ACCESS_FAULT : MEM_OK;
  }

  read32(hi: number, lo: number, offset: number): number {
    const page = this.pages.get(pageNumber(hi, lo));
    return page === undefined ? 0 : page[offset >> 2];
  }

  write32(hi: number, lo: number, offset: number, value: number): void {
    this.note(hi, lo, offset & ~7);
    this.page(hi, lo)[offset >> 2] = value;
  }

  or64(hi: number, lo: number, offset: number, orLo: number, orHi: number): void {
    this.note(hi, lo, offset & ~7);
    const page = this.page(hi, lo);
    page[offset >> 2] |= orLo;
    if (orHi !== 0) page[(offset >> 2) + 1] |= orHi;
  }

  /** Software's store of a doubleword (little-endian view). */
  store(address: bigint, value: bigint): void {
    const page = this.page(pnHiOf(address), pnLoOf(address));
    const at = pageOffsetOf(address) >> 2;
    page[at] = Number(BigInt.asIntN(32, value));
    page[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
  }

  /** Doubleword at an aligned address (little-endian view). */
  load(address: bigint): bigint {
    const page = this.pages.get(pageNumber(pnHiOf(address), pnLoOf(address)));
    if (page === undefined) return 0n;
    const at = pageOffsetOf(address) >> 2;
    return (BigInt(page[at + 1] >>> 0) << 32n) | BigInt(page[at] >>> 0);
  }

  startLog(): void {
    this.before.clear();
  }

  /** Doublewords whose value differs from that at `startLog`. */
  changes(): Map<bigint, bigint> {
    const changed = new Map<bigint, bigint>();
    for (const [address, old] of this.before) {
      const value = this.load(address);
      if (value !== old) changed.set(address, value);
    }
    return changed;
  }

  private page(hi: number, lo: number): Int32Array {
    const number = pageNumber(hi, lo);
    let page = this.pages.get(number);
    if (page === undefined) {
      page = new Int32Array(PAGE_WORDS);
      this.pages.set(number, page);
    }
    return page;
  }

  private note(hi: number, lo: number, offset: number): void {
    const address = (BigInt(pageNumber(hi, lo)) << 12n) | BigInt(offset);
    if (!this.before.has(address)) this.before.set(address, this.load(address));
  }

  /** Whether the access touches a range of a kind. */
  private meets(kind: FaultKind, hi: number, lo: number, offset: number, bytes: number): boolean {
    if (this.faults.length === 0 && this.legal.length === 0) return false;
    const address = (BigInt(pageNumber(hi, lo)) << 12n) | BigInt(offset);
    const end = address + BigInt(bytes);
    if (kind === 'access' && this.legal.length > 0) {
      if (!this.legal.some((range) => address >= range.start && end <= range.end)) return true;
    }
    return this.faults.some((range) => {
      return range.kind === kind && end > range.address && address < range.end;
    });
  }
}
