import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Area } from './area.ts';
import { AreaRows } from './area-rows.ts';
import { UserPages } from './pages.ts';
import { RW, tableBench } from './testbench.ts';
import { U64_MAX } from './units.ts';

const { test: bench } = tableBench();
const { kernel, process } = bench;
const ADDRESS = bench.alloc(4 * 4096);

function pagesOf(address: bigint, length: bigint): UserPages {
  return UserPages.make(kernel, process, 'user', address, length, true);
}

test('an area of a page that is a row comes back as it was, and stays the object it then is', () => {
  const rows = new AreaRows();
  const pages = pagesOf(ADDRESS + 2048n, 1024n);
  const added = new Area(U64_MAX - 1023n, 1024n, pages, 2048n, RW);
  pages.hold(0, 0);
  pages.settle();
  added.filled = true;
  const row = rows.add(added);
  assert.is(rows.iova(row), U64_MAX - 1023n);
  assert.is(rows.last(row), U64_MAX);
  const found = rows.at(row);
  assert.is.not(found, added);
  assert.equal({ ...found, pages: null }, { ...added, pages: null });
  assert.is(found.pages.frame(0), pages.frame(0));
  assert.is(found.pages.addressOf(2048n), ADDRESS + 2048n);
  assert.is(rows.at(row), found);
  found.pages.drop(0, 0);
  found.pages.settle();
  assert.is(kernel.pins.total, 0);
  assert.is(process.user.lockedPages, 0);
});

test('a row that is given back serves the next area, whatever kind that is', () => {
  const rows = new AreaRows();
  const small = rows.add(new Area(0n, 4096n, pagesOf(ADDRESS, 4096n), 0n, RW));
  rows.drop(small);
  const large = new Area(8192n, 8192n, pagesOf(ADDRESS, 8192n), 0n, RW);
  assert.is(rows.add(large), small);
  assert.is(rows.at(small), large);
  rows.drop(small);
  const again = rows.add(new Area(4096n, 512n, pagesOf(ADDRESS, 512n), 0n, RW));
  assert.is(again, small);
  assert.is(rows.at(again).length, 512n);
  assert.not.ok(rows.at(again).filled);
});

test('an area whose pages others refer to stays the object that it is', () => {
  const rows = new AreaRows();
  const pages = pagesOf(ADDRESS, 4096n);
  pages.refs++;
  const shared = new Area(0n, 4096n, pages, 0n, RW);
  assert.is(rows.at(rows.add(shared)), shared);
});

test('areas of several owners and rights keep theirs', () => {
  const rows = new AreaRows();
  const other = bench.kernel.createProcess({ memlockPages: 16 });
  const all = [process, other].flatMap((owner) =>
    [true, false].map((writable) => ({ owner, writable })),
  );
  const numbers = all.map(({ owner, writable }, i) => {
    const pages = UserPages.make(kernel, owner, 'mm', ADDRESS, 4096n, writable);
    return rows.add(new Area(BigInt(i) * 4096n, 4096n, pages, 0n, RW));
  });
  numbers.forEach((row, i) => {
    const { pages } = rows.at(row);
    assert.is(pages.owner, all[i].owner);
    assert.is(pages.writable, all[i].writable);
    assert.is(pages.mode, 'mm');
  });
});

test.run();
