/**
 * Memory as a unit sees it: 32-bit words at (page number, byte offset). Addresses are system
 * physical. Reads of memory nobody wrote return zero. The port says nothing of time: timing is the
 * business of hw/memory's timing model; this is what is in memory, as of now, for this partition.
 */

/** What an access met. Anything but OK yields no data. */
export const MEM_OK = 0;
/** The address is outside memory, or the access was refused (PMA/PMP, bus abort). */
export const MEM_ACCESS_FAULT = 1;
/** The data is known to be corrupt (poison). */
export const MEM_POISON = 2;

export interface MemoryPort {
  /** Status of a read of `bytes` bytes at the address; the address is naturally aligned. */
  checkRead(hi: number, lo: number, offset: number, bytes: number): number;
  /** Status of a write (also the write half of an atomic update). */
  checkWrite(hi: number, lo: number, offset: number, bytes: number): number;
  /** The aligned 32-bit little-endian word at the address, as a signed 32-bit integer. */
  read32(hi: number, lo: number, offset: number): number;
  /** Stores an aligned 32-bit little-endian word. */
  write32(hi: number, lo: number, offset: number, value: number): void;
  /** ORs bits into the aligned 8-byte entry (`entryBytes` 4: only the low word) at the address. */
  or64(hi: number, lo: number, offset: number, orLo: number, orHi: number): void;
}
