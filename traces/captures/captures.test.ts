/** Readers of capture folders: columns of events, image, registers, and bad input. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../../sim/errors.ts';
import { identifyCapture, isCaptureFolder, readCapture } from './capture.ts';
import {
  EVENT_ACCESS,
  EVENT_ATTACH,
  EVENT_COMMAND,
  EVENT_DUMP,
  EVENT_FAULT,
  EVENT_MAP,
  EVENT_MARK,
  EVENT_OTHER,
  EVENT_UNMAP,
} from './events.ts';
import { EVENTS, REGISTERS, withFolder } from './fixture.ts';
import {
  readExpected,
  readLeaves,
  readLiveMaps,
  readMemoryImage,
  readRegisters,
  requesterId,
} from './image.ts';

const registers = JSON.stringify(REGISTERS);

/** Message of the error that reading a folder with these events gives. */
function complaint(events: string | Buffer, name = 'events.jsonl.gz'): string {
  let message = '';
  withFolder({ 'registers.json': registers, [name]: events }, (folder) => {
    try {
      readCapture(folder);
    } catch (error) {
      assert.instance(error, InputError);
      message = (error as InputError).message.replace(`${folder}/`, '');
    }
  });
  return message;
}

test('events become columns in the order of the file', () => {
  withFolder({ 'registers.json': registers, 'events.jsonl.gz': EVENTS.join('\n') }, (folder) => {
    assert.is(isCaptureFolder(folder), true);
    const { architecture, events } = readCapture(folder);
    assert.is(architecture, 'vtd');
    assert.is(events.count, EVENTS.length);
    assert.equal(
      [...events.kind],
      [
        EVENT_ATTACH,
        EVENT_MAP,
        EVENT_ACCESS,
        EVENT_ACCESS,
        EVENT_COMMAND,
        EVENT_UNMAP,
        EVENT_FAULT,
        EVENT_MARK,
        EVENT_OTHER,
        EVENT_DUMP,
      ],
    );
    assert.equal([...events.timeUs], [0, 5, 7, 8, 9, 9, 10, 11, 12, 13]);
    assert.equal([...events.sid], [256, -1, 256, 256, -1, -1, 80, -1, -1, -1]);
    assert.equal([...events.domain.slice(0, 6)], [3, 3, -1, -1, -1, -1]);
    assert.equal([...events.bytes.slice(0, 6)], [0, 8192, 0, 0, 0, 4096]);
    assert.equal([...events.access.slice(1, 7)], [2, 0, 1, 0, 0, 2]);
    assert.equal([...events.leaf.slice(2, 4)], [3, 0]);
    assert.equal([...events.pageShift.slice(2, 4)], [12, 21]);
    assert.equal([events.code[0], events.code[6]], [9, 5]);
    assert.equal(
      [events.textOf(4), events.textOf(7), events.textOf(8)],
      ['iotlb:page', 'begin', 'qreset'],
    );
  });
});

test('addresses are split into page halves and offset', () => {
  withFolder({ 'registers.json': registers, 'events.jsonl': EVENTS.join('\n') }, (folder) => {
    const { events } = readCapture(folder);
    assert.equal(
      [events.iovaHi[2], events.iovaLo[2], events.iovaOffset[2]],
      [511, 0x7ffffff, 0x123],
    );
    assert.equal([events.paHi[2], events.paLo[2], events.paOffset[2]], [0, 0xb8af, 0x123]);
    assert.equal([events.iovaLo[3], events.iovaOffset[3]], [0x200, 0xfff]);
  });
});

test('commands keep their raw words', () => {
  withFolder({ 'registers.json': registers, 'events.jsonl': EVENTS.join('\n') }, (folder) => {
    const { events } = readCapture(folder);
    assert.is(events.command[4], 0);
    assert.equal([...events.commands], [0x12345678, 0x9abcdef0 | 0, 4, 0]);
  });
});

test('a bad line is named with file, line and what was expected', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['{"t":0,"k":"dump"}\n{"t":1,', /^events\.jsonl\.gz:2: not JSON/],
    ['[]', /:1: "k": expected a string, found nothing/],
    ['7', /:1: expected an object, found 7/],
    ['{"t":-1,"k":"dump"}', /:1: "t": expected a whole number, found -1/],
    ['{"t":0,"k":"xl","sid":1,"iova":"12","pa":"0x0"}', /"iova": expected a hexadecimal string/],
    ['{"t":0,"k":"xl","iova":"0x0","pa":"0x0"}', /"sid": missing/],
    ['{"t":0,"k":"map","iova":"0x0","pa":"0x0","size":1.5,"prot":"r"}', /"size": expected a whole/],
    [
      '{"t":0,"k":"map","iova":"0x0","pa":"0x0","size":1,"prot":"z"}',
      /"prot": expected r, w or rw/,
    ],
    ['{"t":0,"k":"xl","sid":1,"iova":"0x0","pa":"0x0","mask":"0x5"}', /"mask": not one less/],
    ['{"t":2,"k":"dump"}\n{"t":1,"k":"dump"}', /:2: time goes backwards/],
    ['{"t":2,"k":"dump"}\n\n{"t":3,"k":"dump"}', /has empty lines/],
  ];
  for (const [text, expected] of cases) assert.match(complaint(text), expected);
});

