/** Page requests through the machine: closed forms of their time, and what scenarios may say. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { problemsIn, resolveText } from './memory-files.ts';
import { runScenario } from './runner.ts';
import type { PageRequestFigures, RunStats } from './stats.ts';

const NS = 1000;

const MACHINE = `
iommufd: { riscv_iommufd: true }
domains: [{ name: guest, translation: user }]
`;
const DEVICE =
  'devices: [{ name: nic0, domain: guest, page_requests: true, master: { kind: pattern } }]\n';

const SETUP = `
programs:
  - name: vmm
    steps:
      - open: /dev/iommu
      - bind: nic0
      - IOAS_ALLOC: {}
        as: ioas
`;
/** Nobody handles requests of the address space's own table: the driver answers. */
const REFUSED = `${SETUP}
      - attach: { device: nic0, to: $ioas }
      - page_request: { device: nic0, address: 0x5000 }
      - wait: { device: nic0, responses: 1 }
      - page_response: nic0
        expect: { code: INVALID }
`;

async function run(text: string): Promise<RunStats> {
  const { stats } = await runScenario(resolveText(text), { threads: 1, traceLevel: 'off' });
  for (const { failures } of Object.values(stats.programs ?? {})) assert.equal(failures, []);
  return stats;
}

async function figures(programs: string, more = ''): Promise<PageRequestFigures> {
  const { page_requests } = await run(`${MACHINE}${DEVICE}${more}${programs}`);
  assert.ok(page_requests !== undefined);
  return page_requests as PageRequestFigures;
}

test('interrupt, handler, record and flight are each in the latency, to the nanosecond', async () => {
  const plain = await figures(REFUSED);
  assert.is(plain.invalid, 1);
  const longer = async (more: string): Promise<number> =>
    ((await figures(REFUSED, more)).latency.max_ps - plain.latency.max_ps) / NS;
  assert.is(await longer('host: { interrupt: 3us }\n'), 1000);
  assert.is(await longer('host: { page_request: 800ns }\n'), 500);
  assert.is(await longer('iommu: { riscv: { page_request_write: 350ns } }\n'), 250);
  assert.is(await longer('iommu: { commands: { doorbell: 150ns } }\n'), 100);
});

test('the flight is made twice', async () => {
  const text = `${MACHINE}${DEVICE}${REFUSED}`;
  const slow = text.replace(
    'page_requests: true',
    'page_requests: true, link: { propagation: 1us }',
  );
  const [fast, far] = await Promise.all([run(text), run(slow)]);
  const more = (far.page_requests?.latency.max_ps ?? 0) - (fast.page_requests?.latency.max_ps ?? 0);
  assert.is(more / NS, 1600);
});

test('the driver works on the last core: a busy one lets requests wait', async () => {
  const map = `
      - memory: 64MiB
        as: ram
      - IOAS_MAP: { ioas_id: $ioas, flags: READABLE, user_va: $ram, length: 64MiB }
`;
  const programs = REFUSED.replace('      - wait', `${map.slice(1)}      - wait`);
  const cores = 'host: { cores: 2 }\n';
  const beside = await figures(programs, cores);
  const behind = await figures(programs.replace('name: vmm', 'name: vmm\n    core: 1'), cores);
  assert.ok(beside.latency.max_ps < 10_000 * NS, `${beside.latency.max_ps}`);
  assert.ok(behind.latency.max_ps > 100_000 * NS, `${behind.latency.max_ps}`);
});

test('parts of a group that nobody handles get no response of their own', async () => {
  const part = 'page_request: { device: nic0, address: 0x5000, group: 3, last: false }';
  const { invalid, unexpected, serviced } = await figures(
    REFUSED.replace('page_request:', `${part}\n      - page_request:`),
  );
  assert.equal([invalid, unexpected, serviced], [1, 0, 2]);
});

test("an answer is the device's own: the other one waits on", async () => {
  const two = DEVICE.replace('name: nic0', 'name: "nic{i}", count: 2');
  const { page_requests, programs } = await run(`${MACHINE}${two}${SETUP}
      - bind: nic1
      - FAULT_QUEUE_ALLOC: {}
        as: { queue: out_fault_id, fd: out_fault_fd }
      - HWPT_ALLOC: { dev_id: $nic0, pt_id: $ioas, flags: [FAULT_ID_VALID], fault_id: $queue }
        as: table
      - attach: { device: nic0, to: $table }
      - attach: { device: nic1, to: $table }
      - page_request: { device: nic1, address: 0x5000, group: 9 }
      - delay: 1us
      - page_request: { device: nic0, address: 0x6000, group: 9 }
      - delay: 10us
      - read: { fd: $fd, bytes: 40 }
        expect: { dev_id: $nic1, cookie: 1 }
      - respond: { fd: $fd, cookie: 1, code: SUCCESS }
      - wait: { device: nic1, responses: 1 }
      - page_response: nic0
        expect: EAGAIN
      - page_response: nic1
        expect: { code: SUCCESS, group: 9 }
`);
  assert.is(programs?.vmm.failed_checks, 0);
  assert.is(page_requests?.success, 1);
});

test('statistics are there only where a device asks for pages', async () => {
  const quiet = DEVICE.replace('page_requests: true, ', '');
  const { page_requests } = await run(`${MACHINE}${quiet}${SETUP}`);
  assert.is(page_requests, undefined);
});

test('a device without page requests, another unit or domain: said with the place', () => {
  const quiet = DEVICE.replace('page_requests: true, ', '');
  const [unable] = problemsIn(`${MACHINE}${quiet}${REFUSED}`);
  assert.match(unable, /nic0 sends no page requests: give it page_requests: true/);
  const [vtd] = problemsIn(`iommu: { arch: vtd }\n${MACHINE}${DEVICE}`);
  assert.match(vtd, /page_requests: needs iommu.arch: riscv/);
  const [fixed] = problemsIn(`${MACHINE.replace('user', 'stage1')}${DEVICE}`);
  assert.match(fixed, /page_requests: needs a domain with translation: user/);
  const [odd] = problemsIn(`iommu: { riscv: { page_request_entries: 12 } }\n${MACHINE}${DEVICE}`);
  assert.match(odd, /page_request_entries: expected a power of two, like 8 or 16; got 12/);
});

test('words of a write are values in a list', () => {
  const [problem] = problemsIn(`${MACHINE}${DEVICE}${SETUP}      - write: { fd: 1, words: 5 }\n`);
  assert.match(problem, /words: expected a list of values; got 5/);
  const [name] = problemsIn(`${MACHINE}${DEVICE}${SETUP}      - write: { fd: 1, words: [$no] }\n`);
  assert.match(name, /\$no is not defined/);
});

test.run();
