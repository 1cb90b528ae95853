/** Sessions of the line tool: what is printed for what is typed, and how it ends. */
import { PassThrough } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { complete } from './complete.ts';
import { DRIVERS, driverMachine } from './machine.ts';
import { runSession } from './run.ts';
import { command, testSession } from './testbench.ts';

/** Lines that the commands print; nothing goes wrong. */
async function transcript(words: readonly string[], commands: string): Promise<string[]> {
  const { code, out, err } = await command([...words, '-c', commands]);
  assert.is(err, '');
  assert.is(code, 0);
  return out.trimEnd().split('\n');
}

const GOLDEN = `iommu> open
open /dev/iommu -> 0
iommu> ioas-alloc
IOMMU_IOAS_ALLOC (0x3b81) on fd 0, 12 bytes at 0x7ffff7fef000
    0  0c 00 00 00               size                   12
    4  00 00 00 00               flags                  0
    8  00 00 00 00               out_ioas_id            0
       01 00 00 00             *                        1
-> 0
iommu> mock-device
IOMMU_TEST_CMD (0x3ba0) on fd 0, 72 bytes at 0x7ffff7fef000
    0  48 00 00 00               size                   72
    4  02 00 00 00               op                     MOCK_DOMAIN
    8  01 00 00 00               id                     1
   12  00 00 00 00               __reserved             0
   16  00 00 00 00               out_stdev_id           0
       02 00 00 00             *                        2
   20  00 00 00 00               out_hwpt_id            0
       04 00 00 00             *                        4
   24  00 00 00 00               out_idev_id            0
       03 00 00 00             *                        3
   64  00 00 00 00               last                   0
-> 0
iommu> hwpt-alloc --dev @dev --parent @hwpt --data selftest iotlb=7
IOMMU_HWPT_ALLOC (0x3b89) on fd 0, 48 bytes at 0x7ffff7fef008
    0  30 00 00 00               size                   48
    4  00 00 00 00               flags                  0
    8  03 00 00 00               dev_id                 3
   12  04 00 00 00               pt_id                  4
   16  00 00 00 00               out_hwpt_id            0
   20  00 00 00 00               __reserved             0
   24  ad de 00 00               data_type              SELFTEST
   28  08 00 00 00               data_len               8
   32  00 f0 fe f7 ff 7f 00 00   data_uptr              0x7ffff7fef000
   40  00 00 00 00               fault_id               0
   44  00 00 00 00               __reserved2            0
  data_uptr -> struct iommu_hwpt_selftest, 8 bytes at 0x7ffff7fef000
    0  07 00 00 00               iotlb                  7
    4  00 00 00 00               pagetable_type         DEFAULT
-> EINVAL (22): hwpt 4 was made automatically: no parent
iommu> objects
id  type         users  what                      held by (and by the table)
1   ioas         2      0 areas                   hwpt-paging 4
2   selftest     1      owns device 3
3   device       3      iommufd_mock3, on hwpt 4  its driver, attachment
4   hwpt-paging  2      ioas 1, automatic         device 3`;

test('a session prints bytes by field, what came back, and the rule that refused', async () => {
  const commands =
    'open; ioas-alloc; mock-device; hwpt-alloc --dev @dev --parent @hwpt --data selftest iotlb=7; objects';
  assert.is((await transcript([], commands)).join('\n'), GOLDEN);
});

test('commands come from stdin too, one on each line, with comments', async () => {
  const { code, out } = await command(['--brief'], '# a comment\nopen\n\nioas-alloc  # another\n');
  assert.is(code, 0);
  assert.match(out, /^ioas-alloc out_ioas_id=1 -> 0$/m);
});

test('--json prints a line for each command, with 64-bit numbers as text', async () => {
  const { out } = await command([
    '--json',
    '-c',
    'open; ioas-alloc; ioas-map @ioas length=8KiB; names; areas @ioas',
  ]);
  const records = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.is(records.length, 5);
  const [, alloc, map, names, areas] = records;
  assert.is(alloc.sent, '0c0000000000000000000000');
  assert.is(alloc.returned, '0c0000000000000001000000');
  assert.equal(alloc.changed, ['out_ioas_id']);
  assert.equal(map.out, { iova: '0x1000' });
  assert.is(map.filled.length, 2);
  assert.is(names.names.ioas, '0x1');
  assert.is(areas.areas[0].length, '0x2000');
});

test('a refused call ends in 1 only where it was not expected', async () => {
  const refused = 'open; destroy 7';
  assert.is((await command(['-c', refused])).code, 0);
  const strict = await command(['--strict', '-c', refused]);
  assert.is(strict.code, 1);
  assert.match(strict.out, 'unexpected: success was expected');
  assert.is((await command(['--strict', '-c', `${refused} --expect ENOENT`])).code, 0);
  const other = await command(['-c', `${refused} --expect EBUSY`]);
  assert.is(other.code, 1);
  assert.is(other.err, 'error: 1 call was not answered as expected\n');
});

