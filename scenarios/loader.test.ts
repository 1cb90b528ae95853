import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../sim/errors.ts';
import { loadScenario } from './loader.ts';
import { memoryFiles, problemsIn, resolveText, SMALL } from './memory-files.ts';

function onlyProblem(text: string, set: readonly string[] = []): string {
  const problems = problemsIn(text, set);
  assert.is(problems.length, 1, problems.join('\n'));
  return problems[0];
}

test('a resolved scenario has every parameter, in canonical units', () => {
  const scenario = resolveText(`run: { for: 2us }\nclock: 1.2GHz\n${SMALL}`);
  assert.is(scenario.run.for, 2_000_000);
  assert.is(scenario.clock, 1_200_000_000);
  assert.is(scenario.name, 'a');
  assert.is(scenario.seed, 1);
  assert.type(scenario.iommu.caches.iotlb.ways, 'number');
  assert.is(scenario.devices[0].link.max_payload, 256);
  assert.equal(JSON.parse(JSON.stringify(scenario)), scenario);
});

test('an unknown key is shown at its own column, with the nearest valid key and all of them', () => {
  const problem = onlyProblem(`iommu:\n  caches:\n    iotlb: { sets: 64, wayz: 4 }\n${SMALL}`);
  assert.match(problem, /^a\.yaml:3:24: iommu\.caches\.iotlb\.wayz: unknown key/);
  assert.match(problem, 'did you mean "ways"?');
  assert.match(problem, 'valid keys: sets, ways, policy');
});

test('an unknown key at the top is found as well', () => {
  assert.match(onlyProblem(`sed: 3\n${SMALL}`), /^a\.yaml:1:1: sed: .*did you mean "seed"/);
});

test('a bare number for a duration is an error that says so', () => {
  const problem = onlyProblem(`run: { for: 330 }\n${SMALL}`);
  assert.match(problem, /^a\.yaml:1:13: run\.for: expected a duration with a unit/);
  assert.match(problem, 'the bare number 330 has none (did you mean "330ns"?)');
});

test('a wrong unit is an error that lists the units', () => {
  const problem = onlyProblem(`run: { for: 3 parsecs }\n${SMALL}`);
  assert.match(problem, 'unknown unit "parsecs"');
  assert.match(problem, 'ps, ns, us, ms, s');
});

test('a unit of another dimension is refused', () => {
  assert.match(onlyProblem(`run: { for: 3MiB }\n${SMALL}`), 'unknown unit "MiB"');
});

test('a value outside its range names the range in units', () => {
  assert.match(onlyProblem(`clock: 3Hz\n${SMALL}`), 'expected a value from 1MHz to 1000GHz');
});

test('a count takes whole numbers only', () => {
  assert.match(onlyProblem(`seed: 1.5\n${SMALL}`), 'expected a whole number; got 1.5');
  assert.match(onlyProblem(`seed: many\n${SMALL}`), 'expected a whole number; got "many"');
});

test('a choice names the choices and the nearest one', () => {
  const problem = onlyProblem(`iommu: { arch: riskv }\n${SMALL}`);
  assert.match(problem, 'expected one of riscv, vtd; got "riskv" (did you mean "riscv"?)');
});

test('a flag written as a word says what is meant', () => {
  assert.match(onlyProblem(`iommu: { enabled: off }\n${SMALL}`), '(did you mean false?)');
});

test('impossible geometries are errors: sets no power of two, pseudo-LRU of three ways', () => {
  const sets = onlyProblem(`iommu: { caches: { iotlb: { sets: 63 } } }\n${SMALL}`);
  assert.match(sets, 'iommu.caches.iotlb.sets: expected a power of two, like 32 or 64; got 63');
  const ways = onlyProblem(`iommu: { caches: { context: { ways: 3, policy: plru } } }\n${SMALL}`);
  assert.match(ways, 'pseudo-LRU needs a power of two of ways; got 3');
});

test('a cache with sets but without ways is refused', () => {
  const problem = onlyProblem(`iommu: { caches: { nested: { ways: 0 } } }\n${SMALL}`);
  assert.match(problem, 'iommu.caches.nested.ways: 16 sets of 0 ways hold nothing');
});

