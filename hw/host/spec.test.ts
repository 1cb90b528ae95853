import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaults } from '../../sim/spec.ts';
import { Clock } from '../../sim/time/clock.ts';
import { hostOptions, hostSpec } from './spec.ts';

test("the host's parameters become cycles", () => {
  const options = hostOptions({ ...defaults(hostSpec), poll: 1, map: 130_250 }, new Clock(2e9));
  // 130.25 ns are 260.5 cycles of 2 GHz: latencies are rounded half up, the poll contains its time.
  assert.is(options.mapping.mapCycles, 261);
  assert.is(options.invalidation.pollCycles, 1);
  assert.is(options.deferred.timeoutCycles, 20_000_000);
  assert.is(options.deferred.queueEntries, 250);
});

test.run();
