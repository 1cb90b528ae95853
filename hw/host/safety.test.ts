import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RandomStream } from '../../sim/random/stream.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import { SafetyChecker } from './safety.ts';

const RW = ACCESS_READ | ACCESS_WRITE;

test('a mapped page may be used, as far as it is permitted', () => {
  const safety = new SafetyChecker();
  safety.mapped(3, 0, 100, 2, 0, 500, ACCESS_READ);
  safety.use(3, 0, 100, 0, 500, ACCESS_READ, 1);
  safety.use(3, 0, 101, 0, 501, ACCESS_READ, 2);
  assert.is(safety.violations, 0);
  safety.use(3, 0, 101, 0, 501, ACCESS_WRITE, 3);
  assert.is(safety.firstViolations[0]?.kind, 'no-permission');
});

test('a stale use after the acknowledgement is a violation, and is described', () => {
  const safety = new SafetyChecker();
  safety.mapped(3, 1, 100, 1, 2, 500, RW);
  safety.unmapped(3, 1, 100, 1, 10);
  safety.acknowledged(3, 1, 100, 1, 20);
  safety.use(3, 1, 100, 2, 500, ACCESS_READ, 21);
  assert.is(safety.violations, 1);
  assert.equal(safety.firstViolations, [
    {
      cycle: 21,
      kind: 'after-acknowledge',
      domain: 3,
      input: (1n << 39n) | (100n << 12n),
      output: (2n << 39n) | (500n << 12n),
    },
  ]);
});

test('a use between unmap and acknowledgement is an exposure, and its time is added up', () => {
  const safety = new SafetyChecker();
  safety.mapped(3, 0, 100, 4, 0, 500, RW);
  safety.unmapped(3, 0, 100, 3, 10);
  safety.use(3, 0, 100, 0, 500, RW, 15);
  safety.acknowledged(3, 0, 100, 2, 30);
  assert.is(safety.violations, 0);
  assert.is(safety.exposedUses, 1);
  assert.is(safety.exposedPages, 3);
  assert.is(safety.exposedPageCycles, 2 * 20);
  safety.finish(110);
  assert.is(safety.exposedPageCycles, 2 * 20 + 100);
  assert.is(safety.exposureMax, 100);
});

test('a page that was never mapped, or goes to another frame, is a violation', () => {
  const safety = new SafetyChecker();
  safety.mapped(3, 0, 100, 1, 0, 500, RW);
  safety.use(4, 0, 100, 0, 500, RW, 1);
  safety.use(3, 0, 101, 0, 501, RW, 2);
  safety.use(3, 0, 100, 0, 501, RW, 3);
  assert.equal(
    safety.firstViolations.map((violation) => violation.kind),
    ['never-mapped', 'never-mapped', 'wrong-frame'],
  );
});

test('an address used again before the acknowledgement explains the old frame until then', () => {
  const safety = new SafetyChecker();
  safety.mapped(3, 0, 100, 1, 0, 500, RW);
  safety.unmapped(3, 0, 100, 1, 10);
  safety.mapped(3, 0, 100, 1, 0, 600, RW);
  safety.use(3, 0, 100, 0, 600, RW, 11);
  safety.use(3, 0, 100, 0, 500, RW, 12);
  assert.is(safety.exposedUses, 1);
  assert.is(safety.violations, 0);
  safety.acknowledged(3, 0, 100, 1, 20);
  safety.use(3, 0, 100, 0, 600, RW, 21);
  assert.is(safety.violations, 0);
  safety.use(3, 0, 100, 0, 500, RW, 22);
  assert.is(safety.firstViolations[0]?.kind, 'wrong-frame');
  assert.is(safety.exposedPageCycles, 10);
});

test('an address used again after the acknowledgement stands for its new frame only', () => {
  const safety = new SafetyChecker();
  safety.mapped(3, 0, 100, 1, 0, 500, RW);
  safety.unmapped(3, 0, 100, 1, 10);
  safety.acknowledged(3, 0, 100, 1, 20);
  safety.mapped(3, 0, 100, 1, 0, 600, RW);
  safety.use(3, 0, 100, 0, 600, RW, 31);
  assert.is(safety.violations, 0);
  safety.use(3, 0, 100, 0, 500, RW, 32);
  assert.is(safety.violations, 1);
});

test('a linear window is checked by its distance; beyond it pages count as mapped or not', () => {
  const safety = new SafetyChecker();
  safety.linear(5, 10, 10, 1000);
  safety.use(5, 0, 10, 0, 1000, RW, 1);
  safety.use(5, 0, 19, 0, 1009, RW, 2);
  assert.is(safety.violations, 0);
  safety.use(5, 0, 19, 0, 1010, RW, 3);
  safety.use(5, 0, 20, 0, 1010, RW, 4);
  assert.is(safety.violations, 2);
});

test('pages at the border of the address halves are told apart', () => {
  const safety = new SafetyChecker();
  safety.mapped(4095, 0, 0x7ffffff, 2, 6, 0x7ffffff, RW);
  safety.use(4095, 0, 0x7ffffff, 6, 0x7ffffff, RW, 1);
  safety.use(4095, 1, 0, 7, 0, RW, 2);
  assert.is(safety.violations, 0);
  assert.throws(() => safety.mapped(4096, 0, 0, 1, 0, 0, RW), /4096 domains/);
});

test('only the first violations are kept', () => {
  const safety = new SafetyChecker();
  for (let i = 0; i < 100; i++) safety.use(1, 0, i, 0, i, RW, i);
  assert.is(safety.violations, 100);
  assert.is(safety.firstViolations.length, 16);
});

test('the table grows and forgets nothing (against a plain map)', () => {
  const safety = new SafetyChecker();
  const random = new RandomStream(1, 'safety');
  const plain = new Map<string, number>();
  for (let i = 0; i < 30_000; i++) {
    const domain = random.below(70) * 13;
    const hi = random.below(3) * 0xffffff;
    const lo = random.below(200) * 0x9999;
    const key = `${domain}/${hi}/${lo}`;
    const frame = plain.get(key);
    if (frame === undefined) {
      safety.mapped(domain, hi, lo, 1, 1, i, RW);
      plain.set(key, i);
    } else safety.use(domain, hi, lo, 1, frame, RW, i);
  }
  assert.ok(plain.size > 10_000);
  assert.is(safety.violations, 0);
});

test('what is permitted is asked without being booked', () => {
  const safety = new SafetyChecker();
  safety.mapped(3, 0, 100, 1, 0, 500, ACCESS_READ);
  assert.ok(safety.permits(3, 0, 100, 0, 500, ACCESS_READ));
  assert.not(safety.permits(3, 0, 100, 0, 500, ACCESS_WRITE));
  assert.not(safety.permits(3, 0, 100, 0, 501, ACCESS_READ));
  assert.not(safety.permits(4, 0, 100, 0, 500, ACCESS_READ));
  safety.unmapped(3, 0, 100, 1, 10);
  assert.ok(safety.permits(3, 0, 100, 0, 500, ACCESS_READ));
  safety.acknowledged(3, 0, 100, 1, 20);
  assert.not(safety.permits(3, 0, 100, 0, 500, ACCESS_READ));
  assert.equal([safety.uses, safety.violations, safety.exposedUses], [0, 0, 0]);
});

test.run();
