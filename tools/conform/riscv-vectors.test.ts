/** The RISC-V vector runners: a vector by hand, what they say of differences, and the vectors. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../../sim/errors.ts';
import { CACHED, UNCACHED } from './cache-settings.ts';
import { conform } from './conform.ts';
import { describe, type Mismatch } from './mismatch.ts';
import { RiscvVectorRun } from './riscv-vectors.ts';
import { SparseMemory } from './sparse-memory.ts';
import type { Vector } from './vectors.ts';

/** Device 1 with Sv39: page 0 of IOVA 0x40000000 goes to 0x5000; all else is a fault. */
const VECTOR = {
  id: 'own-1',
  topic: 'own',
  seed: '0x1',
  tags: [],
  desc: {},
  cfg: {
    caps: '0x3810000210',
    fctl: 2,
    gxl_writable: 0,
    be_writable: 0,
    num_vec_bits: 1,
    max_mode: 4,
    bare_page_size: '0x1000000000000',
  },
  mem: [
    { pa: '0x10020', w: ['1', '0', '9000', '8000000000000011'] },
    { pa: '0x11008', w: ['4801'] },
    { pa: '0x12000', w: ['4c01'] },
    { pa: '0x13000', w: ['14d7'] },
  ],
  init: [
    [24, 8, '0x8001'],
    [40, 8, '0x8401'],
    [72, 4, '0x1'],
    [76, 4, '0x1'],
    [16, 8, '0x4002'],
  ],
  regs0: {
    regs: {
      cqh: 0,
      cqt: 0,
      fqh: 0,
      fqt: 0,
      pqh: 0,
      pqt: 0,
      cqcsr: 65537,
      fqcsr: 65537,
      pqcsr: 0,
      ipsr: 0,
    },
  },
  flush_each: 0,
  steps: [
    access('w', '0x40000123', {
      status: 'ok',
      pa: '0x5123',
      size: '0x1000',
      size_cls: 'natural',
      pbmt: 0,
      msi: 0,
    }),
    access('r', '0x40001000', {
      status: 'UR',
      cause: 13,
      faults: [
        {
          cause: 13,
          ttyp: 2,
          did: 1,
          pv: 0,
          pid: 0,
          priv: 0,
          iotval: '0x40001000',
          iotval2: '0x0',
          pa: '0x21000',
          w: ['1080000000d', '0', '40001000', '0'],
        },
      ],
      regs: { fqt: 1 },
    }),
    {
      op: 'cmd',
      name: 'IOFENCE.C',
      w: ['7700000402', '5800'],
      out: { mem: [['0x16000', '77']], regs: { cqh: 1, cqt: 1 } },
    },
  ],
};

function access(rw: string, iova: string, out: object): object {
  const operands = { did: 1, pv: 0, pid: 0, priv: 0, exec: 0, nw: 0, cxl: 0, at: 'u', len: 4 };
  return { op: 'trans', ...operands, rw, iova, out };
}

function run(change: (vector: typeof VECTOR) => void): Mismatch | null {
  const vector = structuredClone(VECTOR);
  change(vector);
  return new RiscvVectorRun(vector as unknown as Vector, UNCACHED.create()).run();
}

test('the vector written by hand passes, without caches and with them', () => {
  for (const setting of [UNCACHED, CACHED]) {
    const vector = structuredClone(VECTOR) as unknown as Vector;
    assert.is(new RiscvVectorRun(vector, setting.create()).run(), null);
  }
});

test('the first differing field is told with its step', () => {
  const address = run((vector) => {
    (vector.steps[0] as { out: { pa: string } }).out.pa = '0x5124';
  });
  assert.equal(address, { step: 0, field: 'pa', expected: 0x5124n, got: 0x5123n });
  assert.is(
    describe('own', 'own-1', address as Mismatch),
    'own/own-1 step 0: pa: expected 0x5124, got 0x5123',
  );
  const register = run((vector) => {
    vector.regs0.regs.fqcsr = 0;
  });
  assert.is(register?.step, -1);
  assert.is(register?.field, 'regs.fqcsr');
});

test('effects that the vector does not have are differences', () => {
  const silent = (index: number, name: string): Mismatch | null =>
    run((vector) => {
      delete (vector.steps[index] as { out: Record<string, unknown> }).out[name];
    });
  assert.is(silent(1, 'faults')?.field, 'faults.length');
  assert.is(silent(1, 'regs')?.field, 'regs.fqt');
  assert.is(silent(2, 'mem')?.field, 'mem[0x16000]');
});

test('members under `ignore` are not compared', () => {
  const ignored = run((vector) => {
    const step = vector.steps[0] as { out: { pa: string }; ignore?: string[] };
    step.out.pa = '0x0';
    step.ignore = ['pa'];
  });
  assert.is(ignored, null);
});

test('either of two legal answers passes, and the fault queue is then not compared', () => {
  const other = run((vector) => {
    const step = vector.steps[1] as { out: object; out_alt?: object };
    step.out_alt = { status: 'UR', cause: 13 };
    step.out = { status: 'ok', pa: '0x1000', size: '0x1000', size_cls: 'impl', pbmt: 0, msi: 0 };
  });
  assert.is(other, null);
});

test('memory of a vector refuses by range: access, writes only, corrupt data', () => {
  const memory = new SparseMemory();
  memory.addFault(0x1000n, 8, 'ro');
  memory.addFault(0x1000n, 8, 'poison');
  memory.addFault(0x2000n, 4, 'access');
  assert.equal([memory.checkRead(0, 1, 0, 8), memory.checkWrite(0, 1, 4, 4)], [2, 1]);
  assert.equal([memory.checkRead(0, 1, 8, 8), memory.checkWrite(0, 1, 8, 8)], [0, 0]);
  assert.equal([memory.checkRead(0, 2, 0, 8), memory.checkWrite(0, 2, 4, 4)], [1, 0]);
});

test('files that hold no vectors are refused with their name', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'conform-'));
  const cases = { 'empty.jsonl': '', 'other.jsonl': '{"a": 1}\n', 'broken.jsonl': '{"a": ' };
  for (const [name, content] of Object.entries(cases)) {
    const path = join(folder, name);
    await writeFile(path, content);
    try {
      await conform([path], () => {});
      assert.unreachable();
    } catch (error) {
      assert.instance(error, InputError);
      assert.match((error as Error).message, name);
    }
  }
  const vector = structuredClone(VECTOR);
  vector.regs0.regs.cqh = 3;
  const path = join(folder, 'own.jsonl');
  await writeFile(path, `${JSON.stringify(VECTOR)}\n${JSON.stringify(vector)}\n`);
  const lines: string[] = [];
  const totals = await conform([path], (line) => lines.push(line));
  assert.equal([totals.passed, totals.failed], [1, 1]);
  assert.match(lines[0], 'own/own-1 init: regs.cqh: expected 3, got 0');
  await rm(folder, { recursive: true });
});

const SHARED = '../shared/vectors';
const QEMU = ['ddt', 'g', 'nested', 's', 'quirks'].map(
  (name) => `${SHARED}/qemu/riscv-${name}.jsonl.gz`,
);

for (const paths of [[`${SHARED}/riscv`], QEMU]) {
  test(`the RISC-V vectors of ${paths[0]} pass`, async () => {
    if (!existsSync(paths[0])) {
      console.log(`SKIPPED: ${paths[0]} is not there, its vectors were not run`);
      return;
    }
    const failures: string[] = [];
    const totals = await conform(paths, (line) => failures.push(line));
    assert.is(totals.failed, 0, failures.join('\n'));
    assert.ok(totals.passed > 0);
  });
}

test.run();
