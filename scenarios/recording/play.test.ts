/** Recordings played end to end through the timed unit. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../../sim/errors.ts';
import { diskFiles } from '../extends.ts';
import { loadScenario } from '../loader.ts';
import type { RunOutcome } from '../run-api.ts';
import { runScenario } from '../runner.ts';
import type { RecordingFigures, RunStats } from '../stats.ts';

const { home } = diskFiles();
const folder = mkdtempSync(join(tmpdir(), 'iommusim-recording-'));
test.after(() => rmSync(folder, { recursive: true }));

const VTD = { windows: { dmar0: { base: '0xfed90000', words: {} } } };
const RISCV = { windows: { riscv_iommu: { base: '0x3010000', words: {} } } };

async function play(scenario: string, ...set: string[]): Promise<RunOutcome> {
  const [{ scenario: resolved }] = loadScenario(join(home, scenario), { set }).points;
  return runScenario(resolved, { threads: 0, traceLevel: 'off' });
}

let folders = 0;

/** Writes a recording of these events, a microsecond apart. */
function recording(events: readonly object[], registers: object = VTD): string {
  const path = join(folder, `recording-${folders++}`);
  const lines = events.map((event, t) => JSON.stringify({ t, ...event }));
  mkdirSync(path);
  writeFileSync(join(path, 'events.jsonl'), `${lines.join('\n')}\n`);
  writeFileSync(join(path, 'registers.json'), JSON.stringify(registers));
  return path;
}

const attach = { k: 'attach', dom: 1, sid: 256, did: 9 };
const map = (iova: string, pa: string): object => ({
  k: 'map',
  dom: 1,
  iova,
  size: 4096,
  pa,
  prot: 'rw',
});
const unmap = (iova: string): object => ({ k: 'unmap', dom: 1, iova, size: 4096 });
const use = (iova: string, pa: string): object => ({ k: 'xl', sid: 256, iova, pa, leaf: 3 });
/** IOTLB invalidation of page 0xff000 of domain 9, and a wait with its status write. */
const invalidate = { k: 'inv', lo: '0x90032', hi: '0xff000000' };
const wait = { k: 'inv', lo: '0x200000025', hi: '0x5371c04' };

/** Maps, uses, unmaps and maps anew another frame at the same address. */
const REUSE = [
  attach,
  map('0xff000000', '0x1000000'),
  use('0xff000010', '0x1000010'),
  unmap('0xff000000'),
  invalidate,
  wait,
  map('0xff000000', '0x2000000'),
  use('0xff000010', '0x2000010'),
];

async function played(events: readonly object[], ...set: string[]): Promise<RunStats> {
  const { stats } = await play('linux-nvme.yaml', `recording.folder=${recording(events)}`, ...set);
  return stats;
}

function figures(stats: RunStats): RecordingFigures {
  if (stats.recording === undefined || stats.recording === null) {
    throw new Error('no recording was played');
  }
  return stats.recording;
}

for (const name of ['linux-nvme', 'linux-riscv']) {
  test(`${name}: the sample plays, every translation is as recorded`, async () => {
    const { stats, expectations } = await play(`${name}.yaml`, 'recording.max_events=9000');
    for (const { path, pass, measured } of expectations) assert.ok(pass, `${path}: ${measured}`);
    const { maps, commands, translations } = figures(stats);
    assert.ok(maps > 500 && commands > 50 && translations > 1000);
    assert.is(stats.dma.count, translations);
    assert.is(stats.time.end, 'finished');
  });
}

test('an address is used anew after its invalidation, and both frames are as recorded', async () => {
  const stats = await played(REUSE);
  const { attaches, maps, unmaps, commands, fences, translations, mismatches } = figures(stats);
  assert.equal(
    { attaches, maps, unmaps, commands, fences, translations, mismatches },
    { attaches: 1, maps: 2, unmaps: 1, commands: 2, fences: 1, translations: 2, mismatches: 0 },
  );
  assert.is(stats.safety.stale_uses, 0);
  assert.is(stats.safety.exposed_pages, 1);
  assert.is(stats.host.unmap.count, 1);
});

test('a fence at the very end is seen before the run ends', async () => {
  const stats = await played(REUSE.slice(0, 6));
  assert.is(stats.iommu?.commands.invalidation.count, 1);
  assert.is(figures(stats).not_played, 0);
});

