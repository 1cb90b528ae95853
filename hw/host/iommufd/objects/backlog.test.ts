import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Backlog } from './backlog.ts';

const test = suite('backlog');

test('the oldest comes first, however pushes and shifts mix', () => {
  const backlog = new Backlog<number>();
  let next = 0;
  let oldest = 0;
  for (let round = 1; round < 50; round++) {
    for (let i = 0; i < round; i++) backlog.push(next++);
    for (let i = 0; i < 25 && backlog.length > 0; i++) {
      assert.is(backlog.first, oldest++);
      backlog.shift();
    }
    assert.is(backlog.length, next - oldest);
  }
});

test('extraction takes the chosen out in order and leaves the others', () => {
  const backlog = new Backlog<number>();
  for (let i = 0; i < 6; i++) backlog.push(i);
  backlog.shift();
  assert.equal(
    backlog.extract((item) => item % 2 === 0),
    [2, 4],
  );
  assert.equal(
    backlog.extract(() => true),
    [1, 3, 5],
  );
  assert.is(backlog.first, undefined);
});

test.run();
