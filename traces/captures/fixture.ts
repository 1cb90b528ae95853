/** A small capture folder written to a temporary place, for tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

export const REGISTERS = {
  windows: { dmar0: { base: '0xfed90000', words: { '0x8': '0x80d2008c', '0x20': '0x1000' } } },
};

export const EVENTS: readonly string[] = [
  '{"t":0,"k":"attach","dom":3,"sid":256,"did":9}',
  '{"t":5,"k":"map","dom":3,"iova":"0xfffffffff000","size":8192,"pa":"0xb8af000","prot":"w"}',
  '{"t":7,"k":"xl","sid":256,"iova":"0xfffffffff123","pa":"0xb8af123","hit":0,"leaf":3}',
  '{"t":8,"k":"xl","sid":256,"iova":"0x200fff","pa":"0x400fff","acc":"r","mask":"0x1fffff"}',
  '{"t":9,"k":"inv","lo":"0x9abcdef012345678","hi":"0x4","type":"iotlb","g":"page"}',
  '{"t":9,"k":"unmap","dom":null,"iova":"0x1000","size":4096}',
  '{"t":10,"k":"fault","sid":80,"reason":5,"iova":"0x132a9888","write":1}',
  '{"t":11,"k":"mark","text":"begin"}',
  '{"t":12,"k":"qreset"}',
  '{"t":13,"k":"dump"}',
];

/** Runs `body` with a folder that holds these files; names ending in `.gz` are compressed. */
export function withFolder(
  files: Readonly<Record<string, string | Buffer>>,
  body: (folder: string) => void,
): void {
  const folder = mkdtempSync(join(tmpdir(), 'capture-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      const packed = name.endsWith('.gz') && typeof content === 'string';
      writeFileSync(join(folder, name), packed ? gzipSync(content) : content);
    }
    body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