test('a recorded address that is not where the tables lead is a mismatch at its event', async () => {
  const altered = REUSE.map((event, i) => (i === 7 ? use('0xff000010', '0x3000010') : event));
  const { mismatches, first_mismatches, order } = figures(await played(altered));
  assert.is(mismatches, 1);
  assert.equal(first_mismatches, [
    { event: 7, requester: '01:00.0', iova: '0xff000000', expected: '0x3000000', got: '0x2000000' },
  ]);
  assert.is(order.unexplained_accesses, 1);
});

test('an access that the tables refuse is a mismatch without an address', async () => {
  const stats = await played([attach, map('0xff000000', '0x1000000'), use('0x8000', '0x1000')]);
  assert.is(figures(stats).first_mismatches[0].got, null);
  assert.is(stats.dma.aborted, 1);
});

test('an invalidation left out is caught: the old frame is used after its address was given anew', async () => {
  const stats = await played(REUSE.filter((event) => event !== invalidate));
  assert.is(stats.safety.stale_uses, 1);
  assert.is(figures(stats).mismatches, 1);
  assert.is(figures(stats).first_mismatches[0].got, '0x1000000');
  assert.is(figures(stats).order.uninvalidated_unmaps, 1);
});

test('an invalidation of another domain does not help', async () => {
  const other = { ...invalidate, lo: '0x80032' };
  const stats = await played(REUSE.map((event) => (event === invalidate ? other : event)));
  assert.is(stats.safety.stale_uses, 1);
});

test('a requester that the scenario does not name becomes a device of its own', async () => {
  const second = [
    { ...attach, dom: 2, sid: 80, did: 10 },
    { ...map('0x5000', '0x7000'), dom: 2 },
    { ...use('0x5000', '0x7000'), sid: 80 },
  ];
  const stats = await played([...REUSE, ...second]);
  assert.is(stats.devices['rid-00-0a.0'].count, 1);
  assert.is(figures(stats).mismatches, 0);
});

test('a device that moves to another domain is translated there', async () => {
  const stats = await played([
    ...REUSE,
    { ...map('0xff000000', '0x4000000'), dom: 2 },
    { ...attach, dom: 2, did: 11 },
    use('0xff000020', '0x4000020'),
  ]);
  assert.is(figures(stats).attaches, 2);
  assert.is(figures(stats).mismatches, 0);
  assert.is(stats.safety.stale_uses, 0);
});

test('riscv: the process id of a domain follows from its invalidations', async () => {
  const page = (n: number): string => `0x${(n * 0x1000).toString(16)}`;
  const vma = (pscid: number, n: number): object => ({
    k: 'inv',
    lo: `0x${((1n << 32n) | (BigInt(pscid) << 12n) | (1n << 10n) | 1n).toString(16)}`,
    hi: `0x${(n << 10).toString(16)}`,
  });
  const path = recording(
    [
      { k: 'attach', dom: 1, sid: 256 },
      map(page(5), '0x80001000'),
      use(page(5), '0x80001000'),
      unmap(page(5)),
      vma(77, 5),
      { k: 'inv', lo: '0x3002', hi: '0x0' },
      map(page(5), '0x80002000'),
      use(page(5), '0x80002000'),
    ],
    RISCV,
  );
  const { stats } = await play('linux-riscv.yaml', `recording.folder=${path}`);
  assert.is(figures(stats).mismatches, 0);
  assert.is(stats.safety.stale_uses, 0);
});

test('with keep_gaps the recorded time between the accesses of a device is kept', async () => {
  const late = REUSE.map((event, i) => (i === 7 ? { ...event, t: 5007 } : event));
  const soon = await played(late);
  const kept = await played(late, 'recording.keep_gaps=true');
  assert.ok(soon.time.simulated_ps < 100_000_000);
  assert.ok(kept.time.simulated_ps >= 5_000_000_000);
});

test('a command that the unit does not know is refused, with its place', async () => {
  const events = [attach, { k: 'inv', lo: '0xe', hi: '0x0', type: 'what' }];
  try {
    await played(events);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, InputError);
    assert.match((error as Error).message, /event 1: the command what:.*illegal/);
  }
});

test('a recording of another architecture is refused', async () => {
  const path = recording(REUSE);
  try {
    await play('linux-riscv.yaml', `recording.folder=${path}`);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /is of vtd, and iommu.arch is riscv/);
  }
});

test.run();
