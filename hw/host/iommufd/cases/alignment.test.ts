/** Reference 10.9, second part: lengths, copies, the large-page option. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bench, BUFFER, M, mapFields, P, ruleIn, type Setup } from './fixture.ts';

const VARIANTS = ['N', 'D'] as const;

function copyFields(to: number, from: number, srcIova: bigint, length: bigint, dstIova: bigint) {
  return {
    flags: 'FIXED_IOVA|WRITEABLE',
    dst_ioas_id: to,
    src_ioas_id: from,
    length,
    dst_iova: dstIova,
    src_iova: srcIova,
  };
}

ruleIn(VARIANTS, '121: lengths are multiples of the alignment', (b, { ioas, variant }) => {
  for (let length = 1n; length < 2n * P; length++) {
    const report = b.call('IOAS_MAP', mapFields(ioas, BUFFER, length));
    const fits = variant === 'N' || length % M === 0n;
    assert.is(report.error, fits ? '' : 'EINVAL', `length ${length}`);
    if (fits) b.unmap(ioas, report.out.iova as bigint, length);
  }
});

ruleIn(VARIANTS, '122: COPY inside one IOAS', (b, { ioas, base }) => {
  b.map(ioas, BUFFER, P, base + P);
  b.ok('IOAS_COPY', copyFields(ioas, ioas, base + P, P, base + 4n * P));
  assert.is(b.unmap(ioas, base + 4n * P, P), P);
});

ruleIn(VARIANTS, '123: COPY into another IOAS, at IOVA 0', (b, { ioas, base }) => {
  b.map(ioas, BUFFER, P, base + P);
  const other = b.ioas();
  b.ok('IOAS_COPY', copyFields(other, ioas, base + P, P, 0n));
  assert.is(b.unmap(other, 0n, P), P);
});

ruleIn(VARIANTS, '124: COPY of what is not wholly mapped is ENOENT', (b, { ioas, base }) => {
  const area = base + 2n * P;
  const end = area + BUFFER_BYTES;
  b.map(ioas, BUFFER, BUFFER_BYTES, area);
  const other = b.ioas();
  for (let from = area - P; from < end; from += 511n) {
    const report = b.call('IOAS_COPY', copyFields(other, ioas, from, M, 0n));
    const inside = from >= area && from + M <= end;
    assert.is(report.error, inside ? '' : 'ENOENT', `from 0x${from.toString(16)}`);
    if (inside) assert.is(b.unmap(other, 0n, M), M);
  }
});

const BUFFER_BYTES = 16n * P;
const HUGE_PAGES = { option_id: 'HUGE_PAGES' };

function setHuge(b: Bench, { ioas }: Setup, val64: number): void {
  b.ok('OPTION', { ...HUGE_PAGES, op: 'SET', object_id: ioas, val64 });
}

function huge(b: Bench, { ioas }: Setup): unknown {
  return b.ok('OPTION', { ...HUGE_PAGES, op: 'GET', object_id: ioas }).out.val64;
}

ruleIn(VARIANTS, '125: large pages are on, and can be turned off and on', (b, setup) => {
  assert.is(huge(b, setup), 1n);
  setHuge(b, setup, 0);
  assert.is(huge(b, setup), 0n);
  const bad = { ...HUGE_PAGES, op: 'SET', object_id: setup.ioas, val64: 2 };
  b.refuse('EINVAL', 'OPTION', bad);
  setHuge(b, setup, 1);
  assert.is(huge(b, setup), 1n);
});

/** A page is mapped, and large pages are off, so that everything is aligned to pages. */
function pageMapped(b: Bench, setup: Setup): void {
  b.map(setup.ioas, BUFFER, P, P);
  setHuge(b, setup, 0);
}

ruleIn(['N'], '126: large pages are turned off with an aligned page mapped', (b, setup) => {
  pageMapped(b, setup);
  const { out } = b.ok('IOAS_IOVA_RANGES', { ioas_id: setup.ioas });
  assert.is(out.out_iova_alignment, P);
});

ruleIn(['N'], '127: a user address inside a page is EINVAL without large pages', (b, setup) => {
  pageMapped(b, setup);
  b.refuseMap('EINVAL', setup.ioas, BUFFER + M, P, 2n * P);
});

ruleIn(['N'], '128: large pages are turned off twice', (b, setup) => {
  pageMapped(b, setup);
  setHuge(b, setup, 0);
});

ruleIn(['N'], '129: large pages are turned on with a page mapped', (b, setup) => {
  pageMapped(b, setup);
  setHuge(b, setup, 1);
});

ruleIn(['N'], '130: with large pages a user address inside a page is mapped', (b, setup) => {
  pageMapped(b, setup);
  setHuge(b, setup, 1);
  b.map(setup.ioas, BUFFER + M, P, 2n * P);
});

ruleIn(['N'], '131: large pages stay on with such an address mapped: EADDRINUSE', (b, setup) => {
  b.map(setup.ioas, BUFFER + M, P, 2n * P);
  const off = { ...HUGE_PAGES, op: 'SET', object_id: setup.ioas, val64: 0 };
  b.refuse('EADDRINUSE', 'OPTION', off);
  assert.is(huge(b, setup), 1n);
});

test.run();
