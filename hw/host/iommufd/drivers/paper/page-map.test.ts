/** Tables that a map on paper would need, and what the driver's books say of them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KernelMemory } from '../../../kernel/kernel-memory.ts';
import { type DriverFigures, noFigures } from '../figures.ts';
import { PageMap } from './page-map.ts';

const READ = 1;

function made(leafLevels: readonly number[] = [0]): { map: PageMap; figures: DriverFigures } {
  const figures = noFigures();
  return { map: new PageMap(new KernelMemory(), leafLevels, 4, figures), figures };
}

test('a root, and below it a table for each 512 entries in use', () => {
  const { map, figures } = made();
  assert.is(figures.tablesInUse, 1);
  map.map(0, 0x1000, 512, READ);
  assert.is(figures.tablesInUse, 4);
  map.map(512, 0x2000, 1, READ);
  assert.is(figures.tablesInUse, 5);
  assert.is(map.tables, 5);
});

test('entries written are leaves and pointers to tables; clearing counts as writing', () => {
  const { map, figures } = made();
  map.map(0, 0x1000, 512, READ);
  assert.is(figures.entriesWritten, 512 + 3);
  map.unmap(0, 512);
  assert.is(figures.entriesWritten, 512 + 3 + 512);
});

test('large leaves need fewer tables and entries', () => {
  const { map, figures } = made([0, 1]);
  map.map(0, 0x200, 512, READ);
  assert.equal([figures.tablesInUse, figures.entriesWritten], [3, 3]);
});

test('a refused map leaves no table behind, and the peak is remembered', () => {
  const { map, figures } = made();
  map.map(1024, 0x1000, 1, READ);
  const before = figures.tablesInUse;
  assert.throws(() => map.map(512, 0x2000, 513, READ), /EADDRINUSE|is mapped/);
  assert.is(figures.tablesInUse, before);
  assert.is(figures.tablesPeak, before + 1);
  map.free();
  assert.is(figures.tablesInUse, 0);
  assert.is(figures.tables, before + 1);
});

test.run();
