/** Ops of IOMMU_TEST_CMD that export memory as a dma-buf, as a VFIO device exports its BARs. */
import { PAGE_SIZE } from '../../../kernel/api.ts';
import { DmaBufFile } from '../../../kernel/dma-buf.ts';
import { fail } from '../../../kernel/errno.ts';
import type { IoctlCall } from '../../call.ts';
import { TEST_DMABUF_GET, TEST_DMABUF_REVOKE } from '../../uapi/test-structs.ts';

/** Largest dma-buf: 2 MiB. */
const PAGES_MAX = 512;

/** DMABUF_GET: returns the new descriptor. */
export function dmabufGet(call: IoctlCall): number {
  const length = call.u32(TEST_DMABUF_GET.at.length);
  const count = Math.ceil(length / PAGE_SIZE);
  if (count === 0 || count > PAGES_MAX) {
    fail('EINVAL', `a dma-buf of ${count} pages: it has 1 to ${PAGES_MAX}`);
  }
  const { services } = call.context;
  services.memory.point('ENOMEM', 'dma-buf');
  const file = new DmaBufFile(services.pages, count);
  try {
    const fd = call.process.reserveFd();
    call.process.installFd(fd, file);
    return fd;
  } catch (error) {
    services.put(file);
    throw error;
  }
}

/** DMABUF_REVOKE: importers are told, also when access is given again. */
export function dmabufRevoke(call: IoctlCall): void {
  const { at } = TEST_DMABUF_REVOKE;
  const fd = call.s32(at.dmabuf_fd);
  const file = call.process.file(fd);
  if (file === null) fail('EBADF', `no file has the descriptor ${fd}`);
  if (!(file instanceof DmaBufFile)) fail('EINVAL', `the file ${fd} (${file.kind}) is no dma-buf`);
  file.setRevoked(call.u32(at.revoked) !== 0);
}
