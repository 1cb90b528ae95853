import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SMALL } from '../scenarios/memory-files.ts';

const CLI = join(import.meta.dirname, 'cli.js');
const FOLDER = mkdtempSync(join(tmpdir(), 'iommusim-cli-'));
test.after(() => rmSync(FOLDER, { recursive: true }));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function iommusim(...words: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...words], {
    encoding: 'utf8',
    cwd: FOLDER,
  });
  return { code: status, out: stdout, err: stderr };
}

test('--help teaches: commands, where to start, exit codes', () => {
  const { code, out, err } = iommusim('--help');
  assert.is(code, 0);
  assert.is(err, '');
  for (const word of [
    'run',
    'replay',
    'analyze',
    'explain',
    'ioctl',
    'fuzz-ioctl',
    'conform',
    'bench',
    'check',
    'schema',
  ]) {
    assert.match(out, new RegExp(`^ {2}${word} `, 'm'));
  }
  assert.match(out, 'Exit codes: 0 done, 1 expectation or comparison failed, 2 bad input');
});

test('every command has help with examples', () => {
  for (const word of [
    'run',
    'replay',
    'analyze',
    'explain',
    'ioctl',
    'fuzz-ioctl',
    'conform',
    'bench',
    'check',
    'schema',
  ]) {
    const { code, out } = iommusim(word, '--help');
    assert.is(code, 0, word);
    assert.match(out, 'Examples:', word);
  }
});

test('an unknown command or option ends with 2 and a suggestion', () => {
  const command = iommusim('chek');
  assert.is(command.code, 2);
  assert.match(command.err, 'Did you mean check?');
  const option = iommusim('run', 'x.yaml', '--thread', '2');
  assert.is(option.code, 2);
  assert.match(option.err, 'Did you mean --threads?');
});

test('no command at all shows the help and ends with 2', () => {
  const { code, err } = iommusim();
  assert.is(code, 2);
  assert.match(err, 'Usage: iommusim');
});

test('a bad option value ends with 2', () => {
  for (const words of [
    ['run', 'x.yaml', '--threads', 'two'],
    ['run', 'x.yaml', '--threads', '65'],
    ['run', 'x.yaml', '--seed', '-1'],
    ['run', 'x.yaml', '--trace-level', 'everything'],
    ['explain', 'x.yaml', '--iova', 'here', '--device', 'nic'],
  ]) {
    const { code, err } = iommusim(...words);
    assert.is(code, 2, words.join(' '));
    assert.match(err, 'error: ');
  }
});

test('a scenario that is wrong ends with 2 and names file, line and column', () => {
  writeFileSync(join(FOLDER, 'wrong.yaml'), `${SMALL}run: { for: 3 }\n`);
  const { code, out, err } = iommusim('run', 'wrong.yaml');
  assert.is(code, 2);
  assert.is(out, '');
  assert.match(err, /^error: wrong\.yaml:6:13: run\.for: expected a duration with a unit/);
});

test('a file that is missing, a folder and a bad override end with 2', () => {
  assert.match(iommusim('check', 'none.yaml').err, 'error: none.yaml: no such file');
  assert.is(iommusim('check', 'none.yaml').code, 2);
  assert.is(iommusim('check', '.').code, 2);
  writeFileSync(join(FOLDER, 'good.yaml'), SMALL);
  const bad = iommusim('check', 'good.yaml', '--set', 'clock');
  assert.is(bad.code, 2);
  assert.is(bad.err, 'error: --set clock: expected key.path=value\n');
});

test('a trace that is none ends with 2', () => {
  writeFileSync(join(FOLDER, 'trace.msgpack'), 'hello');
  for (const word of ['analyze', 'replay']) {
    const { code, err } = iommusim(word, 'trace.msgpack');
    assert.is(code, 2, err);
    assert.match(err, 'trace.msgpack');
  }
});

test('a valid scenario passes check, and schema prints JSON', () => {
  writeFileSync(join(FOLDER, 'good.yaml'), SMALL);
  assert.equal(iommusim('check', 'good.yaml'), { code: 0, out: 'good.yaml: ok\n', err: '' });
  const schema = JSON.parse(iommusim('schema').out);
  assert.is(schema.$schema, 'https://json-schema.org/draft/2020-12/schema');
});

test('a reader that closes the pipe early is no error', async () => {
  const child = spawn(process.execPath, [CLI, 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let err = '';
  child.stderr.on('data', (data) => {
    err += data;
  });
  child.stdout.destroy();
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.is(err, '');
  assert.is(code, 0);
});

test('fuzz-ioctl tells how often each call was done and refused, the same for a seed', () => {
  const run = () => iommusim('fuzz-ioctl', '--calls', '500', '--seed', '3', '--json');
  const { code, out, err } = run();
  assert.is(code, 0, err);
  const { calls, counts } = JSON.parse(out);
  assert.is(calls, 500);
  assert.ok(counts.IOAS_MAP.done > 0);
  assert.is(run().out, out);
});

test.run();
