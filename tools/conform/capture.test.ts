/** Checking of capture folders: a small image by hand, and the recordings where they are. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withFolder } from '../../traces/captures/fixture.ts';
import { CACHED, UNCACHED } from './cache-settings.ts';
import { conformCapture } from './capture.ts';

/** Root, context and tables of device 00:02.0 in domain 9: 0x5000 -> 0xabc000, writable only. */
const IMAGE: readonly (readonly [bigint, Readonly<Record<number, bigint>>])[] = [
  [0x1000n, { 0: 0x2001n }],
  [0x2000n, { 256: 0x3001n, 264: 0x901n }],
  [0x3000n, { 0: 0x4003n }],
  [0x4000n, { 0: 0x6003n, 8: 0x4000_0083n }],
  [0x6000n, { 40: 0xabc002n }],
];

const WORDS = {
  '0x0': '0x10',
  '0x8': '0x222f0606',
  '0xc': '0x80d2008c',
  '0x10': '0x00f00f4a',
  '0x1c': '0xc0000000',
  '0x20': '0x00001000',
};

const EXPECTED = [
  '{"sid":16,"pasid":null,"iova":"0x5123","access":"w","pa":"0xabc123","page_size":4096,"leaf_r":0,"leaf_w":1,"domain":9}',
  '{"sid":16,"pasid":null,"iova":"0x5123","access":"r","fault":6}',
  '{"sid":16,"pasid":null,"iova":"0x6000","access":"w","fault":1,"reason_now":false}',
  '{"sid":16,"pasid":null,"iova":"0x212345","access":null,"pa":"0x40012345","page_size":2097152}',
];
const MAPS = [
  '{"sid":16,"iova":"0x5000","pa":"0xabc000","size":4096,"prot":"w","page_sizes":{"4096":1}}',
  '{"sid":16,"iova":"0x200000","pa":"0x40000000","size":2097152,"prot":"rw","page_sizes":{"2097152":1}}',
];
const LEAVES = ['["00:02.0","0x5000",4096,"0xabc002"]', '["00:02.0","0x200000",2097152,"0x0"]'];

function image(): Buffer {
  const records = IMAGE.map(([address, quads]) => {
    const bytes = Buffer.alloc(4104);
    bytes.writeBigUInt64LE(address);
    for (const [at, value] of Object.entries(quads)) bytes.writeBigUInt64LE(value, 8 + Number(at));
    return bytes;
  });
  return gzipSync(Buffer.concat(records));
}

function files(changes: Readonly<Record<string, string>> = {}): Record<string, string | Buffer> {
  return {
    'registers.json': JSON.stringify({ windows: { dmar0: { base: '0x0', words: WORDS } } }),
    'memory.sparse.gz': image(),
    'expected.jsonl': EXPECTED.join('\n'),
    'live-maps.jsonl': MAPS.join('\n'),
    'leaves.jsonl.gz': LEAVES.join('\n'),
    ...changes,
  };
}

function totals(changes: Readonly<Record<string, string>> = {}): {
  readonly result: string;
  readonly lines: readonly string[];
} {
  const lines: string[] = [];
  let result = '';
  withFolder(files(changes), (folder) => {
    const { passed, failed, skipped } = conformCapture(folder, (line) => lines.push(line));
    result = `${passed}/${failed}/${skipped}`;
  });
  return { result, lines };
}

test('an image that agrees passes line by line', () => {
  assert.is(totals().result, '7/0/null');
});

test('each kind of difference is one failure with its line', () => {
  const wrong = (file: string, from: string, to: string): void => {
    const text = String(files()[file]);
    assert.ok(text.includes(from));
    const { result, lines } = totals({ [file]: text.replace(from, to) });
    assert.is(result, '6/1/null', lines.join('; '));
  };
  wrong('expected.jsonl', '"0xabc123"', '"0xabd123"');
  wrong('expected.jsonl', '"page_size":4096', '"page_size":8192');
  wrong('expected.jsonl', '"domain":9', '"domain":8');
  wrong('expected.jsonl', '"fault":6', '"fault":5');
  wrong('live-maps.jsonl', '"4096":1', '"4096":2');
  wrong('live-maps.jsonl', '"pa":"0x40000000"', '"pa":"0x40001000"');
});

test('a leaf permission that the tables contradict is a failure', () => {
  const text = EXPECTED.join('\n').replace('"leaf_w":1', '"leaf_w":0');
  assert.is(totals({ 'expected.jsonl': text }).result, '6/1/null');
});

test('a leaf that walking does not find fails the check of leaves', () => {
  const leaves = '["00:02.0","0x5000",4096,"0xabc002"]\n["00:02.0","0x7000",4096,"0x0"]';
  assert.is(totals({ 'leaves.jsonl.gz': leaves }).result, '6/1/null');
});

test('a reason that does not hold any more does not count, the fault does', () => {
  const text = EXPECTED.join('\n').replace(',"reason_now":false', '');
  assert.is(totals({ 'expected.jsonl': text }).result, '6/1/null');
});

test('scalable mode and other architectures are skipped, not passed', () => {
  const scalable = { ...WORDS, '0x20': '0x00001400' };
  const windows = (name: string, words: object): string =>
    JSON.stringify({ windows: { [name]: { base: '0x0', words } } });
  assert.match(totals({ 'registers.json': windows('dmar0', scalable) }).result, /^0\/0\/VT-d scal/);
  assert.match(totals({ 'registers.json': windows('amdvi', {}) }).result, /^0\/0\/arch.* amdvi/);
});

test('recordings of Linux agree in full', () => {
  const home = '../shared/captures';
  if (!existsSync(home)) {
    console.log(`${home} is not there: recordings not checked`);
    return;
  }
  let checked = 0;
  for (const name of readdirSync(home)) {
    const folder = join(home, name);
    if (!existsSync(join(folder, 'expected.jsonl'))) continue;
    for (const caches of [UNCACHED, CACHED]) {
      const lines: string[] = [];
      const { passed, failed } = conformCapture(folder, (l) => lines.push(l), caches.create());
      assert.is(failed, 0, `${name} (${caches.name}): ${lines.join('; ')}`);
      checked += passed;
    }
  }
  assert.ok(checked > 0);
});

test.run();
