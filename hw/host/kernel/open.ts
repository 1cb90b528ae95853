/** open: device nodes, files on tmpfs, and files of memory opened again through /proc/self/fd. */
import type { OpenFile } from './api.ts';
import { fail } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { MemoryFile } from './memory-file.ts';
import type { UserProcess } from './process.ts';

const O_ACCMODE = 3;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_CREAT = 0x40;
const O_EXCL = 0x80;
const O_TRUNC = 0x200;
const SELF_FD = '/proc/self/fd/';

export function openPath(
  kernel: Kernel,
  process: UserProcess,
  path: string,
  flags: number,
): OpenFile {
  const mode = flags & O_ACCMODE;
  const node = kernel.node(path);
  if (node !== null) {
    const file = node(process);
    file.readable = mode !== O_WRONLY;
    file.writable = mode === O_WRONLY || mode === O_RDWR;
    return file;
  }
  if (path.startsWith(SELF_FD)) return reopen(process, path, mode);
  let inode = kernel.inode(path);
  if (inode !== null && (flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0) {
    fail('EEXIST', `${path} exists`);
  }
  if (inode === null && (flags & O_CREAT) !== 0) inode = kernel.createFile(path);
  if (inode === null) fail('ENOENT', `there is no ${path}`);
  const file = new MemoryFile('regular', inode, mode !== O_WRONLY, mode !== 0);
  if ((flags & O_TRUNC) !== 0 && file.writable) file.truncate(0);
  return file;
}

function reopen(process: UserProcess, path: string, mode: number): OpenFile {
  const fd = path.slice(SELF_FD.length);
  const file = /^\d+$/.test(fd) ? process.file(Number(fd)) : null;
  if (file === null) fail('ENOENT', `there is no ${path}`);
  if (!(file instanceof MemoryFile)) fail('ENXIO', `a ${file.kind} file cannot be opened again`);
  return new MemoryFile(file.kind, file.inode, mode !== O_WRONLY, mode !== 0);
}
