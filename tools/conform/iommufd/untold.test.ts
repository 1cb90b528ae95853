/**
 * What recordings do not tell, and lines that are no cases. The cases are written by hand after the
 * rules that Linux's own selftest asserts (fork_gone, fork_present, change_process, ro_unshare,
 * access_domain_destory, the data of a vIOMMU); they are not recordings.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RecordedCase, RecordedOp } from './cases.ts';
import { bootCase, CaseMemory } from './machine.ts';
import type { CaseMismatch } from './replay.ts';
import { iommufdSuite } from './suite.ts';
import { replayUntold } from './untold.ts';

const MEMORY = new CaseMemory();
const VA = 0x7f0000000000;
const BUFFER = '0x7f0000000000';
const PAGE = 4096;
const APERTURE = 0x1000000;

function replay(ops: readonly object[], fields: Partial<RecordedCase> = {}): CaseMismatch | null {
  const of: RecordedCase = {
    ...{ id: 'own/1', src: 'selftest', caps: 'all', memlock: null },
    ...{ ops: ops as RecordedOp[], ...fields },
  };
  return replayUntold(of, () => bootCase(of, null, MEMORY), null).mismatch;
}

function words(...values: readonly number[]): string {
  return Buffer.from(Uint32Array.from(values).buffer).toString('hex');
}

function test72(op: number, id: number, ...rest: readonly number[]): string {
  const values = [72, op, id, 0, ...rest];
  return words(...values, ...new Array<number>(18 - values.length).fill(0));
}

/** A call on descriptor 3; `more`: `out`, `err`, `proc`, `ptr`. */
function ioctl(
  name: string,
  nr: number,
  input: string,
  more: Readonly<Record<string, unknown>> = {},
) {
  const err = typeof more.err === 'number' ? more.err : 0;
  const cmd = `0x${(0x3b00 + nr).toString(16)}`;
  return { op: 'ioctl', name, fd: 3, cmd, in: input, ret: err === 0 ? 0 : -1, err, ...more };
}

const BUFFER_MAP = {
  ...{ op: 'mmap', va: BUFFER, len: 4 * PAGE, prot: 3, flags: 0x31, fd: -1, off: 0, err: 0 },
};
const OPEN = { op: 'open', path: '/dev/iommu', flags: 2, ret: 3, err: 0 };
const CLOSE = { op: 'close', fd: 3, ret: 0, err: 0 };
const ALLOC = ioctl('IOAS_ALLOC', 0x81, words(12, 0, 0), out(words(12, 0, 1)));
const MOCK = ioctl('TEST_CMD.MOCK_DOMAIN', 0xa0, test72(2, 1), out(test72(2, 1, 2, 4, 3)));
const MAP = map(BUFFER, 4 * PAGE, 7);
const UNPINNED = [CLOSE, OPEN, checkRefs(0), CLOSE];

function out(text: string): { readonly out: string } {
  return { out: text };
}

function map(
  va: string,
  length: number,
  flags: number,
  more: Readonly<Record<string, unknown>> = {},
) {
  const [low, high] = [Number(va) % 2 ** 32, Math.floor(Number(va) / 2 ** 32)];
  const input = words(40, flags, 1, 0, low, high, length, 0, APERTURE, 0);
  return ioctl('IOAS_MAP', 0x85, input, more);
}

function checkRefs(refs: number) {
  return ioctl('TEST_CMD.MD_CHECK_REFS', 0xa0, test72(4, 0, 4 * PAGE, 0, 0, 0x7f00, refs));
}

function access(id: number, fd: number) {
  const answer = test72(5, 1, fd, 1);
  return ioctl('TEST_CMD.CREATE_ACCESS', 0xa0, test72(5, id, 0, 1), out(answer));
}

test('memory of a child that has exited cannot be pinned; of one that lives it can', () => {
  const start = [BUFFER_MAP, OPEN, ALLOC, { op: 'fork', proc: 1 }, { ...MAP, proc: 1 }];
  const gone = ioctl('TEST_CMD.MOCK_DOMAIN', 0xa0, test72(2, 1), { err: 14 });
  assert.is(replay([...start, gone, ...UNPINNED]), null);
  assert.is(replay([...start, MOCK, ...UNPINNED]), null);
  assert.is(replay([...start, { op: 'exit', proc: 1 }, gone, CLOSE]), null);
});