test('a gzip file cut anywhere is reported with how far it could be read', () => {
  const packed = gzipSync(EVENTS.join('\n'));
  for (const length of [0, 5, 40, packed.length >> 1, packed.length - 1]) {
    assert.match(complaint(packed.subarray(0, length)), /events\.jsonl\.gz: damaged or cut short/);
  }
  assert.match(complaint(packed.subarray(0, packed.length - 8)), /\(line \d+\)/);
});

test('a folder without events or with unknown registers is refused', () => {
  withFolder({ 'registers.json': registers }, (folder) => {
    assert.is(isCaptureFolder(folder), false);
    assert.throws(() => readCapture(folder), /has no events\.jsonl\.gz/);
  });
  withFolder({ 'registers.json': '{"windows":{"x":{"base":"0x0","words":{}}}}' }, (folder) => {
    assert.throws(() => identifyCapture(folder), /window x: expected one of dmar0/);
  });
  withFolder({ 'registers.json': '{' }, (folder) => {
    assert.throws(() => readRegisters(folder), /registers\.json: not JSON/);
  });
  withFolder({ 'registers.json': '{"windows":{"dmar0":{"base":"0x0"}}}' }, (folder) => {
    assert.throws(() => readRegisters(folder), /window "dmar0": expected base and words/);
  });
});

test('a memory image gives its pages as words, in ascending order', () => {
  const record = (address: bigint, word: number): Buffer => {
    const bytes = Buffer.alloc(4104);
    bytes.writeBigUInt64LE(address, 0);
    bytes.writeInt32LE(word, 8 + 4);
    return bytes;
  };
  const image = (...records: Buffer[]): Buffer => gzipSync(Buffer.concat(records));
  withFolder({ 'memory.sparse.gz': image(record(0x1000n, 7), record(0x1_0000_0000n, -1)) }, (f) => {
    const pages: [bigint, number][] = [];
    readMemoryImage(f, (address, words) => pages.push([address, words[1]!]));
    assert.equal(pages, [
      [0x1000n, 7],
      [0x1_0000_0000n, -1],
    ]);
  });
  withFolder({ 'memory.sparse.gz': image(record(0x2000n, 0), record(0x1000n, 0)) }, (folder) => {
    assert.throws(
      () => readMemoryImage(folder, () => {}),
      /record 1: page address 0x1000 is out of/,
    );
  });
  withFolder({ 'memory.sparse.gz': gzipSync(Buffer.alloc(4000)) }, (folder) => {
    assert.throws(
      () => readMemoryImage(folder, () => {}),
      /not a whole number of 4104-byte records/,
    );
  });
});

test('expected translations and faults are told apart', () => {
  const lines = [
    '{"sid":1,"pasid":null,"iova":"0x10","access":"w","pa":"0x20","page_size":4096,"leaf_r":0,"leaf_w":1,"domain":9}',
    '{"sid":1,"pasid":3,"iova":"0x10","access":null,"fault":5,"reason_now":false}',
  ];
  withFolder({ 'expected.jsonl': lines.join('\n') }, (folder) => {
    const [hit, fault] = readExpected(folder);
    assert.equal([hit!.pa, hit!.leafRead, hit!.leafWrite, hit!.pasid], [0x20n, false, true, -1]);
    assert.equal([fault!.pa, fault!.fault, fault!.reasonNow, fault!.pasid], [null, 5, false, 3]);
  });
  withFolder({ 'expected.jsonl': '{"sid":1,"iova":"0x10","access":"w"}' }, (folder) => {
    assert.throws(() => readExpected(folder), /expected\.jsonl:1: expected either "pa" or "fault"/);
  });
});

test('live maps and leaves are read with their sizes', () => {
  const map =
    '{"sid":1,"iova":"0x0","pa":"0x0","size":2097152,"prot":"rw","page_sizes":{"2097152":1}}';
  withFolder(
    { 'live-maps.jsonl': map, 'leaves.jsonl.gz': '["00:1f.3","0x0",4096,"0x83"]' },
    (f) => {
      assert.equal([...readLiveMaps(f)[0]!.pageSizes], [[2097152, 1]]);
      readLeaves(f, (leaf) =>
        assert.equal(leaf, { sid: 251, iova: 0n, bytes: 4096, entry: 0x83n }),
      );
    },
  );
  assert.throws(() => requesterId('0:1'), /expected bb:dd\.f/);
});

test('the captures that are there have the counts that their summaries tell', () => {
  const home = '../shared/captures';
  if (!existsSync(home)) {
    console.log(`${home} is not there: counts of captures not checked`);
    return;
  }
  for (const name of ['x86-legacy-strict', 'riscv-s']) {
    const { events } = readCapture(join(home, name));
    const { event_counts: counts } = JSON.parse(
      readFileSync(join(home, name, 'summary.json'), 'utf8'),
    ) as { event_counts: Record<string, number> };
    const kinds = { attach: EVENT_ATTACH, map: EVENT_MAP, unmap: EVENT_UNMAP, xl: EVENT_ACCESS };
    for (const [kind, code] of Object.entries(kinds)) assert.is(events.total(code), counts[kind]);
    assert.is(events.commands.length / 4, counts.inv);
  }
});

test.run();
