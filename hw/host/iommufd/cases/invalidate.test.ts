/** Reference 10.5: HWPT_INVALIDATE on nested page tables of the mock. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrnoName } from '../../kernel/errno.ts';
import type { CallFields } from '../client/request.ts';
import { type Bench, IOTLB, NEST_PARENT, rule } from './fixture.ts';

interface Tables {
  readonly parent: number;
  readonly first: number;
  readonly second: number;
}

const ALL = 1;

function tableRule(name: string, run: (b: Bench, tables: Tables) => void): void {
  rule(name, (b) => {
    const ioas = b.ioas();
    const device = b.mock(ioas);
    const parent = b.hwpt(device, ioas, NEST_PARENT);
    run(b, { parent, first: b.nested(device, parent), second: b.nested(device, parent) });
  });
}

interface Entry {
  readonly flags?: number;
  readonly iotlb_id?: number;
}

function fields(id: number, data: readonly Entry[], more: CallFields): CallFields {
  return { hwpt_id: id, data_type: 'SELFTEST', data: data as never, ...more };
}

function refuse(
  b: Bench,
  code: ErrnoName,
  done: number,
  id: number,
  data: readonly Entry[],
  more: CallFields = {},
): void {
  const report = b.refuse(code, 'HWPT_INVALIDATE', fields(id, data, more));
  assert.is(report.out.entry_num, done, 'entries done');
}

function invalidate(b: Bench, id: number, data: readonly Entry[], more: CallFields = {}): void {
  const report = b.ok('HWPT_INVALIDATE', fields(id, data, more));
  assert.is(report.out.entry_num, data.length, 'entries done');
}

function checkWords(b: Bench, id: number, words: readonly number[]): void {
  for (const [i, word] of words.entries()) {
    b.op('MD_CHECK_IOTLB', { id, iotlb_id: i, iotlb: word });
  }
}

const UNTOUCHED = [IOTLB, IOTLB, IOTLB, IOTLB];
const FIRST_GONE = [0, IOTLB, IOTLB, IOTLB];

tableRule('62: invalidation of a paging HWPT is EINVAL with 0 done', (b, { parent }) => {
  refuse(b, 'EINVAL', 0, parent, [{}]);
});

tableRule('63: no entries of the right type are done', (b, { first }) => {
  invalidate(b, first, [], { entry_len: 8 });
});

tableRule('64: an entry of another type is EINVAL with 0 done', (b, { first }) => {
  const data_uptr = b.place(new Uint8Array(8));
  refuse(b, 'EINVAL', 0, first, [], { data_type: 0xbad, data_uptr, entry_len: 8, entry_num: 1 });
  checkWords(b, first, UNTOUCHED);
});

tableRule('65: entry_len one above the structure is EINVAL with 0 done', (b, { first }) => {
  refuse(b, 'EINVAL', 0, first, [{}], { entry_len: 9 });
});

tableRule('66: entry_len 1 is EINVAL with 0 done', (b, { first }) => {
  refuse(b, 'EINVAL', 0, first, [{}], { entry_len: 1 });
});

tableRule('67: unknown flags of an entry are EOPNOTSUPP with 0 done', (b, { first }) => {
  refuse(b, 'EOPNOTSUPP', 0, first, [{ flags: 0xffffffff }]);
});

tableRule('68: a NULL data_uptr with one entry is EINVAL with 0 done', (b, { first }) => {
  refuse(b, 'EINVAL', 0, first, [{}], { data_uptr: 0, entry_len: 8, entry_num: 1 });
});

tableRule('69: entry_len 0 with one entry is EINVAL with 0 done', (b, { first }) => {
  refuse(b, 'EINVAL', 0, first, [{}], { entry_len: 0 });
});

tableRule('70: a word beyond the last is EINVAL with 0 done', (b, { first }) => {
  refuse(b, 'EINVAL', 0, first, [{ iotlb_id: 4 }]);
});

tableRule('71: a bad flag in the second entry leaves the first one done', (b, { first }) => {
  refuse(b, 'EOPNOTSUPP', 1, first, [{}, { flags: 0xffffffff, iotlb_id: 1 }]);
  checkWords(b, first, FIRST_GONE);
});

tableRule('72: a bad word in the second entry leaves the first one done', (b, { first }) => {
  refuse(b, 'EINVAL', 1, first, [{}, { iotlb_id: 4 }]);
  checkWords(b, first, FIRST_GONE);
});

tableRule('73: one entry invalidates one word', (b, { first }) => {
  invalidate(b, first, [{}]);
  invalidate(b, first, [{ iotlb_id: 1 }]);
  checkWords(b, first, [0, 0, IOTLB, IOTLB]);
});

tableRule('74: two entries invalidate two words', (b, { first }) => {
  invalidate(b, first, [{}, { iotlb_id: 1 }]);
  invalidate(b, first, [{ iotlb_id: 2 }, { iotlb_id: 3 }]);
  checkWords(b, first, [0, 0, 0, 0]);
});

tableRule('75: ALL invalidates every word of one HWPT and none of another', (b, tables) => {
  const { first, second } = tables;
  invalidate(b, second, [{ flags: ALL }]);
  checkWords(b, second, [0, 0, 0, 0]);
  checkWords(b, first, UNTOUCHED);
});

test.run();