test('a child that calls again has not exited', () => {
  const child = { proc: 1 };
  const start = [BUFFER_MAP, OPEN, ALLOC, { op: 'fork', proc: 1 }, { ...MAP, ...child }];
  const gone = ioctl('TEST_CMD.MOCK_DOMAIN', 0xa0, test72(2, 1), { err: 14 });
  const mismatch = replay([...start, gone, { ...ALLOC, out: words(12, 0, 2), ...child }, CLOSE]);
  assert.equal([mismatch?.step, mismatch?.expected], [5, 'EFAULT']);
});

test('pages of a file move to the process that asks, and go when it exits', () => {
  for (const mode of [0, 1]) {
    const ops = [
      ...[BUFFER_MAP, { op: 'memfd', flags: 0, ret: 3, err: 0 }],
      { op: 'ftruncate', fd: 3, len: PAGE, ret: 0, err: 0 },
      { ...OPEN, ret: 4 },
      ioctl('OPTION', 0x87, words(24, 0, 0, 0, mode, 0)),
      ALLOC,
      MOCK,
      ioctl('IOAS_MAP_FILE', 0x8f, words(40, 7, 1, 3, 0, 0, PAGE, 0, APERTURE, 0)),
      { op: 'fork', proc: 1 },
      { ...ioctl('IOAS_CHANGE_PROCESS', 0x92, words(8, 0)), proc: 1 },
      ...UNPINNED,
    ].map((op) => ('name' in op || op.op === 'close' ? { ...op, fd: 4 } : op));
    const opens = ops.map((op) => (op === OPEN ? { ...OPEN, ret: 4 } : op));
    assert.is(replay(opens, { caps: 'no_ipc_lock' }), null);
  }
});

test('a file that an access held is closed when an answer says so', () => {
  const pages = test72(7, 4, 0, 0, APERTURE, 0, PAGE, 0, 0, 0x7f00);
  const ops = [BUFFER_MAP, OPEN, ALLOC, MOCK, access(1, 4), MAP];
  const pinned = [...ops, ioctl('TEST_CMD.ACCESS_PAGES', 0xa0, pages)];
  assert.is(replay([...pinned, ...UNPINNED]), null);
  // Its descriptor is taken again.
  assert.is(replay([...pinned, access(1, 4), ...UNPINNED]), null);
  const generated = replay([...pinned, ...UNPINNED], { src: 'fuzz' });
  assert.equal([generated?.step, generated?.got], [pinned.length + 2, 'EIO']);
});

test('a private page of an untold file keeps the frame that it was pinned with', () => {
  const page = { va: BUFFER, len: PAGE, prot: 3, flags: 2, fd: 5, off: 0, err: 0 };
  const check = test72(3, 4, APERTURE, 0, PAGE, 0, 0, 0x7f00);
  const rest = [
    map(BUFFER, PAGE, 5),
    ioctl('TEST_CMD.MD_CHECK_MAP', 0xa0, check),
    { op: 'mem', va: BUFFER, h: '01'.repeat(PAGE) },
    { op: 'phys', va: BUFFER, runs: [[0, 1, 1052316]] },
    ioctl('TEST_CMD.MD_CHECK_MAP', 0xa0, check),
    { op: 'munmap', va: BUFFER, len: PAGE, ret: 0, err: 0 },
    CLOSE,
  ];
  const mmap = { op: 'mmap', ...page };
  const close = { op: 'close', fd: 5, ret: 0, err: 0 };
  const open = { op: 'open', path: '/proc/self/exe', flags: 0, ret: 5, err: 0 };
  assert.is(replay([OPEN, ALLOC, MOCK, mmap, ...rest]), null);
  assert.is(replay([OPEN, ALLOC, MOCK, mmap, close, ...rest]), null);
  assert.is(replay([OPEN, ALLOC, MOCK, open, mmap, close, ...rest]), null);
  const vma = [[BUFFER, `0x${(VA + PAGE).toString(16)}`, 'rw-p', '/bin/program']];
  const told = map(BUFFER, PAGE, 5, { ptr: [{ at: 16, va: BUFFER, len: PAGE, vma }] });
  assert.is(replay([OPEN, ALLOC, MOCK, told, ...rest.slice(1)]), null);
});

