/**
 * The replayer of recorded /dev/iommu cases: small cases by hand, and the recordings where they
 * are.
 */
import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readJsonLines } from '../vectors.ts';
import type { RecordedCase, RecordedLayout, RecordedOp } from './cases.ts';
import { LeftoverSearch } from './leftover-search.ts';
import { NO_LEFTOVERS } from './leftovers.ts';
import { bootCase, CaseMemory } from './machine.ts';
import { type CaseMismatch, replayCase } from './replay.ts';
import { MismatchGroups, mismatchText } from './report.ts';
import { iommufdSuite } from './suite.ts';

const MEMORY = new CaseMemory();

const OPEN = { op: 'open', path: '/dev/iommu', flags: 2, ret: 3, err: 0 } as const;
const CLOSE = { op: 'close', fd: 3, ret: 0, err: 0 } as const;

function recorded(ops: readonly RecordedOp[], fields: Partial<RecordedCase> = {}): RecordedCase {
  return { id: 'own/1', src: 'selftest', caps: 'all', memlock: null, ops, ...fields };
}

function replay(of: RecordedCase, layout: RecordedLayout | null = null): CaseMismatch | null {
  return replayCase(of, bootCase(of, layout, MEMORY));
}

/** Little-endian words as hexadecimal text. */
function words(...values: readonly number[]): string {
  return Buffer.from(Uint32Array.from(values).buffer).toString('hex');
}

function ioctl(name: string, nr: number, input: string, more: object = {}): RecordedOp {
  const cmd = `0x${(0x3b00 + nr).toString(16)}`;
  return { op: 'ioctl', name, fd: 3, cmd, in: input, ret: 0, err: 0, ...more } as RecordedOp;
}

const ALLOC = ioctl('IOAS_ALLOC', 0x81, words(12, 0, 0), { out: words(12, 0, 1) });

/** A selftest-like program: shared memory, an IOAS, a mapping, a read through an access object. */
const PROGRAM: readonly RecordedOp[] = [
  { op: 'mmap', va: '0x7f0000000000', len: 8192, prot: 3, flags: 0x21, fd: -1, off: 0, err: 0 },
  OPEN,
  ALLOC,
  { op: 'mem', va: '0x7f0000000ffe', h: '11223344' },
  { op: 'phys', va: '0x7f0000000000', runs: [[0, 2, 1052316]] },
  ioctl('IOAS_MAP', 0x85, words(40, 7, 1, 0, 0, 0x7f00, 8192, 0, 0x1000000, 0)),
  ioctl('TEST_CMD.CREATE_ACCESS', 0xa0, testCommand(5, 1), { out: testCommand(5, 1, [4, 0]) }),
  ioctl('TEST_CMD.ACCESS_RW', 0xa0, accessRw(0x1000ffe, 4, 0), {
    ptr: [{ at: 32, va: '0x7fff00001000', len: 4, in: '00000000', out: '11223344' }],
  }),
  ioctl('TEST_CMD.ACCESS_RW', 0xa0, accessRw(0x1000fff, 2, 1), {
    ptr: [{ at: 32, va: '0x7fff00001000', len: 2, in: 'aabb' }],
    mw: [['0x7f0000000fff', -1, 0xfff, 'aabb']],
  }),
  { op: 'close', fd: 4, ret: 0, err: 0 },
  ioctl('DESTROY', 0x80, words(8, 77), { ret: -1, err: 2 }),
  CLOSE,
];

function testCommand(op: number, id: number, union: readonly number[] = []): string {
  const values = new Array<number>(18).fill(0);
  values.splice(0, 3, 72, op, id);
  values.splice(4, union.length, ...union);
  return words(...values);
}

function accessRw(iova: number, length: number, flags: number): string {
  return testCommand(8, 4, [iova, 0, length, 0, 0x1000, 0x7fff, flags]);
}

test('a case that agrees has no difference', () => {
  assert.is(replay(recorded(PROGRAM)), null);
});