test('a table format of another architecture is refused', () => {
  const vtd = 'iommu: { arch: vtd }\ndomains: [{ name: d, translation: stage2, stage2: Sv48x4 }]\n';
  const devices = 'devices: [{ name: n, domain: d, master: { kind: pattern } }]\n';
  assert.match(onlyProblem(vtd + devices), 'vtd knows SS3, SS4, SS5; got Sv48x4');
});

test('first-stage translation is refused on legacy vtd', () => {
  assert.match(
    onlyProblem(`iommu: { arch: vtd }\n${SMALL}`),
    'vtd in legacy mode has no first stage',
  );
});

test('a device in a domain that does not exist names the nearest domain', () => {
  const problem = onlyProblem(SMALL.replace('domain: guest', 'domain: gest'));
  assert.match(problem, 'no domain "gest" (did you mean "guest"?); domains: guest');
});

test('what a unit refuses is shown at the section of that unit', () => {
  const problem = onlyProblem(SMALL.replace('kind: pattern', 'kind: pattern, size: 8MiB'));
  assert.match(problem, 'devices.0.master: pattern generator: size is larger than window');
});

test('a last-level cache with more DDIO ways than ways, or without a set, is refused', () => {
  const ways = onlyProblem(`memory: { ddio_ways: 20 }\n${SMALL}`);
  assert.match(ways, 'a.yaml:1:9: memory: ddio_ways 20: the cache has 16 ways');
  assert.match(onlyProblem(`memory: { llc_size: 64B }\n${SMALL}`), 'holds no set of 16 lines');
});

test('a NIC with more queues than the host has cores is refused', () => {
  const text = `host: { cores: 2 }\n${SMALL.replace('kind: pattern', 'kind: nic, queues: 3')}`;
  assert.match(onlyProblem(text), 'devices.0.master.queues: queue i is served by core i');
});

test('an unknown kind of master names the kinds', () => {
  const problem = onlyProblem(SMALL.replace('kind: pattern', 'kind: patern'));
  assert.match(problem, 'devices.0.master');
  assert.match(problem, 'got "patern" (did you mean "pattern"?)');
});

test('a missing key says what is missing', () => {
  const problem = onlyProblem(SMALL.replace('name: nic, ', ''));
  assert.match(problem, 'devices.0.name: expected text; got nothing');
});

test('a list where a mapping belongs, and a mapping where a list belongs, are errors', () => {
  assert.match(
    onlyProblem(`run: [1]\n${SMALL}`),
    'run: expected a mapping (for, max_dmas, warmup)',
  );
  assert.match(onlyProblem('domains: {}\ndevices: []'), 'domains: expected a list; got a mapping');
});

test('all mistakes of a file are reported at once, in the order of the text', () => {
  const problems = problemsIn(`sed: 3\nrun: { for: 3 }\niommu: { arch: x }\n${SMALL}`);
  assert.equal(
    problems.map((p) => p.split(':')[1]),
    ['1', '2', '3'],
  );
});

test('a duplicate key is an error that names the first one', () => {
  const problem = onlyProblem(`seed: 1\nclock: 2GHz\nseed: 2\n${SMALL}`);
  assert.is(problem, 'a.yaml:3:1: seed: duplicate key; first given on line 1');
});

test('a syntax error has its line and column', () => {
  assert.match(problemsIn('name: [1, 2\nseed: 3\n')[0], /^a\.yaml:2:\d+: /);
});

test('an empty file and a file that is no mapping are errors', () => {
  assert.match(onlyProblem(''), 'expected a mapping of scenario keys');
  assert.match(onlyProblem('- 1\n'), 'expected a mapping of scenario keys');
});

test('JSON is read as well', () => {
  const text = JSON.stringify({
    domains: [{ name: 'd', translation: 'passthrough' }],
    devices: [{ name: 'n', domain: 'd', master: { kind: 'pattern' } }],
  });
  assert.is(resolveText(text).devices[0].name, 'n');
});

test('replicas are written out and find their own domain', () => {
  const scenario = resolveText(`
domains: [{ name: 'guest{i}', count: 3, translation: nested }]
devices: [{ name: nic, count: 3, domain: 'guest{i}', master: { kind: pattern } }]
`);
  assert.equal(
    scenario.devices.map(({ name, domain }) => `${name} ${domain}`),
    ['nic.0 guest0', 'nic.1 guest1', 'nic.2 guest2'],
  );
});

