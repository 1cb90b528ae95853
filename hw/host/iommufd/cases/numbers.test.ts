/** The cases of the reference are all here, each of them once. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const FOLDER = dirname(fileURLToPath(import.meta.url));
/** A title that begins with the number of a case; titles are written out, not put together. */
const TITLE = /['"`](\d+|D\d+|Q\d+): /g;

function numbers(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i + 1}`);
}

test('cases 1 to 258, D1 to D18 and Q1 to Q22 are tested, each under its number', () => {
  const files = readdirSync(FOLDER).filter((name) => /\.test\.[jt]s$/.test(name));
  const found = files.flatMap((name) =>
    [...readFileSync(join(FOLDER, name), 'utf8').matchAll(TITLE)].map(([, number]) => number),
  );
  const wanted = [...numbers('', 258), ...numbers('D', 18), ...numbers('Q', 22)];
  const missing = wanted.filter((number) => !found.includes(number));
  const repeated = found.filter((number, at) => found.indexOf(number) !== at);
  const unknown = found.filter((number) => !wanted.includes(number));
  assert.equal({ missing, repeated, unknown }, { missing: [], repeated: [], unknown: [] });
});

test.run();