test('a mapping that is refused has no address; one that is granted stands in the way', () => {
  const parent = words(48, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  const refused = { op: 'mmap', va: '0xffffffffffffffff', len: 8192, prot: 3, flags: 1, fd: 3 };
  const data = [{ at: 32, va: '0x7fff00000000', len: 24, in: words(0xabcd, 0, 0, 0, 0, 0) }];
  const answer = words(0xabcd, 0xabcd, PAGE, 0, 2 * PAGE, 0);
  const ops = [
    ...[OPEN, ALLOC, MOCK],
    ioctl('HWPT_ALLOC', 0x89, parent, out(words(48, 1, 3, 1, 5, 0, 0, 0, 0, 0, 0, 0))),
    ioctl('VIOMMU_ALLOC', 0x90, words(40, 0, 0xdeadbeef, 3, 5, 0, 24, 0, 0, 0x7fff), {
      ...out(words(40, 0, 0xdeadbeef, 3, 5, 6, 24, 0, 0, 0x7fff)),
      ...{ ptr: [{ ...data[0], out: answer }] },
    }),
    { ...refused, off: 2 * PAGE, err: 6 },
    { ...refused, va: BUFFER, off: PAGE, err: 0 },
    ioctl('DESTROY', 0x80, words(8, 6), { err: 16 }),
    { op: 'munmap', va: BUFFER, len: 8192, ret: 0, err: 0 },
    ioctl('DESTROY', 0x80, words(8, 6)),
    CLOSE,
  ];
  assert.is(replay(ops), null);
});

test('a line that cannot be replayed fails, and the run goes on', () => {
  const run = iommufdSuite.open('recordings/own.jsonl', {});
  const fields = { id: 'own/2', src: 'selftest', caps: 'all', memlock: null };
  const lines: readonly (readonly [unknown, string])[] = [
    [null, 'not an object'],
    [{ ...fields, id: 7, ops: [] }, 'no "id"'],
    [{ ...fields, caps: 'some', ops: [] }, 'caps'],
    [{ ...fields, src: 'else', ops: [] }, 'src'],
    [fields, 'no "ops"'],
    [{ ...fields, ops: [OPEN, 5] }, 'op 1: not an object'],
    [{ ...fields, ops: [OPEN, { op: 'toString' }] }, 'op 1: "toString" is not a known kind'],
    [{ ...fields, ops: [OPEN, {}] }, 'op 1: undefined is not a known kind'],
    [{ ...fields, ops: [{ ...OPEN, ret: undefined }] }, 'open without a number "ret"'],
    [{ ...fields, ops: [{ ...OPEN, path: 1 }] }, 'open without a string "path"'],
    [{ ...fields, ops: [{ op: 'poll', ret: 0 }] }, 'poll without a list "fds"'],
    [{ ...fields, ops: [{ ...ALLOC, out: 5 }] }, 'ioctl without a string "out"'],
    [
      { ...fields, ops: [{ ...ALLOC, ptr: [{ at: 16 }] }] },
      'pointer of ioctl without a string "va"',
    ],
  ];
  for (const [line, expected] of lines) {
    const verdict = run.judge(line);
    assert.is(verdict.kind, 'failed');
    if (verdict.kind === 'failed') assert.match(verdict.text, expected);
  }
  assert.is(run.judge({ ...fields, ops: [OPEN, ALLOC, CLOSE] }).kind, 'passed');
});

test('without the layouts their frames are assumed, and it is said', () => {
  const run = iommufdSuite.open('recordings/own.jsonl', {});
  const fields = { id: 'fuzz/1', src: 'fuzz', caps: 'none', memlock: 65536, layout: 0 };
  assert.is(run.judge({ ...fields, ops: [OPEN, ALLOC, CLOSE] }).kind, 'passed');
  const dependent = { ...fields, phys_dependent: true, ops: [] };
  assert.is(run.judge(dependent).kind, 'skipped');
  assert.match(run.summary?.().join('\n') ?? '', 'fuzz-layouts.json is not there');
});

test.run();