test('every driver can be bound to, but for the one that Linux refuses', () => {
  for (const driver of Object.keys(DRIVERS)) {
    const { run } = testSession(driver);
    run('open; ioas-alloc');
    const bound = run('bind vfio0');
    if (driver === 'paper-riscv') {
      assert.match(bound, 'EINVAL (22): the IOMMU of vfio0 cannot do cache-coherent DMA', driver);
      continue;
    }
    assert.match(bound, '@vfio0 = 2', driver);
    assert.match(run('attach vfio0 @ioas'), 'pt_id=3 -> 0', driver);
    assert.match(run('ioas-map @ioas length=64KiB iova=0x4000000'), '-> 0', driver);
    assert.match(run('translate @ioas 0x4001234'), /-> 0x[0-9a-f]+234$/m, driver);
    assert.match(run('close vfio0'), '-> 0', driver);
    assert.match(run('close'), '-> 0', driver);
  }
});

test('a page request is read and answered by its fields', () => {
  const { run } = testSession();
  run('open; ioas-alloc; mock-device; fault-queue-alloc');
  run('hwpt-alloc --dev @dev --parent @ioas --fault @fault; replace @stdev @hwpt');
  assert.match(run('page-request @dev addr=0x5000 perm=write grpid=3'), '1 groups wait');
  assert.match(run('poll @fault_fd'), 'IN OUT');
  const read = run('read @fault_fd');
  assert.match(read, /addr +0x5000/);
  assert.match(read, /perm +WRITE/);
  assert.match(read, /cookie +1/);
  assert.match(run('write @fault_fd cookie=1 code=success'), 'write 1 8 -> 8');
  assert.match(run('write @fault_fd cookie=1 code=success'), 'EINVAL');
  assert.match(run('read @fault_fd'), 'nothing waits to be read');
});

test('events of a vIOMMU are decoded, and its pages can be mapped and seen', () => {
  const { run } = testSession();
  run('open; ioas-alloc; mock-device');
  run('hwpt-alloc --dev @dev --parent @ioas --flags nest-parent --as parent');
  run('viommu-alloc dev=@dev parent=@parent --data selftest in_data=42');
  run('mmap @fd @mmap_offset @mmap_length ring');
  assert.match(run('peek @ring 16'), '2a 00 00 00');
  run('vdevice-alloc viommu=@viommu dev=@dev virt=0x99');
  run('veventq-alloc viommu=@viommu type=selftest depth=4');
  run('hwpt-alloc --dev @dev --viommu @viommu --data selftest iotlb=7; replace @stdev @hwpt');
  run('test-cmd trigger-vevent dev=@dev');
  assert.match(run('read @veventq_fd'), /virt_id +153/);
});

test('entries of an invalidation are given one after the other', () => {
  const { run, state } = testSession();
  run('open; ioas-alloc; mock-device');
  run('hwpt-alloc --dev @dev --parent @ioas --flags nest-parent');
  run('hwpt-alloc --dev @dev --parent @hwpt --data selftest iotlb=7');
  state.brief = false;
  const text = run(
    'hwpt-invalidate @hwpt --data selftest flags=1 --entry iotlb_id=3 --entry iotlb_id=9',
  );
  assert.match(text, /\[2\]\.iotlb_id +9/);
  assert.match(text, /entry_num +3\n +02 00 00 00 +\* +2\n/);
  assert.match(text, '-> EINVAL');
});

test('--exact fills nothing in; hostile sizes, tails and addresses reach the kernel', () => {
  const { run } = testSession();
  run('open; ioas-alloc');
  assert.match(run('ioas-map @ioas length=4KiB --exact'), 'neither READABLE nor WRITEABLE');
  assert.match(run('ioas-alloc size=4'), 'EINVAL');
  assert.match(run('ioas-alloc --tail hex:00000001'), 'E2BIG');
  assert.match(run('ioas-alloc --at 0'), 'EFAULT');
  assert.match(run('ioas-unmap @ioas iova=0 length=-1'), 'length=0 -> 0');
  const entry = 'hwpt-invalidate @ioas --data vtd-s1 addr=1 entry_len=-1 entry_num=-1';
  assert.match(run(entry), /-> E[A-Z]+ /);
  assert.match(run('read @fd 0x7fffffff'), 'EINVAL');
});

