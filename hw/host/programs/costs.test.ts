import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaults } from '../../../sim/spec.ts';
import { Clock } from '../../../sim/time/clock.ts';
import { CallWork } from '../kernel/work.ts';
import { CallCosts, syscallSpec } from './costs.ts';

const NS = 2;

test('a call costs its entries and what it did, each at its price', () => {
  const costs = new CallCosts(defaults(syscallSpec), new Clock(2e9));
  const work = new CallWork();
  assert.is(costs.of(work, 1), 150 * NS);
  assert.is(costs.of(work, 0), 0);
  work.pagesPinned = 512;
  work.mapCalls = 1;
  work.pagesMapped = 512;
  work.bytesCopied = 40;
  assert.is(costs.of(work, 1), (150 + 512 * 35 + 60 + 512 * 10 + 4) * NS);
  work.reset();
  work.bytesCopied = 65;
  assert.is(costs.of(work, 0), 2 * 4 * NS, 'copies count in lines of 64 bytes');
});

test.run();
