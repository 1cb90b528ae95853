import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RandomStream } from '../../sim/random/stream.ts';
import { defaults } from '../../sim/spec.ts';
import { Clock } from '../../sim/time/clock.ts';
import { nicDriverOptions, nicOptions, nicSpec } from './nic-spec.ts';
import { PacketSource, WIRE_OVERHEAD_BYTES } from './nic-wire.ts';

const CLOCK = new Clock(2_000_000_000);

test('parameters become cycles and bytes', () => {
  const values = { ...defaults(nicSpec), stop: 1_000_001, transmit: 0 };
  const options = nicOptions(values, CLOCK);
  // 200 Gb/s are 25 bytes a nanosecond, two cycles at 2 GHz.
  assert.equal(options.receive, { numerator: 2, denominator: 25 });
  assert.is(options.transmit, null);
  assert.is(options.moderationCycles, 10_000);
  assert.is(options.stopCycle, 2001);
  assert.is(nicOptions({ ...values, stop: 0 }, CLOCK).stopCycle, Number.POSITIVE_INFINITY);
  const driver = nicDriverOptions(values, CLOCK, 160);
  assert.is(driver.packetCycles, 300);
  assert.is(driver.doorbellCycles, 160);
});

test('a ring that is no power of two is refused by name', () => {
  const values = { ...defaults(nicSpec), transmit_ring: 1000 };
  assert.throws(() => nicOptions(values, CLOCK), /transmit_ring of 1000: expected a power of two/);
});

test('packets arrive back to back at line rate, fractions of cycles kept', () => {
  const options = nicOptions(defaults(nicSpec), CLOCK);
  const rate = { numerator: 2, denominator: 25 };
  const source = new PacketSource(options, rate, new RandomStream(1, 'wire'));
  const wire = 1500 + WIRE_OVERHEAD_BYTES;
  const start = 100;
  let last = source.next(start);
  assert.is(last, start + Math.ceil((wire * 2) / 25));
  for (let i = 2; i <= 1000; i++) last = source.next(start);
  assert.is(last, start + Math.ceil((1000 * wire * 2) / 25));
});

test.run();