test('a guest translation that is not invalidated stays in the unit', () => {
  const { run } = testSession('riscv');
  run('open; bind vfio0; ioas-alloc; memory 64KiB guest');
  run('ioas-map @ioas va=@guest length=64KiB iova=0');
  run('hwpt-alloc --dev @vfio0 --parent @ioas --flags nest-parent');
  // Sv39 tables in guest pages 0 to 2 lead 0x5000 to guest page 7, then to guest page 8.
  run('poke @guest u64=0x401; poke @guest+0x1000 u64=0x801; poke @guest+0x2028 u64=0x1cd7');
  run('hwpt-alloc --dev @vfio0 --parent @hwpt --data riscv-s1 root_ppn=0 mode=sv39');
  run('attach vfio0 @hwpt');
  const address = (): string => run('dma vfio0 0x5123').split('-> ')[1] as string;
  const before = address();
  assert.match(before, /^0x[0-9a-f]+123\n$/);
  run('poke @guest+0x2028 u64=0x20d7');
  assert.is(address(), before);
  assert.match(run('hwpt-invalidate @hwpt --data riscv-s1 addr=0x5000 npages=1'), '-> 0');
  assert.is.not(address(), before);
  assert.match(run('dma vfio0 0x6000'), 'fault 13, read page fault');
});

test('what hardware is told stands behind the call that told it', () => {
  const paper = testSession('paper-vtd').run;
  paper('open; ioas-alloc; bind vfio0; attach vfio0 @ioas; ioas-map @ioas length=4KiB --as a');
  assert.match(paper('ioas-unmap @ioas iova=@a length=4KiB'), 'hardware: dmar0 drops');
  const { run } = testSession('riscv');
  run('open; ioas-alloc; bind vfio0; fault-queue-alloc');
  run('hwpt-alloc --dev @vfio0 --parent @ioas --fault @fault; attach vfio0 @hwpt');
  assert.match(run('page-request vfio0 addr=0x5000 perm=write grpid=9'), '1 groups wait');
  run('read @fault_fd');
  const answer = run('write @fault_fd cookie=1 code=success');
  assert.match(answer, /-> 8\n {2}hardware: device 0x100 is answered/);
});

test('failures on order leave nothing behind', () => {
  const { run, state } = testSession();
  run('open');
  const { memory } = state.machine.kernel;
  const before = memory.bytes;
  assert.match(run('fail 1; ioas-alloc'), 'ENOMEM (12): injected failure of ioas object');
  assert.is(memory.bytes, before);
  assert.match(run('ioas-alloc'), '-> 0');
});

test('help tells fields with offset, size, direction, names and errors', () => {
  const { run } = testSession();
  const text = run('help ioas-map');
  assert.match(text, /^ +4 u32 +in +flags {2}\(FIXED_IOVA \| WRITEABLE \| READABLE\)$/m);
  assert.match(text, /^ +32 u64 +in\/out iova$/m);
  assert.match(text, /^ {2}EEXIST +FIXED_IOVA/m);
  assert.match(run('help EEXIST'), /^ {2}vdevice-alloc/m);
  assert.match(run('help bind'), 'VFIO node');
  for (const word of ['open', 'memory', 'objects', 'ioas-alloc', 'hwpt-invalidate']) {
    assert.match(run('help'), new RegExp(`^ {2}${word}\\b`, 'm'));
  }
});

test('history tells commands with their results', () => {
  const { run } = testSession();
  run('open; destroy 3');
  const text = run('history');
  assert.match(text, '1  open  -> 0');
  assert.match(text, '2  destroy 3  -> ENOENT');
});

test('completion knows commands, fields, names of values, and names', () => {
  const { run, state } = testSession();
  run('open; ioas-alloc');
  const hits = (line: string): string[] => complete(state, line)[0];
  assert.equal(hits('hwpt-al'), ['hwpt-alloc ']);
  assert.equal(hits('open; ioas-cop'), ['ioas-copy ']);
  assert.equal(hits('hwpt-alloc --fl'), ['--flags']);
  assert.equal(hits('hwpt-alloc --flags nest'), ['nest-parent']);
  assert.equal(hits('hwpt-alloc flags=pasid|dirt'), ['flags=pasid|dirty-tracking']);
  assert.equal(hits('hwpt-alloc --data vtd'), ['vtd-s1']);
  assert.equal(hits('hwpt-alloc --data vtd-s1 pgt'), ['pgtbl_addr=']);
  assert.equal(hits('destroy @io'), ['@ioas']);
  assert.equal(hits('test-cmd trigger-io'), ['trigger-iopf']);
  assert.equal(hits('test-cmd trigger-iopf addr'), ['addr=']);
  assert.equal(hits('bind vfio1'), ['vfio1']);
});

test('at a terminal a mistake is told and the session goes on', async () => {
  const { io } = testSession();
  let out = '';
  let err = '';
  const terminal = {
    ...io,
    outIsTerminal: true,
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
  };
  const input = Object.assign(new PassThrough(), { isTTY: true });
  input.end('opne\nopen\nquit\nioas-alloc\n');
  const settings = { commands: [], json: false, strict: false, brief: true };
  const machine = driverMachine('mock', { memoryBytes: 2 ** 26 });
  await runSession(machine, input, terminal, settings, new PassThrough());
  assert.match(err, 'did you mean "open"?');
  assert.match(out, 'open /dev/iommu -> 0');
  assert.not.match(out, 'out_ioas_id');
});

test.run();
