import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EventQueue } from '../../sim/time/event-queue.ts';
import { Host } from './core.ts';
import { PageRequestService } from './page-request-service.ts';

interface Rig {
  readonly events: EventQueue;
  readonly host: Host;
  readonly queue: number[];
  readonly log: string[];
  readonly service: PageRequestService<number>;
}

/** The handler runs 100 cycles after the interrupt; each request takes it 10. */
function rig(): Rig {
  const events = new EventQueue();
  const host = new Host(events, 1);
  const queue: number[] = [];
  const log: string[] = [];
  const ports = {
    events,
    host,
    core: host.cores[0],
    take: () => queue.splice(0),
    report: (request: number) => void log.push(`${request}@${events.now}`),
  };
  return { events, host, queue, log, service: new PageRequestService(ports, 100, 10) };
}

test('requests are handed on in order, each after its time on the core', () => {
  const { events, host, queue, log, service } = rig();
  queue.push(1, 2, 3);
  service.interrupt();
  events.run(100);
  assert.is(queue.length, 3, 'not a cycle before the handler runs');
  events.run(101);
  assert.is(queue.length, 0);
  assert.is(service.open, 3);
  events.run(1e6);
  assert.equal(log, ['1@110', '2@120', '3@130']);
  assert.is(host.cores[0].busyCycles, 30);
  assert.is(service.open, 0);
});

test('what comes while the handler works is left to the next interrupt', () => {
  const { events, queue, log, service } = rig();
  queue.push(1, 2);
  service.interrupt();
  events.run(111);
  queue.push(3);
  service.interrupt();
  events.run(1e6);
  assert.equal(log, ['1@110', '2@120', '3@220']);
  assert.equal(service.statistics, { interrupts: 2, requests: 3 });
});

test('an interrupt without requests takes the core no time', () => {
  const { events, host, log, service } = rig();
  service.interrupt();
  events.run(1e6);
  assert.equal([log.length, host.cores[0].busyCycles], [0, 0]);
});

test.run();
