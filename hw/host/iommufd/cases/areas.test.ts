/** Reference 10.8: areas, and ranges that cut them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bench, BUFFER, P, ruleIn, type Setup, U64_MAX } from './fixture.ts';

const VARIANTS = ['N', 'D', '2D'] as const;

/** An area of two pages, a page above the base. */
function twoPages(b: Bench, { ioas, base }: Setup): bigint {
  return b.map(ioas, BUFFER, 2n * P, base + P);
}

ruleIn(VARIANTS, '93: UNMAP where nothing is mapped is ENOENT', (b, { ioas }) => {
  for (let i = 0n; i < 10n; i++) b.refuseUnmap('ENOENT', ioas, i * P, P);
});

ruleIn(VARIANTS, '94: ten fixed maps and ten unmaps', (b, { ioas, base }) => {
  for (let i = 0n; i < 10n; i++) b.map(ioas, BUFFER + i * P, P, base + i * P);
  for (let i = 0n; i < 10n; i++) assert.is(b.unmap(ioas, base + i * P, P), P);
});

ruleIn(VARIANTS, '95: UNMAP of the first page of an area is ENOENT', (b, setup) => {
  b.refuseUnmap('ENOENT', setup.ioas, twoPages(b, setup), P);
});

ruleIn(VARIANTS, '96: UNMAP of the second page of an area is ENOENT', (b, setup) => {
  b.refuseUnmap('ENOENT', setup.ioas, twoPages(b, setup) + P, P);
});

/** A fixed map of some pages, from a page relative to the area of two pages, is EEXIST. */
function overlapRule(name: string, firstPage: bigint, pages: bigint): void {
  ruleIn(VARIANTS, name, (b, setup) => {
    const area = twoPages(b, setup);
    b.refuseMap('EEXIST', setup.ioas, BUFFER, pages * P, area + firstPage * P);
  });
}

overlapRule('97: a map of two pages over an area is EEXIST', 0n, 2n);
overlapRule('98: a map over the first page of an area is EEXIST', 0n, 1n);
overlapRule('99: a map over the second page of an area is EEXIST', 1n, 1n);
overlapRule('100: a map that begins before an area and ends in it is EEXIST', -1n, 2n);
overlapRule('101: a map that begins before an area and ends with it is EEXIST', -1n, 3n);

ruleIn(VARIANTS, '102: UNMAP of everything', (b, setup) => {
  twoPages(b, setup);
  assert.is(b.unmap(setup.ioas, 0n, U64_MAX), 2n * P);
});

ruleIn(VARIANTS, '103: UNMAP of everything where there is nothing', (b, setup) => {
  twoPages(b, setup);
  b.unmap(setup.ioas, 0n, U64_MAX);
  assert.is(b.unmap(setup.ioas, 0n, U64_MAX), 0n);
});

/** Four areas of 8 pages, 16 pages apart. */
function fourAreas(b: Bench, { ioas, base }: Setup): bigint {
  const first = base + 16n * P;
  for (let i = 0n; i < 4n; i++) b.map(ioas, BUFFER, 8n * P, first + i * 16n * P);
  return first;
}

ruleIn(VARIANTS, '104: UNMAP that ends inside the first area is ENOENT', (b, setup) => {
  b.refuseUnmap('ENOENT', setup.ioas, fourAreas(b, setup) - 4n * P, 8n * P);
});

ruleIn(VARIANTS, '105: UNMAP that begins inside the last area is ENOENT', (b, setup) => {
  b.refuseUnmap('ENOENT', setup.ioas, fourAreas(b, setup) + (3n * 16n + 4n) * P, 8n * P);
});

ruleIn(VARIANTS, '106: UNMAP over holes tells the bytes that were mapped', (b, setup) => {
  const start = fourAreas(b, setup) - 4n * P;
  assert.is(b.unmap(setup.ioas, start, (4n + 3n * 16n + 8n) * P), 32n * P);
});

test.run();
