/** A NIC whose driver runs in the guest of a program: what its maps and unmaps cost and do. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { problemsIn, resolveText } from './memory-files.ts';
import { runScenario } from './runner.ts';
import type { RunStats } from './stats.ts';

/** Without fragments every packet is a map, an unmap and an invalidation. */
const NIC = 'receive: 800Mb/s, mtu: 1500B, queues: 1, receive_ring: 16, spare_buffers: 8';

const NESTED = `
      - OPTION: { option_id: HUGE_PAGES, op: SET, object_id: $ioas, val64: 0 }
      - IOAS_MAP:
          ioas_id: $ioas
          flags: [FIXED_IOVA, READABLE, WRITEABLE]
          iova: 0
          user_va: $ram
          length: 8MiB
      - HWPT_ALLOC: { dev_id: $nic0, pt_id: $ioas, flags: [NEST_PARENT, DIRTY_TRACKING] }
        as: parent
      - guest: { memory: $ram, size: 8MiB, invalidates: $invalidates }
        as: root
      - HWPT_ALLOC:
          dev_id: $nic0
          pt_id: $parent
          data_type: RISCV_S1
          data: { root_ppn: $root, mode: SV48 }
        as: table
      - attach: { device: nic0, to: $table }`;

const SHADOW = `
      - guest: { memory: $ram, size: 8MiB, tables: none, invalidates: $invalidates }
      - attach: { device: nic0, to: $ioas }`;

interface Wanted {
  readonly arch?: 'riscv' | 'vtd';
  readonly shadow?: boolean;
  readonly invalidates?: 0 | 1;
  readonly nic?: string;
  readonly steps?: readonly string[];
  readonly more?: string;
}

const TRAFFIC = ['wait: { device: nic0, dmas: 600 }', 'stop: nic0', 'wait: nic0', 'detach: nic0'];

function text({
  arch = 'riscv',
  shadow = false,
  invalidates = 1,
  nic = NIC,
  steps = TRAFFIC,
  more = '',
}: Wanted): string {
  const through = shadow ? '$ioas' : '$table';
  const list = steps.map((step) => `      - ${step}\n`).join('');
  return `run: { for: 10ms }
iommu: { arch: ${arch}, caches: { iotlb: { sets: 16, ways: 4 } } }
iommufd: { riscv_iommufd: true }
${more}
domains: [{ name: guest, translation: user }]
devices: [{ name: nic0, domain: guest, master: { kind: nic, ${nic} } }]
programs:
  - name: vmm
    core: 3
    values: { invalidates: ${invalidates} }
    steps:
      - open: /dev/iommu
      - bind: nic0
      - IOAS_ALLOC: {}
        as: ioas
      - memory: { size: 8MiB, contiguous: true }
        as: ram${shadow ? SHADOW : NESTED}
      - start: { device: nic0, through: ${through} }
${list}`;
}

async function run(wanted: Wanted): Promise<RunStats> {
  const options = { threads: 1, traceLevel: 'off' } as const;
  const { stats } = await runScenario(resolveText(text(wanted)), options);
  return stats;
}

const nicOf = (stats: RunStats): Record<string, number> => stats.devices.nic0.master ?? {};

/** The program did what it was to do, nothing failed, and nothing is left. */
function assertClean(stats: RunStats): void {
  const { programs, kernel, iommufd, dma } = stats;
  assert.equal(programs?.vmm.failures, []);
  assert.is(programs?.vmm.finished, true);
  assert.equal([kernel?.pinned_pages, kernel?.charged_bytes], [0, 0]);
  assert.is(iommufd?.table_frames_in_use, 0);
  assert.is(nicOf(stats).errors, 0);
  assert.is(dma.aborted, 0);
}

const count = ({ ioctl }: RunStats, name: string): number => ioctl?.[name]?.count ?? 0;

test('nested: every unmap of the driver is one HWPT_INVALIDATE, and no map leaves the guest', async () => {
  const stats = await run({});
  assertClean(stats);
  const packets = nicOf(stats).received;
  assert.ok(packets > 150, `${packets} packets`);
  assert.is(stats.host.unmaps, packets);
  assert.is(count(stats, 'HWPT_INVALIDATE'), packets);
  assert.is(count(stats, 'IOAS_MAP'), 1);
  assert.is(stats.safety.stale_uses, 0);
});

