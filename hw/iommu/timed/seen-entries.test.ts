import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SeenEntries } from './seen-entries.ts';

test('an entry matches as long as it holds what the walk read there last, in either stage', () => {
  const seen = new SeenEntries(2);
  seen.keep(1, 0, 0, 7, 8, 0x11, 0x22);
  seen.keep(1, 1, 3, 9, 16, 0x33, 0x44);
  assert.ok(seen.matches(1, 0, 7, 8, 0x11, 0x22));
  assert.ok(seen.matches(1, 3, 9, 16, 0x33, 0x44));
  assert.not(seen.matches(1, 0, 7, 8, 0x11, 0x23));
  seen.keep(1, 0, 0, 7, 24, 0x11, 0x22);
  assert.not(seen.matches(1, 0, 7, 8, 0x11, 0x22), 'another entry was read since');
  assert.not(seen.matches(0, 3, 9, 16, 0x33, 0x44), 'the entry of another walk');
});

test.run();
