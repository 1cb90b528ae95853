import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { type Core, Host } from './core.ts';
import { SpinLock } from './lock.ts';

interface Rig {
  readonly events: EventQueue;
  readonly host: Host;
  readonly core: Core;
  readonly log: string[];
}

function rig(cores = 1): Rig {
  const events = new EventQueue();
  const host = new Host(events, cores);
  return { events, host, core: host.cores[0], log: [] };
}

test('work runs in the order of arrival, each for its cycles', () => {
  const { events, host, core, log } = rig();
  const note = host.register((a, b) => log.push(`${events.now}:${a},${b}`));
  core.run(10, note, 1, 2);
  core.run(5, note, 3, 4);
  core.run(0, note, 5, 6);
  events.run(1e6);
  assert.equal(log, ['10:1,2', '15:3,4', '15:5,6']);
  assert.is(core.busyCycles, 15);
  assert.is(core.waiting.max, 2);
  assert.ok(core.idle);
});

test('a chain of steps is not interrupted by other work', () => {
  const { events, host, core, log } = rig();
  const last = host.register(() => log.push(`last ${events.now}`));
  const free = host.register(() => core.proceed(0, last, 0, 0));
  const first = host.register(() => core.proceed(7, free, 0, 0));
  const other = host.register(() => log.push(`other ${events.now}`));
  core.run(1, first, 0, 0);
  core.run(1, other, 0, 0);
  events.run(1e6);
  assert.equal(log, ['last 8', 'other 9']);
});

test('a spinning core is busy, does nothing else, and goes on when resumed', () => {
  const { events, host, core, log } = rig();
  const done = host.register(() => log.push(`done ${events.now}`));
  const spin = host.register(() => core.spin());
  const other = host.register(() => log.push(`other ${events.now}`));
  const wake = events.register(PHASE_UNIT, 'wake', () => core.resume(0, done, 0, 0));
  core.run(10, spin, 0, 0);
  core.run(1, other, 0, 0);
  events.after(50, wake, 0, 0);
  events.run(40);
  assert.is(core.busyUntil(40), 40);
  assert.match(core.describe(), /spinning since 10, 1 waiting/);
  events.run(1e6);
  // Resuming takes a cycle at least.
  assert.equal(log, ['done 51', 'other 52']);
  assert.is(core.spinCycles, 40);
  assert.is(core.busyCycles, 52);
});

test('a step has one successor, and only a spinning core is resumed', () => {
  const { events, host, core } = rig();
  const twice = host.register(() => {
    core.proceed(1, 0, 0, 0);
    core.spin();
  });
  core.run(0, twice, 0, 0);
  assert.throws(() => events.run(10), /one successor/);
  assert.throws(() => rig().core.resume(0, 0, 0, 0), /spinning/);
});

test('more work than the first places hold keeps its order', () => {
  const { events, host, core } = rig();
  const seen: number[] = [];
  const note = host.register((a) => seen.push(a));
  for (let i = 0; i < 40; i++) core.run(1, note, i, 0);
  events.run(30);
  for (let i = 40; i < 300; i++) core.run(1, note, i, 0);
  events.run(1e6);
  assert.equal(
    seen,
    Array.from({ length: 300 }, (_, i) => i),
  );
});

test('a lock is granted at once when free, else in the order of asking, a cycle after release', () => {
  const { events, host, log } = rig(3);
  const lock = new SpinLock(events, 3);
  const release = host.register((core) => lock.release(host.cores[core] as Core));
  const granted = host.register((core) => {
    log.push(`${core}@${events.now}`);
    (host.cores[core] as Core).proceed(100, release, core, 0);
  });
  const ask = host.register((core) => {
    if (lock.acquire(host.cores[core] as Core, granted)) host.call(granted, core, 0);
  });
  host.cores[2].run(5, ask, 2, 0);
  host.cores[0].run(7, ask, 0, 0);
  host.cores[1].run(6, ask, 1, 0);
  events.run(1e6);
  assert.equal(log, ['2@5', '1@106', '0@207']);
  assert.is(lock.contended, 2);
  assert.is(lock.waits.count, 3);
  assert.is(lock.waits.max, 206 - 7);
  assert.ok(host.cores.every((core) => core.idle));
});

test('a lock is released by its owner only', () => {
  const { events, core } = rig();
  const lock = new SpinLock(events, 1);
  assert.throws(() => lock.release(core), /owner/);
});

test.run();