for (const arch of ['riscv', 'vtd'] as const) {
  test(`shadowed on ${arch}: a map is an IOAS_MAP, an unmap an IOAS_UNMAP`, async () => {
    const stats = await run({ arch, shadow: true });
    assertClean(stats);
    const packets = nicOf(stats).received;
    assert.ok(packets > 150, `${packets} packets`);
    assert.is(count(stats, 'IOAS_UNMAP'), packets);
    // Two rings of each of two sides, 16 buffers, and a new buffer for each packet.
    assert.is(count(stats, 'IOAS_MAP'), 4 + 16 + packets);
    assert.is(stats.safety.stale_uses, 0);
  });

  test(`shadowed on ${arch}: without the invalidations of IOAS_UNMAP pages of before are used`, async () => {
    const stats = await run({ arch, shadow: true, invalidates: 0 });
    assert.equal(stats.programs?.vmm.failures, []);
    assert.ok(stats.safety.stale_uses > 10, `${stats.safety.stale_uses} stale uses`);
    assert.is(stats.kernel?.pinned_pages, 0);
  });
}

test('nested: without HWPT_INVALIDATE pages of before are used', async () => {
  const stats = await run({ invalidates: 0 });
  assert.equal(stats.programs?.vmm.failures, []);
  assert.is(count(stats, 'HWPT_INVALIDATE'), 0);
  assert.ok(stats.safety.stale_uses > 10, `${stats.safety.stale_uses} stale uses`);
});

/** Costs of the way out of the guest, to the picosecond. */
const COSTS = `host: { map: 0ns, map_page: 0ns, unmap: 0ns, unmap_page: 0ns, command: 10ns, doorbell: 30ns, guest_exit: 5us }
syscalls: { entry: 100ns, object: 0ns, copy_line: 0ns, pin_page: 0ns, unpin_page: 0ns, map_call: 0ns, map_page: 0ns, unmap_call: 0ns, unmap_page: 0ns, user_entry: 7ns }`;

test('shadowed: a map costs the request, the exit of the guest and the call; set-up all of them', async () => {
  const stats = await run({ shadow: true, more: COSTS });
  assert.is(stats.ioctl?.IOAS_MAP.mean_ps, 100_000);
  const map = 50_000 + 5_000_000 + 100_000;
  assert.is(stats.host.map.min_ps, map);
  assert.is(stats.ioctl?.start.mean_ps, 20 * map);
});

test('nested: an unmap costs the request, the exit, the call and the wait for the hardware', async () => {
  const stats = await run({ more: COSTS });
  const call = stats.ioctl?.HWPT_INVALIDATE.min_ps ?? 0;
  assert.ok(call > 107_000 && call < 2_000_000, `${call} ps`);
  const least = 50_000 + 5_000_000 + call;
  assert.ok(stats.host.unmap.min_ps >= least && stats.host.unmap.min_ps < least + 500_000);
  assert.is(stats.host.map.max_ps, 0);
  const dear = await run({ more: COSTS.replace('5us', '20us') });
  assert.ok(dear.host.unmap.min_ps >= least + 15_000_000 - 500_000);
});

test('a kernel that forgets all invalidations forgets those of guests', async () => {
  const more = 'host: { guest_exit: 1us }';
  const forgets = text({ more }).replace(
    'riscv_iommufd: true',
    'riscv_iommufd: true, invalidation: false',
  );
  const { stats } = await runScenario(resolveText(forgets), { threads: 1, traceLevel: 'off' });
  assert.ok(count(stats, 'HWPT_INVALIDATE') > 0);
  assert.ok(stats.safety.stale_uses > 10);
});

test('a guest that sends: its buffers are readable only', async () => {
  const nic = 'receive: 0b/s, transmit: 800Mb/s, queues: 1, transmit_ring: 16, spare_buffers: 8';
  for (const shadow of [false, true]) {
    const stats = await run({ nic, shadow });
    assertClean(stats);
    assert.ok(nicOf(stats).sent > 100);
    assert.is(stats.safety.stale_uses, 0);
  }
});

test('a stopped NIC is still: it goes on with the next start', async () => {
  const steps = [
    'wait: { device: nic0, dmas: 100 }',
    'stop: nic0',
    'wait: nic0',
    'HWPT_SET_DIRTY_TRACKING: { hwpt_id: $parent, flags: ENABLE }',
    'delay: 200us',
    'HWPT_GET_DIRTY_BITMAP: { hwpt_id: $parent, iova: 0, length: 8MiB, page_size: 4KiB }\n        expect: { data: { count: 0 } }',
    'start: nic0',
    ...TRAFFIC.slice(0, 3),
    'HWPT_GET_DIRTY_BITMAP: { hwpt_id: $parent, iova: 0, length: 8MiB, page_size: 4KiB }\n        expect: { data: { written_by: nic0, through: guest } }',
    'detach: nic0',
  ];
  const stats = await run({ steps });
  assertClean(stats);
  assert.ok(nicOf(stats).received >= 200);
});

