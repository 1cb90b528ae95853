import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Comparison, compareTraces, describeComparison } from './compare.ts';
import { BARE, DMA, fixture, HEADER } from './fixture.ts';
import type { TraceHeader } from './format/message.ts';
import { TraceReader } from './reader.ts';
import { verifyReplay } from './verify.ts';

function compare(left: Uint8Array, right: Uint8Array): Comparison {
  return compareTraces(TraceReader.open(left), TraceReader.open(right));
}

test('equal traces are identical, however their rows are cut into chunks', () => {
  for (const rowsPerChunk of [16, 5, 100]) {
    const result = compare(fixture(), fixture({ rowsPerChunk }));
    assert.is(describeComparison(result), 'identical, 154 records');
    assert.ok(result.identical);
  }
});

test('the first divergence names cycle, row and both records', () => {
  for (const rowsPerChunk of [16, 7]) {
    const { divergence, identical } = compare(fixture(), fixture({ alter: 40, rowsPerChunk }));
    assert.not(identical);
    assert.is(divergence!.cycle, 5000);
    assert.is(divergence!.kind, 'dma');
    assert.is(divergence!.row, 40);
    assert.is(divergence!.left!.values.latency + 1, divergence!.right!.values.latency);
  }
});

test('the divergence of the lowest cycle is reported, whichever stream it is in', () => {
  // A shorter run ends in all streams; of the surplus rows, the first is a DMA of cycle 6000.
  const { divergence, records } = compare(fixture({ rows: 50 }), fixture());
  assert.is(divergence!.cycle, 6000);
  assert.is(divergence!.left, null);
  assert.is(divergence!.right!.cycle, 6000);
  assert.is(records, TraceReader.open(fixture({ rows: 50 })).summary().rows);
});

test('a trace cut short is compared as far as it goes', () => {
  const whole = fixture();
  for (let length = whole.length - 1; length > 2000; length -= 101) {
    const cut = whole.slice(0, length);
    for (const [left, right] of [
      [cut, whole],
      [whole, cut],
    ]) {
      const result = compare(left, right);
      assert.ok(result.identical);
      assert.is(result.records, TraceReader.open(cut).summary().rows);
      assert.match(result.notes[0], /is not complete/);
    }
  }
});

test('a cut trace that has rows the other never had is a divergence', () => {
  const left = fixture({ abort: true });
  const { divergence } = compare(left, fixture({ rows: 50 }));
  assert.is(divergence!.right, null);
  assert.is(divergence!.cycle, 6000);
});

test('a different schema is not identical, and says why', () => {
  const kinds = [DMA, { ...BARE, name: 'other' }];
  const header: TraceHeader = { ...HEADER, kinds: [...HEADER.kinds, kinds[1]], seed: 7 };
  const result = compare(fixture(), fixture({ header }));
  assert.not(result.identical);
  const text = describeComparison(result);
  assert.match(text, /^equal where comparable, 154 records/);
  assert.match(text, /'other' is in the right trace only/);
  assert.match(text, /seed differs: 42 and 7/);
});

test('the report shows both records column by column and marks the difference', () => {
  const text = describeComparison(compare(fixture(), fixture({ alter: 3 })));
  assert.is(
    text,
    [
      "first divergence at cycle 1300: 'dma' row 3 of partition 0",
      '                left  right',
      '  cycle         1300  1300',
      '  device           1  1',
      '  flags            3  3',
      '  hi             511  511',
      '  lo       134213629  134213629',
      '  extent      262147  262147',
      '! latency        730  731',
      '57 records are equal',
    ].join('\n'),
  );
});

test('verify-replay hands the header to the runner and compares what it gives', async () => {
  const seen: TraceHeader[] = [];
  const same = await verifyReplay(fixture(), async (header) => {
    seen.push(header);
    return fixture({ header });
  });
  assert.ok(same.identical);
  assert.equal(seen, [HEADER]);
  const other = await verifyReplay(fixture(), async () => fixture({ alter: 99 }));
  assert.is(other.divergence!.cycle, 10900);
});

test('an error of the runner comes through', async () => {
  const fail = async (): Promise<never> => {
    throw new Error('the scenario is gone');
  };
  let message = '';
  await verifyReplay(fixture(), fail).catch((error: Error) => {
    message = error.message;
  });
  assert.is(message, 'the scenario is gone');
});

test.run();
