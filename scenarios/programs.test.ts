/** Programs in simulated time: what calls cost, how they share a core, wait, fork and fail. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resolveText } from './memory-files.ts';
import { runScenario } from './runner.ts';
import type { RunStats } from './stats.ts';

async function run(programs: string, more = ''): Promise<RunStats> {
  const scenario = resolveText(`iommufd: { driver: mock }\n${more}\nprograms:\n${programs}`);
  const { stats } = await runScenario(scenario, { threads: 1, traceLevel: 'off' });
  return stats;
}

function program(name: string, core: number, steps: readonly string[]): string {
  const list = steps.map((step) => `      - ${step}\n`).join('');
  return `  - name: ${name}\n    core: ${core}\n    steps:\n${list}`;
}

const OPEN = 'open: /dev/iommu';
const FREE = `syscalls: { object: 0ns, copy_line: 0ns, entry: 100ns }`;

test('a call takes the time of its entry and of what it does', async () => {
  const steps = [OPEN, 'IOAS_ALLOC: {}', 'DESTROY: { id: 77 }\n        expect: ENOENT'];
  const { ioctl, programs } = await run(program('vmm', 0, steps), FREE);
  assert.is(ioctl?.IOAS_ALLOC.mean_ps, 100_000);
  assert.is(ioctl?.DESTROY.max_ps, 100_000);
  assert.is(ioctl?.DESTROY.errors, 1);
  assert.equal(ioctl?.DESTROY.by_errno, { ENOENT: 1 });
  assert.is(programs?.vmm.elapsed_ps, 400_000, 'three calls and the exit');
  assert.is(programs?.vmm.refused, 1);
});

test('mapping costs each page, and more pages cost more', async () => {
  const map = (bytes: string): string =>
    program('vmm', 0, [
      OPEN,
      'IOAS_ALLOC: {}\n        as: ioas',
      'TEST_CMD: { op: MOCK_DOMAIN, id: $ioas }\n        as: { dev: out_idev_id }',
      `memory: ${bytes}\n        as: ram`,
      `IOAS_MAP: { ioas_id: $ioas, flags: READABLE, user_va: $ram, length: ${bytes} }`,
    ]);
  const few = (await run(map('64KiB'))).ioctl?.IOAS_MAP.mean_ps ?? 0;
  const many = (await run(map('1MiB'))).ioctl?.IOAS_MAP.mean_ps ?? 0;
  const perPage = (many - few) / (256 - 16);
  // Pin and map; beside them grows only what the kernel notes of the pages.
  assert.ok(perPage >= 45_000 && perPage < 50_000, `${perPage} ps for each page`);
});

test('programs on one core take turns, on two cores they run side by side', async () => {
  const steps = [OPEN, ...Array.from({ length: 8 }, () => 'IOAS_ALLOC: {}')];
  const together = await run(program('a', 0, steps) + program('b', 0, steps), FREE);
  const apart = await run(program('a', 0, steps) + program('b', 1, steps), FREE);
  assert.is(apart.programs?.a.elapsed_ps, 1_000_000);
  assert.is(apart.programs?.b.elapsed_ps, 1_000_000);
  assert.is(together.programs?.a.elapsed_ps, 1_900_000);
  assert.is(together.programs?.b.elapsed_ps, 2_000_000);
});

test('a delay leaves the core to others; a wait ends with what it waits for, or in time', async () => {
  const a = program('a', 0, ['delay: 50us', OPEN]);
  const b = program('b', 0, ['wait: { program: a, within: 100us }', OPEN]);
  const c = program('c', 0, ['wait: { program: a, within: 10us }', OPEN]);
  const { programs } = await run(a + b + c, FREE);
  assert.is(programs?.b.failed_checks, 0);
  assert.ok((programs?.b.elapsed_ps ?? 0) > 50_000_000);
  assert.is(programs?.c.failed_checks, 1);
  assert.match(
    String(programs?.c.failures[0]),
    /^a\.yaml:\d+: wait: it did not come within the time$/,
  );
});

test('a child has the descriptors of its parent, and what it does is counted apart', async () => {
  const fork = [
    OPEN,
    'IOAS_ALLOC: {}\n        as: ioas',
    'fork: { name: child, core: 1 }\n        steps:\n          - DESTROY: { id: $ioas }',
    'wait: { program: child }',
    'DESTROY: { id: $ioas }\n        expect: ENOENT',
  ];
  const { programs, kernel } = await run(program('vmm', 0, fork));
  assert.is(programs?.vmm.failed_checks, 0);
  assert.is(programs?.child.failed_checks, 0);
  assert.is(programs?.child.finished, true);
  assert.is(kernel?.charged_bytes, 0);
});

test('a program ends at a call that it needed; what it held is freed', async () => {
  const steps = [OPEN, 'IOAS_ALLOC: {}', 'DESTROY: { id: 77 }', 'delay: 1ms'];
  const { programs, kernel } = await run(program('vmm', 0, steps));
  assert.is(programs?.vmm.failed_checks, 1);
  assert.match(String(programs?.vmm.failures[0]), 'DESTROY: expected success, got ENOENT (');
  assert.ok((programs?.vmm.elapsed_ps ?? 0) < 1_000_000_000);
  assert.equal([kernel?.charged_bytes, kernel?.allocations], [0, 0]);
});

test('steps are repeated with their index, loops within loops too', async () => {
  const inner = `repeat: { times: 2, index: j }
            steps:
              - IOAS_ALLOC: {}
                as: last`;
  const steps = [
    OPEN,
    `repeat: { times: 3, index: i }\n        steps:\n          - ${inner}`,
    'check: { $i: 2, $j: 1, $last: 6 }',
    'repeat: 0\n        steps: [{ delay: 1s }]',
  ];
  const { ioctl, programs } = await run(program('vmm', 0, steps));
  assert.is(ioctl?.IOAS_ALLOC.count, 6);
  assert.equal(programs?.vmm.failures, []);
});

test.run();
