/** Reference 10.9, first part: automatic IOVAs, allowed and reserved ranges. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { A, type Bench, BUFFER, L, M, P, ruleIn, type Setup, U64_MAX } from './fixture.ts';

const VARIANTS = ['N', 'D'] as const;

/** Automatic maps of 1 to 10 pages; each IOVA is tested, and kept until the end. */
function autoMaps(b: Bench, ioas: number, check: (iova: bigint, length: bigint) => void): void {
  const made: bigint[] = [];
  for (let pages = 1n; pages <= 10n; pages++) {
    const length = pages * P;
    const iova = b.map(ioas, BUFFER, length);
    assert.is(iova % (length & -length), 0n, `alignment of ${pages} pages`);
    check(iova, length);
    made.push(iova);
  }
  for (const [i, iova] of made.entries()) b.unmap(ioas, iova, BigInt(i + 1) * P);
}

function reserve(b: Bench, ioas: number, start: bigint, length: bigint): void {
  b.op('ADD_RESERVED', { id: ioas, start, length });
}

function allow(ioas: number, start: bigint, last: bigint) {
  return { ioas_id: ioas, data: [{ start, last }] };
}

/** 100 pages from page 4 on are reserved; a page above what is mapped in variant D. */
function withReservation(b: Bench, { ioas, base }: Setup): { start: bigint; length: bigint } {
  const range = { start: base + 4n * P, length: 100n * P };
  reserve(b, ioas, range.start, range.length);
  return range;
}

ruleIn(VARIANTS, '107: ten automatic maps and unmaps of a page', (b, { ioas }) => {
  for (let i = 0n; i < 10n; i++) b.unmap(ioas, b.map(ioas, BUFFER + i * P, P), P);
});

ruleIn(VARIANTS, '108: automatic IOVAs are aligned as the length is', (b, { ioas }) => {
  autoMaps(b, ioas, () => {});
});

ruleIn(VARIANTS, '109: automatic IOVAs keep out of reserved ranges', (b, setup) => {
  const { start, length } = withReservation(b, setup);
  autoMaps(b, setup.ioas, (iova, bytes) => {
    assert.ok(iova + bytes <= start || iova >= start + length);
  });
});

ruleIn(VARIANTS, '110: allowed ranges with a reserved page are EADDRINUSE', (b, setup) => {
  withReservation(b, setup);
  const { ioas, base } = setup;
  b.refuse('EADDRINUSE', 'IOAS_ALLOW_IOVAS', allow(ioas, base + P, base + 600n * P));
});

ruleIn(VARIANTS, '111: automatic IOVAs are wholly inside the allowed ranges', (b, setup) => {
  const { ioas, variant, base } = setup;
  const start = variant === 'N' ? 200n * P : base + P;
  const last = base + 600n * P - 1n;
  b.ok('IOAS_ALLOW_IOVAS', allow(ioas, start, last));
  autoMaps(b, ioas, (iova, bytes) => assert.ok(iova >= start && iova + bytes - 1n <= last));
});

ruleIn(
  VARIANTS,
  '112: no room between reserved ranges is ENOSPC, without overflow',
  (b, { ioas }) => {
    reserve(b, ioas, 6n, 0xffffffffffff8001n);
    b.refuseMap('ENOSPC', ioas, BUFFER, 0x5000n);
  },
);

ruleIn(VARIANTS, '113: nothing is reserved inside allowed ranges', (b, { ioas, base }) => {
  b.ok('IOAS_ALLOW_IOVAS', allow(ioas, base, base + 600n * P));
  b.refuseOp('EADDRINUSE', 'ADD_RESERVED', { id: ioas, start: base + 40n * P, length: P });
});

ruleIn(VARIANTS, '114: no allowed ranges allow to reserve again', (b, { ioas, base }) => {
  b.ok('IOAS_ALLOW_IOVAS', allow(ioas, base, base + 600n * P));
  b.ok('IOAS_ALLOW_IOVAS', { ioas_id: ioas, num_iovas: 0 });
  reserve(b, ioas, base + 40n * P, P);
});

ruleIn(VARIANTS, '115: what was reserved meanwhile is not allowed again', (b, { ioas, base }) => {
  const ranges = allow(ioas, base, base + 600n * P);
  b.ok('IOAS_ALLOW_IOVAS', ranges);
  b.ok('IOAS_ALLOW_IOVAS', { ioas_id: ioas, num_iovas: 0 });
  reserve(b, ioas, base + 40n * P, P);
  b.refuse('EADDRINUSE', 'IOAS_ALLOW_IOVAS', ranges);
});

const WHOLE = { start: 0n, last: U64_MAX };
const APERTURE = { start: A, last: L };
const FILL = 0xffff_ffff_ffff_ffffn;

/** Ranges of an IOAS with room for some; a range of ones after them shows what is untouched. */
function ranges(b: Bench, ioas: number, room: number) {
  const array = b.place(new Uint8Array(16 * 4).fill(0xff));
  const fields = { ioas_id: ioas, num_iovas: room, allowed_iovas: array };
  const report = b.call('IOAS_IOVA_RANGES', fields);
  const view = new DataView(b.peek(array, 64).buffer);
  const list = [0, 16, 32, 48].map((at) => ({
    start: view.getBigUint64(at, true),
    last: view.getBigUint64(at + 8, true),
  }));
  const { error, out } = report;
  return { error, count: out.num_iovas, alignment: out.out_iova_alignment, list };
}

const UNTOUCHED = { start: FILL, last: FILL };

ruleIn(['N'], '116: without a device there is one range of everything', (b, { ioas }) => {
  const found = ranges(b, ioas, 4);
  assert.equal([found.error, found.count, found.alignment], ['', 1, 1n]);
  assert.equal(found.list, [WHOLE, UNTOUCHED, UNTOUCHED, UNTOUCHED]);
});

ruleIn(['D'], '117: with a device the range is its aperture', (b, { ioas }) => {
  const found = ranges(b, ioas, 4);
  assert.equal([found.error, found.count, found.alignment], ['', 1, M]);
  assert.equal(found.list[0], APERTURE);
});

ruleIn(VARIANTS, '118: no room is EMSGSIZE with the number of ranges', (b, { ioas }) => {
  const { error, count, list } = ranges(b, ioas, 0);
  assert.equal([error, count, list[0]], ['EMSGSIZE', 1, UNTOUCHED]);
});

ruleIn(VARIANTS, '119: a reserved page cuts a range in two', (b, { ioas, variant }) => {
  reserve(b, ioas, P, P);
  const { error, count, list } = ranges(b, ioas, 4);
  const cut = [
    { start: 0n, last: P - 1n },
    { start: 2n * P, last: U64_MAX },
  ];
  assert.is(error, '');
  assert.equal(list.slice(0, Number(count)), variant === 'N' ? cut : [APERTURE]);
});

ruleIn(VARIANTS, '120: ranges that have room are told, then EMSGSIZE', (b, { ioas, variant }) => {
  reserve(b, ioas, P, P);
  const { error, count, list } = ranges(b, ioas, 1);
  assert.is(error, variant === 'N' ? 'EMSGSIZE' : '');
  assert.is(count, variant === 'N' ? 2 : 1);
  assert.equal(list[0], variant === 'N' ? { start: 0n, last: P - 1n } : APERTURE);
  assert.equal(list[1], UNTOUCHED);
});

test.run();
