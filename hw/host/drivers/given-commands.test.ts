import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { riscvBench, vtdBench } from '../testbench.ts';
import { encodeFence } from './riscv-commands.ts';
import { encodeWait } from './vtd-commands.ts';

const words = new Int32Array(4);

for (const [name, make, ring] of [
  ['vtd', vtdBench, 255],
  ['riscv', riscvBench, 8191],
] as const) {
  test(`${name}: given commands are written until the ring is full, and passed when processed`, () => {
    const bench = make();
    const { driver } = bench;
    if (name === 'vtd') encodeWait(words, 2, 0, 0x80000, 0);
    else encodeFence(words, 2, 0, 0x80000, 0);
    bench.held = true;
    const before = driver.commandsPassed();
    assert.is(before, driver.commandsWritten());
    let written = 0;
    while (driver.postCommand(words)) written++;
    assert.is(written, ring);
    driver.ring();
    assert.is(driver.commandsPassed(), before);
    bench.process();
    assert.is(driver.commandsPassed(), before + ring);
    assert.ok(driver.postCommand(words));
  });

  test(`${name}: the driver's own fences work beside given commands, over many turns of the ring`, () => {
    const { driver } = make();
    if (name === 'vtd') encodeWait(words, 2, 0, 0x80000, 0);
    else encodeFence(words, 2, 0, 0x80000, 0);
    for (let i = 0; i < 3 * ring; i++) {
      assert.ok(driver.postCommand(words));
      driver.ring();
      if (i % 7 !== 0) continue;
      const token = driver.postFence();
      driver.ring();
      assert.ok(driver.fenceReached(token));
    }
    assert.is(driver.commandsPassed(), driver.commandsWritten());
  });
}

test.run();
