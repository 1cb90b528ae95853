/** What is said about programs when a scenario is loaded: by file, line and column. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { problemsIn, resolveText } from '../memory-files.ts';

const HEAD = `iommufd: { driver: mock, devices: [{ name: nic0 }] }
programs:
  - name: vmm
    steps:
      - open: /dev/iommu
      - IOAS_ALLOC: {}
        as: ioas
`;

function onlyProblem(step: string): string {
  const problems = problemsIn(`${HEAD}      - ${step}\n`);
  assert.is(problems.length, 1, problems.join('\n'));
  return problems[0];
}

test('steps come out with their fields, names, expectations and places', () => {
  const text = `${HEAD}      - HWPT_ALLOC: { dev_id: 77, pt_id: $ioas }\n        expect: ENOENT\n`;
  const [{ steps }] = resolveText(text).programs;
  assert.equal(steps[0].as, { iommu: 'fd' });
  assert.equal(steps[1].as, { ioas: 'out_ioas_id' });
  assert.equal(steps[2].given, { dev_id: 77, pt_id: '$ioas' });
  assert.equal(steps[2].expect, { errno: 'ENOENT', values: {} });
  assert.is(steps[2].at, 'a.yaml:8');
});

test('a program is expected to end, without failed checks, unless the scenario says otherwise', () => {
  const { expect } = resolveText(`${HEAD}expect: { programs.vmm.failed_checks: 2 }\n`);
  assert.equal(expect, [
    { path: 'programs.vmm.failed_checks', value: 2 },
    { path: 'programs.vmm.finished', value: true },
  ]);
});

test('an address of 64 bits is exact', () => {
  const [{ steps }] = resolveText(
    `${HEAD}      - IOAS_UNMAP: { ioas_id: $ioas, iova: 0, length: 0xffffffffffffffff }\n`,
  ).programs;
  assert.is(steps[2].given.length, '0xffffffffffffffff');
});

test('an unknown ioctl, verb or modifier names the nearest one', () => {
  assert.match(onlyProblem('IOAS_MAPP: {}'), /^a\.yaml:8:\d+: .*did you mean "IOAS_MAP"/);
  assert.match(onlyProblem('IOMMU_IOAS_MAP: {}'), 'did you mean "IOAS_MAP"');
  assert.match(onlyProblem('bnid: nic0'), 'did you mean "bind"');
  assert.match(onlyProblem('{ close: $iommu, expct: EBADF }'), 'did you mean "expect"');
});

test('an unknown field, flag or operation names the nearest one', () => {
  assert.match(onlyProblem('IOAS_MAP: { ioas: $ioas }'), 'did you mean "ioas_id"');
  assert.match(onlyProblem('IOAS_MAP: { flags: [READBLE] }'), 'did you mean "READABLE"');
  assert.match(onlyProblem('TEST_CMD: { op: MOCK_DOMAN }'), 'did you mean "MOCK_DOMAIN"');
  const data = 'HWPT_ALLOC: { data_type: VTD_S1, data: { adr_width: 48 } }';
  assert.match(onlyProblem(data), 'did you mean "addr_width"');
});

test('a name must be defined before, a device must exist and be bound', () => {
  assert.match(onlyProblem('DESTROY: { id: $iaos }'), 'did you mean "ioas"');
  assert.match(onlyProblem('DESTROY: { id: $ioas + $hwpt }'), '$hwpt is not defined by an earlier');
  assert.match(onlyProblem('bind: nic1'), 'did you mean "nic0"');
  assert.match(onlyProblem('attach: { device: nic0, to: $ioas }'), '"bind: nic0" comes before');
  assert.match(onlyProblem('start: nic0'), 'no device with traffic');
});

test('a call that is expected to fail defines nothing', () => {
  const step = 'IOAS_ALLOC: {}\n        as: other\n        expect: EOPNOTSUPP';
  assert.match(onlyProblem(`${step}\n      - DESTROY: { id: $other }`), '$other is not defined');
});

test('answers: a name needs to know which, an expectation one that there is', () => {
  const mock = 'TEST_CMD: { op: MOCK_DOMAIN, id: $ioas }';
  assert.match(onlyProblem(`${mock}\n        as: dev`), 'write as: { dev: <field> }');
  assert.match(
    onlyProblem(`${mock}\n        as: { dev: out_idv_id }`),
    'did you mean "out_idev_id"',
  );
  assert.match(onlyProblem('IOAS_ALLOC: {}\n        expect: EINVL'), 'did you mean "EINVAL"');
  const unmap = 'IOAS_UNMAP: { ioas_id: $ioas }\n        expect: { lenght: 0 }';
  assert.match(onlyProblem(unmap), 'did you mean "length"');
});

test('arguments have their kinds: durations with a unit, values with their "$"', () => {
  assert.match(onlyProblem('delay: 10'), 'did you mean "10ns"');
  assert.match(onlyProblem('close: iommu'), 'did you mean "$iommu"');
  assert.match(onlyProblem('memory: 4096'), 'expected a size with a unit');
  assert.match(onlyProblem('repeat: 3'), 'repeat needs steps:');
  assert.match(onlyProblem('check: { pined_pages: 0 }'), 'did you mean "pinned_pages"');
});

test('values are names from the start; what a conditional step defines is not known behind it', () => {
  const [{ values }] = resolveText(HEAD.replace('vmm\n', 'vmm\n    values: { on: 1 }\n')).programs;
  assert.equal(values, { on: '1' });
  assert.match(onlyProblem('DESTROY: { id: $ioas }\n        when: $off'), '$off is not defined');
  assert.match(onlyProblem('delay: 1us\n        when: [1]'), 'expected a value');
  const later =
    'IOAS_ALLOC: {}\n        as: other\n        when: $ioas\n      - DESTROY: { id: $other }';
  assert.match(onlyProblem(later), '$other is not defined');
  const wrong = HEAD.replace('vmm\n', 'vmm\n    values: { on: $ioas, 1st: 2 }\n');
  assert.match(problemsIn(wrong).join(), 'expected a value without names');
  assert.match(problemsIn(wrong).join(), 'expected a name of letters and digits; got "1st"');
});

test.run();