/** Logs of a NIC that works, several while each of its buffers is written once more. */
const LIVE_LOG = [
  'HWPT_SET_DIRTY_TRACKING: { hwpt_id: $parent, flags: ENABLE }',
  `repeat: 6
        steps:
          - wait: { device: nic0, dmas: 100 }
          - HWPT_GET_DIRTY_BITMAP: { hwpt_id: $parent, iova: 0, length: 8MiB, page_size: 4KiB }
            expect: { data: { covers_written_by: nic0, through: guest } }`,
  ...TRAFFIC.slice(1),
];

test('a page that a working NIC writes behind one dirty log is in the next', async () => {
  const nic = `${NIC.replace('800M', '3G')}, fragments: 16`;
  const stats = await run({ nic, steps: LIVE_LOG });
  assertClean(stats);
  const forgets = text({ nic, steps: LIVE_LOG }).replace('{ riscv', '{ invalidation: false, riscv');
  const { stats: without } = await runScenario(resolveText(forgets), {
    threads: 1,
    traceLevel: 'off',
  });
  assert.match(String(without.programs?.vmm.failures[0]), /HWPT_GET_DIRTY_BITMAP.* missing/);
});

test('a NIC that works is not waited for in vain', async () => {
  const stats = await run({
    steps: ['wait: { device: nic0, within: 50us }', 'stop: nic0', 'wait: nic0'],
  });
  assert.is(stats.programs?.vmm.failed_checks, 1);
});

test('the VMM ends while its guest works: devices are cut off, nothing is left', async () => {
  for (const shadow of [false, true]) {
    const stats = await run({ shadow, steps: ['wait: { device: nic0, dmas: 300 }'] });
    assert.equal([stats.programs?.vmm.finished, stats.programs?.vmm.failures], [true, []]);
    assert.equal([stats.kernel?.pinned_pages, stats.kernel?.charged_bytes], [0, 0]);
    // What is under way is judged by the domain that the device is taken out of.
    assert.is(stats.safety.stale_uses, 0);
  }
});

test('a NIC is detached while it works: refused from the answer on, and never astray', async () => {
  for (const shadow of [false, true]) {
    const steps = [
      'wait: { device: nic0, dmas: 300 }',
      'detach: nic0',
      'delay: 300us',
      'stop: nic0',
    ];
    const stats = await run({ shadow, steps });
    assert.equal(stats.programs?.vmm.failures, []);
    assert.ok(stats.dma.aborted > 0);
    assert.is(stats.safety.stale_uses, 0);
  }
});

function onlyProblem(wanted: Wanted, from = '', to = ''): string {
  const problems = problemsIn(text(wanted).replace(from, to));
  assert.is(problems.length, 1, problems.join('\n'));
  return problems[0];
}

test('the first start of a NIC says what its driver maps through, later ones do not', () => {
  assert.match(onlyProblem({}, ', through: $table', ''), 'the first start of nic0 needs through');
  const again = ['start: { device: nic0, through: $table }'];
  assert.match(onlyProblem({ steps: again }), 'was set up by an earlier start');
  assert.match(onlyProblem({}, 'through:', 'at: 0, through:'), 'nic0 has what its driver maps');
  const pattern = onlyProblem({}, `kind: nic, ${NIC}`, 'kind: pattern');
  assert.match(pattern, 'nic0 is no NIC');
});

test('through what is no table of a guest nothing is mapped', async () => {
  const start = (id: string, more = text({})): Promise<unknown> =>
    runScenario(resolveText(more.replace('through: $table', `through: ${id}`)), {
      threads: 1,
      traceLevel: 'off',
    });
  for (const id of ['$parent', '77']) {
    try {
      await start(id);
      assert.unreachable();
    } catch (error) {
      assert.match(String(error), 'expected a nested page table or an address space');
    }
  }
});

test('a step with when: is done or left out by its value', async () => {
  const steps = (value: string): string => `iommufd: { driver: mock }
programs:
  - name: a
    values: { wanted: ${value}, base: 0x10 }
    steps:
      - open: /dev/iommu
      - repeat: 3
        when: $wanted
        steps: [{ IOAS_ALLOC: {} }]
      - IOAS_ALLOC: {}
        when: $wanted - 1
      - check: { $base: 16 }
`;
  for (const [value, made] of [
    ['0', 1],
    ['1', 3],
    ['2', 4],
  ] as const) {
    const scenario = resolveText(steps(value));
    const { stats } = await runScenario(scenario, { threads: 1, traceLevel: 'off' });
    assert.is(count(stats, 'IOAS_ALLOC'), made, value);
    assert.equal(stats.programs?.a.failures, []);
  }
});

test.run();
