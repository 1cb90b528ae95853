/** Input of the line tool that is wrong: a clear message, its place, and the right exit code. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../../sim/errors.ts';
import { TOOL_COMMANDS } from './commands/table.ts';
import { IOCTL_WORDS } from './fields.ts';
import { DRIVERS } from './machine.ts';
import { command, testSession } from './testbench.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'iommusim-ioctl-'));
test.after(() => rmSync(FOLDER, { recursive: true }));

const BAD: readonly (readonly [string, RegExp])[] = [
  ['opne', /no command is called "opne" \(did you mean "open"\?\)/],
  ['ioas-alloc', /nothing is open yet: `open` first/],
  ['open; hwpt-alloc --dve 3', /no field "dve" \(did you mean "dev"\?\); it has size, flags/],
  ['open; hwpt-alloc --flags nest-parnt', /"nest-parnt" \(did you mean "nest-parent"\?\)/],
  ['open; ioas-alloc; destroy @iaos', /nothing is called @iaos \(did you mean "ioas"\?\)/],
  ['open; ioas-map length=2MB', /unknown unit "MB"/],
  ['open; ioas-map length=5x', /"5x": unknown unit "x"/],
  ['open; ioas-map length=', /length: "" is no number/],
  ['open; ioas-alloc flags=0x100000000', /outside u32/],
  ['open; ioas-alloc --data vtd-s1', /ioas-alloc: --data: it takes no data/],
  ['open; hwpt-alloc --data vtd-s2', /no value is called "vtd-s2" \(did you mean "vtd-s1"\?\)/],
  ['open; hwpt-alloc --data hex:123', /pairs of hexadecimal digits/],
  ['open; hwpt-alloc --entry flags=1', /--entry: give the type of the data first/],
  ['open; destroy 1 2', /"2" means nothing here/],
  ['open; destroy --id', /--id needs a value/],
  ['open; destroy 1 --expect EWRONG', /--expect EWRONG: no such error/],
  ['open; areas 9', /there is no object 9/],
  ['open; translate 1', /there is no object 1/],
  ['open; bind vfoi0', /no device "vfoi0" \(did you mean "vfio0"\?\)/],
  ['open; attach vfio0 1', /vfio0 is not open: bind vfio0/],
  ['open; dma vfio0 0', /vfio0 is on paper only/],
  ['memory 0', /memory of 0 bytes/],
  ['memory 1TiB', /not from 0 to 2\^31 - 1/],
  ['peek 0x10', /no memory of the process is at 0x10/],
  ['poke 0x10', /give what to write/],
  ['memory 1GiB m; peek @m 1GiB', /peek shows at most 1MiB/],
  ['poll', /give a descriptor/],
  ['read -1', /not from 0/],
  ['use 5', /descriptor 5 is not open/],
  ['source nowhere.txt', /there is no file nowhere\.txt/],
  ["open 'dev", /the quote ' is not closed/],
  ['help nothing-like-it', /there is no help on "nothing-like-it"/],
];

for (const [line, message] of BAD) {
  test(`bad input ends with 2 and says what: ${line}`, async () => {
    const { code, err } = await command(['-c', line]);
    assert.match(err, message);
    assert.is(code, 2);
    assert.match(err, /^error: -c:1: /);
  });
}

test('a mistake in a script is told with its line, and nothing after it is run', async () => {
  const path = join(FOLDER, 'script.txt');
  writeFileSync(path, 'open\nioas-alloc\nioas-alok\nioas-alloc\n');
  const { code, out, err } = await command(['--brief', '-c', `source ${path}`]);
  assert.is(code, 2);
  assert.ok(err.startsWith(`error: ${path}:3: no command is called "ioas-alok"`));
  assert.is(out.match(/out_ioas_id/g)?.length, 1);
});

test('a script that runs itself is stopped', async () => {
  const path = join(FOLDER, 'loop.txt');
  writeFileSync(path, `source ${path}\n`);
  const { code, err } = await command(['-c', `source ${path}`]);
  assert.is(code, 2);
  assert.match(err, 'scripts run each other deeper than 16');
});

test('a driver that is not there, and a scenario beside a driver, are refused', async () => {
  const wrong = await command(['--driver', 'papr-vtd', '-c', 'open']);
  assert.is(wrong.code, 2);
  assert.match(wrong.err, 'did you mean "paper-vtd"?');
  const both = await command(['x.yaml', '--driver', 'mock', '-c', 'open']);
  assert.match(both.err, 'give a scenario or --driver, not both');
});

const WORDS = [
  ...['@ioas', '@hwpt', '@dev', '@fd', '@m1', '@m1+8', 'vfio0', 'vfio1', '0', '1', '3', '-1'],
  ...['0x1000', '64KiB', '4096', 'length=64KiB', 'iova=0x2000000', 'flags=7', 'flags=nest-parent'],
  ...['--dev=@dev', '--parent=@hwpt', '--data=selftest', '--entry', 'iotlb=5', 'entry_num=-1'],
  ...['--tail=hex:00ff', 'size=-1', '--at=0', '--exact', '--pasid=5', 'ioas=@ioas', 'hex:0102'],
  ...['--range=0-0xfff', 'op=3', 'mock-domain', 'trigger-iopf', 'data_uptr=-1', 'num_iovas=-1'],
] as const;

test('whatever is typed, only the input is to blame', () => {
  const commands = [...TOOL_COMMANDS.map(({ name }) => name), ...IOCTL_WORDS].filter(
    (name) => name !== 'quit' && name !== 'source',
  );
  const line = fc
    .tuple(fc.constantFrom(...commands), fc.array(fc.constantFrom(...WORDS), { maxLength: 5 }))
    .map(([name, words]) => [name, ...words].join(' '));
  const property = fc.property(
    fc.constantFrom(...Object.keys(DRIVERS)),
    fc.array(line, { minLength: 1, maxLength: 40 }),
    (driver, lines) => {
      const { run } = testSession(driver);
      const setUp = ['open', 'ioas-alloc', 'bind vfio0', 'attach vfio0 @ioas', 'memory 64KiB'];
      for (const each of [...setUp, ...lines]) {
        try {
          run(each);
        } catch (error) {
          assert.instance(error, InputError, `${each}: ${error}`);
        }
      }
    },
  );
  fc.assert(property, { numRuns: 100, seed: 1 });
});

test.run();