test('the first differing field is named with its operation', () => {
  const cases: readonly (readonly [string, string, number, string])[] = [
    ['"ret":3', '"ret":5', 1, 'return'],
    [words(12, 0, 1), words(12, 0, 2), 2, 'out_ioas_id'],
    ['"out":"11223344"', '"out":"11223345"', 7, '*uptr[3]'],
    ['"out":"11223344"', '"unused":""', 7, '*uptr[0]'],
    ['0xfff,"aabb"', '0xfff,"aabc"', 8, 'memory at 0x7f0000000fff[1]'],
    ['"err":2', '"err":16', 10, 'errno'],
  ];
  const text = JSON.stringify(PROGRAM).replace('4095,', '0xfff,');
  for (const [from, to, step, field] of cases) {
    assert.ok(text.includes(from), from);
    const ops = JSON.parse(text.replace(from, to).replace('0xfff,', '4095,')) as RecordedOp[];
    const mismatch = replay(recorded(ops));
    assert.equal([mismatch?.step, mismatch?.field], [step, field]);
  }
});

test('a difference is told with the rule that refused, and the argument by its fields', () => {
  const of = recorded([OPEN, ioctl('DESTROY', 0x80, words(8, 77), { ret: 0, err: 0 })]);
  const mismatch = replay(of);
  assert.ok(mismatch);
  const text = mismatchText(of, mismatch);
  assert.match(text, /^own\/1 op 1 of 2, DESTROY on fd 3\n {2}errno: expected success, got ENOENT/);
  assert.match(text, /rule: .*77/);
  assert.match(text, 'argument: size 8, id 77');
});

test('differences of one kind are one group', () => {
  const groups = new MismatchGroups();
  for (const id of [77, 78]) {
    const of = recorded([OPEN, ioctl('DESTROY', 0x80, words(8, id), { ret: 0, err: 0 })]);
    groups.add(of, replay(of) as CaseMismatch);
  }
  assert.equal(groups.lines(), [
    '    2 x DESTROY: errno: expected success, got ENOENT (own/1 op 1)',
  ]);
});

test('an argument that is cut short ends where memory ends', () => {
  const short = ioctl('IOAS_ALLOC', 0x81, words(12, 0), { w: 12, ret: -1, err: 14 });
  assert.is(replay(recorded([OPEN, short])), null);
});

test('a process without capabilities has its limit', () => {
  const map = ioctl('IOAS_MAP', 0x85, words(40, 7, 1, 0, 0, 0x7f00, 8192, 0, 0x1000000, 0));
  const mock = ioctl('TEST_CMD.MOCK_DOMAIN', 0xa0, testCommand(2, 1), {
    out: testCommand(2, 1, [2, 4, 3]),
  });
  const run = (memlock: number, err: number): CaseMismatch | null => {
    const last = { ...map, ret: err === 0 ? 0 : -1, err } as RecordedOp;
    return replay(
      recorded([PROGRAM[0] as RecordedOp, OPEN, ALLOC, mock, last], {
        caps: 'none',
        memlock,
      }),
    );
  };
  assert.is(run(8192, 0), null);
  assert.is(run(4096, 12), null);
});

test('a forked child has its own memory and the same open files', () => {
  const child = { proc: 1 } as const;
  const ops: RecordedOp[] = [
    OPEN,
    { op: 'fork', proc: 1 },
    { ...ALLOC, ...child } as RecordedOp,
    { op: 'mmap', va: '0x7f0000000000', len: 4096, prot: 3, flags: 0x21, fd: -1, off: 0, err: 0 },
    ioctl('IOAS_MAP', 0x85, words(40, 7, 1, 0, 0, 0x7f00, 4096, 0, 0x1000000, 0)),
    { ...CLOSE, ...child },
    CLOSE,
  ];
  assert.is(replay(recorded(ops)), null);
  const unknown = replay(recorded([{ ...OPEN, proc: 2 }]));
  assert.is(unknown?.field, 'proc');
});

test('a selftest may have closed a file whose descriptor a structure returned', () => {
  const ops = [
    OPEN,
    ALLOC,
    ioctl('TEST_CMD.CREATE_ACCESS', 0xa0, testCommand(5, 1), { out: testCommand(5, 1, [4, 0]) }),
    ioctl('DESTROY', 0x80, words(8, 1)),
  ];
  assert.is(replay(recorded(ops)), null);
  const generated = replay(recorded(ops, { src: 'fuzz' }));
  assert.equal([generated?.step, generated?.got], [3, 'EBUSY']);
});

