/**
 * The bytes of physical memory as the kernel reaches them through its linear map: by frame number
 * and offset, over any memory port. Plain simulated memory is copied from and to directly; every
 * other port sees the aligned 32-bit words that it is made for.
 */
import { PAGE_SIZE, pnHi, pnLo } from '../../address.ts';
import { PhysicalMemory } from '../../memory/physical-memory.ts';
import type { MemoryPort } from '../../memory/port.ts';
import type { FrameBytes } from './api.ts';

/** From here on a typed array's `set`, with the view it needs, is faster than a loop. */
const BULK_BYTES = 64;

/** Accesses may run on into the frames that follow. */
export class PortBytes implements FrameBytes {
  protected readonly port: MemoryPort;

  constructor(port: MemoryPort) {
    this.port = port;
  }

  read(frame: number, offset: number, into: Uint8Array): void {
    const port = this.port;
    let page = frame + Math.floor(offset / PAGE_SIZE);
    let at = offset % PAGE_SIZE;
    for (let i = 0; i < into.length; ) {
      let word = port.read32(pnHi(page), pnLo(page), at & ~3) >>> ((at & 3) * 8);
      do {
        into[i++] = word;
        word >>>= 8;
        at++;
      } while ((at & 3) !== 0 && i < into.length);
      if (at === PAGE_SIZE) {
        at = 0;
        page++;
      }
    }
  }

  write(frame: number, offset: number, bytes: Uint8Array): void {
    let page = frame + Math.floor(offset / PAGE_SIZE);
    let at = offset % PAGE_SIZE;
    for (let i = 0; i < bytes.length; ) {
      const taken = this.writeWord(page, at, bytes, i);
      i += taken;
      at += taken;
      if (at === PAGE_SIZE) {
        at = 0;
        page++;
      }
    }
  }

  /** Zeros in part of one frame. */
  zero(frame: number, offset: number, bytes: number): void {
    this.write(frame, offset, ZEROS.subarray(0, bytes));
  }

  /** The whole content of one frame into another. */
  copy(from: number, to: number): void {
    for (let at = 0; at < PAGE_SIZE; at += 4) {
      this.port.write32(pnHi(to), pnLo(to), at, this.port.read32(pnHi(from), pnLo(from), at));
    }
  }

  /** Stores what of one aligned word is written; returns how many bytes that was. */
  private writeWord(page: number, at: number, bytes: Uint8Array, i: number): number {
    const first = at & 3;
    const count = Math.min(4 - first, bytes.length - i);
    let word = count === 4 ? 0 : this.port.read32(pnHi(page), pnLo(page), at & ~3);
    for (let k = 0; k < count; k++) {
      const shift = (first + k) * 8;
      word = (word & ~(0xff << shift)) | (bytes[i + k] << shift);
    }
    this.port.write32(pnHi(page), pnLo(page), at & ~3, word);
    return count;
  }
}

const PAGE_WORDS = PAGE_SIZE / 4;
const ZEROS = new Uint8Array(PAGE_SIZE);

/** Over plain memory: one look-up per page, then bytes. */
class PhysicalBytes extends PortBytes {
  private readonly memory: PhysicalMemory;
  private readonly content: Uint8Array;

  constructor(memory: PhysicalMemory) {
    super(memory);
    this.memory = memory;
    const { words } = memory;
    this.content = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  }

  override read(frame: number, offset: number, into: Uint8Array): void {
    const { length } = into;
    if (offset + length > PAGE_SIZE) {
      super.read(frame, offset, into);
      return;
    }
    const slot = this.memory.frameOf(pnHi(frame), pnLo(frame));
    if (slot < 0) {
      into.fill(0);
      return;
    }
    if (length < BULK_BYTES && ((offset | length) & 3) === 0) {
      this.readWords(slot * PAGE_WORDS + (offset >> 2), into);
      return;
    }
    const at = slot * PAGE_SIZE + offset;
    into.set(this.content.subarray(at, at + length));
  }

  override write(frame: number, offset: number, bytes: Uint8Array): void {
    const { length } = bytes;
    const slot = this.memory.frameOf(pnHi(frame), pnLo(frame));
    if (slot < 0 || offset + length > PAGE_SIZE) {
      super.write(frame, offset, bytes);
      return;
    }
    this.content.set(bytes, slot * PAGE_SIZE + offset);
  }

  /** Structures are short and aligned: half the time of byte by byte. */
  private readWords(word: number, into: Uint8Array): void {
    const { words } = this.memory;
    for (let i = 0; i < into.length; i += 4, word++) {
      const value = words[word];
      into[i] = value;
      into[i + 1] = value >> 8;
      into[i + 2] = value >> 16;
      into[i + 3] = value >>> 24;
    }
  }
}

/** The fastest access that a port allows. */
export function frameBytesOf(port: MemoryPort): PortBytes {
  return port instanceof PhysicalMemory ? new PhysicalBytes(port) : new PortBytes(port);
}
