/**
 * An open file of memory: memfd, hugetlb memfd, tmpfs file, or the hidden one behind shared
 * anonymous memory. Such files can be mapped, and pinned without a mapping (memfd_pin_folios).
 */
import { PAGE_SIZE, type PinnableFile, type Process } from './api.ts';
import { Errno, fail } from './errno.ts';
import { HUGE_FRAMES } from './frame-table.ts';
import { type MemoryInode, SEAL_GROW, SEAL_SEAL, SEAL_SHRINK, SEAL_WRITE } from './inode.ts';

export type MemoryFileKind = 'memfd' | 'hugetlb' | 'regular' | 'shmem';

export class MemoryFile implements PinnableFile {
  readonly kind: MemoryFileKind;
  readonly inode: MemoryInode;
  readonly readable: boolean;
  readonly writable: boolean;
  refs = 1;
  position = 0;

  constructor(kind: MemoryFileKind, inode: MemoryInode, readable = true, writable = true) {
    this.kind = kind;
    this.inode = inode;
    this.readable = readable;
    this.writable = writable;
    inode.links++;
  }

  /** Pages that can be pinned: a last page that is only part of the file cannot. */
  get pages(): number {
    return Math.floor(this.inode.bytes / PAGE_SIZE);
  }

  pinPage(index: number): number {
    if (index >= this.pages) {
      fail('EINVAL', `page ${index} is past the end of a file of ${this.inode.bytes} bytes`);
    }
    const frame = this.inode.frame(index);
    this.inode.frames.pin(frame);
    return frame;
  }

  read(process: Process, address: bigint, count: number): number {
    const wanted = Math.max(0, Math.min(count, this.inode.bytes - this.position));
    return this.transfer(wanted, (bytes, done) => {
      this.inode.read(this.position, bytes);
      process.space.copyOut(address + BigInt(done), bytes);
    });
  }

  write(process: Process, address: bigint, count: number): number {
    if (this.inode.huge) fail('EINVAL', 'files of huge pages cannot be written');
    return this.transfer(count, (bytes, done) => {
      process.space.copyIn(address + BigInt(done), bytes);
      this.inode.write(this.position, bytes);
    });
  }

  /** Page by page; what was done before a page that is refused counts. */
  private transfer(count: number, page: (bytes: Uint8Array, done: number) => void): number {
    let done = 0;
    while (done < count) {
      const length = Math.min(count - done, PAGE_SIZE - (this.position % PAGE_SIZE));
      try {
        page(new Uint8Array(length), done);
      } catch (error) {
        if (done > 0 && error instanceof Errno) return done;
        throw error;
      }
      this.position += length;
      done += length;
    }
    return done;
  }

  /** ftruncate. */
  truncate(bytes: number): void {
    const { inode } = this;
    if (!this.writable) fail('EINVAL', 'the file is not open for writing');
    if (inode.huge && bytes % (HUGE_FRAMES * PAGE_SIZE) !== 0) {
      fail('EINVAL', 'the size of a file of huge pages is a multiple of 2 MiB');
    }
    if (bytes < inode.bytes && (inode.seals & SEAL_SHRINK) !== 0) {
      fail('EPERM', 'the file is sealed against shrinking');
    }
    if (bytes > inode.bytes && (inode.seals & SEAL_GROW) !== 0) {
      fail('EPERM', 'the file is sealed against growing');
    }
    inode.resize(bytes);
  }

  /** fcntl(F_ADD_SEALS). */
  addSeals(seals: number): void {
    const { inode } = this;
    if (!this.writable) fail('EPERM', 'the file is not open for writing');
    if ((seals & ~0x3f) !== 0) fail('EINVAL', 'unknown seals');
    if ((inode.seals & SEAL_SEAL) !== 0) fail('EPERM', 'the file is sealed against more seals');
    if ((seals & SEAL_WRITE) !== 0) {
      for (const area of inode.mappings) {
        if (area.shared && area.mayWrite) fail('EBUSY', 'the file is mapped shared and writable');
      }
    }
    inode.seals |= seals;
  }

  release(): void {
    this.inode.unlink();
  }
}