test('more devices than the device directory has entries are refused', () => {
  const directory = (format: string) =>
    `iommu: { riscv: { directory_levels: 1, directory_format: ${format} } }\n`;
  const devices = SMALL.replace('name: nic,', "name: 'nic{i}', count: 65,");
  assert.match(
    onlyProblem(directory('extended') + devices),
    'iommu.riscv.directory_levels: the device directory holds ids below 64',
  );
  assert.is(resolveText(directory('base') + devices).devices.length, 65);
});

test('two devices with one name are refused', () => {
  const text = `${SMALL}  - { name: nic, domain: guest, master: { kind: pattern } }\n`;
  assert.match(onlyProblem(text), 'the name "nic" is taken by devices.0');
});

test('walk caches take what all of them say, then what their level says', () => {
  const walk = '{ all: { sets: 4 }, stage1: { l1: { ways: 16 } } }';
  const { stage1, stage2 } = resolveText(`iommu: { caches: { walk: ${walk} } }\n${SMALL}`).iommu
    .caches.walk;
  assert.equal([stage1.l1.sets, stage1.l1.ways], [4, 16]);
  assert.equal([stage2.l1.sets, stage2.l1.ways], [4, 4]);
});

test('--set overrides, by index or by name, and wins over the file', () => {
  const set = ['seed=9', 'devices.nic.link.rate=100Gb/s', 'devices[0].master.size=128B'];
  const scenario = resolveText(`seed: 3\n${SMALL}`, set);
  assert.is(scenario.seed, 9);
  assert.is(scenario.devices[0].link.rate, 100e9);
  const { master } = scenario.devices[0];
  assert.is(master.kind === 'pattern' && master.size, 128);
});

test('an error in an override names the override', () => {
  const wrongValue = onlyProblem(SMALL, ['run.for=3']);
  assert.match(wrongValue, /^--set run\.for=3: run\.for: expected a duration with a unit/);
  const wrongKey = onlyProblem(SMALL, ['iommu.cashes.iotlb.ways=3']);
  assert.match(wrongKey, '--set iommu.cashes.iotlb.ways=3: iommu.cashes: unknown key');
  assert.match(wrongKey, 'did you mean "caches"?');
});

test('an override without a value, or into something without keys, is an error', () => {
  assert.is(onlyProblem(SMALL, ['seed']), '--set seed: expected key.path=value');
  assert.match(onlyProblem(`seed: 1\n${SMALL}`, ['seed.x=1']), '"seed" is the single value 1');
  assert.match(onlyProblem(SMALL, ['devices.nik.domain=x']), 'no item "nik" in "devices"');
});

const RECORDED = `
recording: { folder: data/linux }
domains: [{ name: kernel, translation: stage2 }]
devices: [{ name: nvme, domain: kernel, master: { kind: recorded, requester: '01:00.0' } }]
`;

test('a recording is found beside the file that names it, or from the current folder', () => {
  const files = memoryFiles({ 'folder/a.yaml': RECORDED });
  const folderOf = (set: readonly string[]): string =>
    loadScenario('folder/a.yaml', { set, files }).points[0].scenario.recording.folder;
  assert.is(folderOf([]), 'folder/data/linux');
  assert.is(folderOf(['recording.folder=../captures/x']), '../captures/x');
});

test('a recorded device needs a recording, and a recording a device', () => {
  const without = onlyProblem(RECORDED.replace(/recording: .*/, ''));
  assert.match(without, 'recording.folder: expected a capture folder');
  assert.match(
    onlyProblem(`recording: { folder: x }${SMALL}`),
    'no device has master.kind recorded',
  );
  assert.match(onlyProblem(RECORDED.replace('01:00.0', '1:0')), 'expected bus:device.function');
});

test('--seed is an override like any other', () => {
  const files = memoryFiles({ 'a.yaml': SMALL });
  assert.is(loadScenario('a.yaml', { seed: 42, files }).points[0].scenario.seed, 42);
});

test('a file that does not exist is bad input', () => {
  assert.throws(
    () => loadScenario('none.yaml', { files: memoryFiles({}) }),
    (error: unknown) => error instanceof InputError && error.message === 'none.yaml: no such file',
  );
});

test.run();
