/** What kinds of open files memory can come from. */
import type { DmaBuf, OpenFile } from '../../kernel/api.ts';

export function isDmaBuf(file: OpenFile): file is DmaBuf {
  return file.kind === 'dma-buf';
}