/** One region of the generated address space: 64 pages of shared memory. */
const LAYOUT: RecordedLayout = [
  { name: 'sh', va: '0x10000000', len: 0x40000, runs: [[0, 64, 1086112]] },
];

function checkRefs(refs: number, err: number): RecordedOp {
  const input = testCommand(4, 0, [4096, 0, 0x10000000, 0, refs]);
  return ioctl('TEST_CMD.MD_CHECK_REFS', 0xa0, input, { ret: err === 0 ? 0 : -1, err });
}

test('pins that earlier sequences left are deduced where one number explains all answers', () => {
  const judge = (...ops: readonly RecordedOp[]): [boolean, number | undefined] => {
    const of = recorded([OPEN, ...ops], { src: 'fuzz' });
    const search = new LeftoverSearch(of, LAYOUT, MEMORY, null);
    assert.is(search.run(NO_LEFTOVERS), null);
    return [search.assumed, search.known.pins.get(1086112)];
  };
  assert.equal(judge(checkRefs(0, 0)), [false, undefined]);
  assert.equal(judge(checkRefs(2, 0), checkRefs(0, 5)), [true, 2]);
  assert.equal(judge(checkRefs(0, 5), checkRefs(1, 5), checkRefs(2, 0)), [true, 2]);
  const contrary = recorded([OPEN, checkRefs(2, 0), checkRefs(1, 0)], { src: 'fuzz' });
  const mismatch = new LeftoverSearch(contrary, LAYOUT, MEMORY, null).run(NO_LEFTOVERS);
  assert.equal([mismatch?.step, mismatch?.expected, mismatch?.got], [2, 'success', 'EIO']);
});

test('what a context that maps itself keeps is left for the sequences after it', () => {
  const of = recorded(
    [
      OPEN,
      ALLOC,
      ioctl('TEST_CMD.MOCK_DOMAIN', 0xa0, testCommand(2, 1), {
        out: testCommand(2, 1, [2, 4, 3]),
      }),
      ioctl('IOAS_MAP', 0x85, words(40, 7, 1, 0, 0x10000000, 0, 4096, 0, 0x1000000, 0)),
      ioctl('IOAS_ALLOC', 0x81, words(12, 0, 0), { out: words(12, 0, 5) }),
      ioctl('IOAS_MAP_FILE', 0x8f, words(40, 7, 5, 3, 0, 0, 4096, 0, 0x1000000, 0)),
      CLOSE,
    ],
    { src: 'fuzz' },
  );
  const search = new LeftoverSearch(of, LAYOUT, MEMORY, null);
  assert.is(search.run(NO_LEFTOVERS), null);
  assert.is(search.known.pins.get(1086112), 1);
});

test('only recorded cases are recognised', () => {
  assert.ok(iommufdSuite.recognises(recorded([])));
  for (const line of [null, 5, {}, { id: 'x', cfg: {}, steps: [] }]) {
    assert.not(iommufdSuite.recognises(line));
  }
});

/** One in so many generated cases; `iommusim conform` runs all of them. */
const SAMPLE = 20;

test('recordings of Linux agree: all selftest cases, one in twenty generated ones', async () => {
  const home = '../shared/vectors/iommufd';
  if (!existsSync(home)) {
    console.log(`${home} is not there: recordings of /dev/iommu not checked`);
    return;
  }
  const profiles = 'map hwpt dirty viommu pasid access vfio fault struct file mix memlock';
  const files = ['selftest', ...profiles.split(' ').map((name) => `fuzz-${name}`)];
  for (const name of files) {
    const path = `${home}/${name}.jsonl.gz`;
    const run = iommufdSuite.open(path, {});
    let cases = 0;
    for await (const line of readJsonLines(path)) {
      if (name !== 'selftest' && cases++ % SAMPLE !== 0) continue;
      const verdict = run.judge(line);
      assert.is(verdict.kind, 'passed', verdict.kind === 'failed' ? verdict.text : '');
    }
  }
});

test.run();
