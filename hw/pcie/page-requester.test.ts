import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaults } from '../../sim/spec.ts';
import { Clock } from '../../sim/time/clock.ts';
import { EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { PageRequester, type PageRequestMessage, type WantedPage } from './page-requester.ts';
import { linkOptions, linkSpec } from './spec.ts';

/** A byte takes a cycle, a request 24, the flight 100. */
const LINK = {
  ...linkOptions(defaults(linkSpec), new Clock(1e9)),
  cost: { numerator: 1, denominator: 1 },
  propagation: 100,
  requestOverhead: 24,
};

const PAGE: WantedPage = {
  address: 0x12345678n,
  read: true,
  write: false,
  execute: false,
  privileged: false,
  pasid: -1,
  group: 5,
  last: true,
};

interface Rig {
  readonly events: EventQueue;
  readonly device: PageRequester;
  readonly arrived: [number, PageRequestMessage][];
  at(cycle: number, step: () => void): void;
}

function rig(): Rig {
  const events = new EventQueue();
  const arrived: [number, PageRequestMessage][] = [];
  const device = new PageRequester(events, LINK, 0x108, (m) => arrived.push([events.now, m]));
  const steps: (() => void)[] = [];
  const run = events.register(PHASE_UNIT, 'script', (step) => steps[step]());
  const at = (cycle: number, step: () => void): void => {
    events.at(cycle, run, steps.push(step) - 1, 0);
  };
  return { events, device, arrived, at };
}

/** Payload of a response message. */
function response(group: number, code: number): bigint {
  return (BigInt(code) << 44n) | (BigInt(group) << 32n);
}

test('a request is a message of its page, permissions, group and end of group', () => {
  const { events, device, arrived } = rig();
  device.ask({ ...PAGE, write: true, execute: true, privileged: true, pasid: 7, last: false });
  events.run(1e6);
  const [[, message]] = arrived;
  assert.is(message.payload, 0x12345000n | (5n << 3n) | 3n);
  assert.equal([message.rid, message.segment, message.pasid], [0x108, -1, 7]);
  assert.ok(message.execute && message.privileged);
  assert.is(device.unanswered, 0, 'no response comes before the last request of a group');
});

test('requests pass one after another and fly beside each other', () => {
  const { events, device, arrived } = rig();
  device.ask(PAGE);
  device.ask({ ...PAGE, group: 6 });
  events.run(124);
  assert.is(arrived.length, 0);
  assert.is(device.open, 2);
  events.run(1e6);
  assert.equal(
    arrived.map(([cycle]) => cycle),
    [124, 148],
  );
  assert.is(device.open, 0);
});

test('a response arrives after its flight, and the time since the last request is its latency', () => {
  const { events, device, at } = rig();
  device.ask({ ...PAGE, last: false });
  at(50, () => device.ask(PAGE));
  at(300, () => device.respond(response(5, 1), -1));
  events.run(400);
  assert.is(device.waiting, 0);
  events.run(401);
  assert.equal(device.takeResponse(), { code: 'INVALID', group: 5, pasid: -1, cycles: 350 });
  assert.is(device.takeResponse(), null);
  assert.is(device.latency.max, 350);
  assert.is(device.unanswered, 0);
});

test('codes are told apart, and a response that no group waits for is counted and dropped', () => {
  const { events, device } = rig();
  for (const group of [0, 1, 2, 511]) device.ask({ ...PAGE, group });
  for (const [group, code] of [
    [0, 0],
    [1, 1],
    [2, 15],
    [2, 0],
    [511, 9],
  ]) {
    device.respond(response(group, code), -1);
  }
  events.run(1e6);
  const codes = [0, 1, 2, 3].map(() => device.takeResponse()?.code);
  assert.equal(codes, ['SUCCESS', 'INVALID', 'FAILURE', 'code 9']);
  assert.is(device.unexpected, 1);
  assert.is(device.responses.get('SUCCESS'), 2);
});

test.run();
