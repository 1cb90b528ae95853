import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { problemsIn, resolveText, SMALL } from './memory-files.ts';

test('a scenario extends a preset by name; its own keys win, mappings are merged', () => {
  const preset = 'seed: 5\nrun: { for: 1ms, warmup: 10us }\n';
  const scenario = resolveText(`extends: server\nrun: { for: 2ms }\n${SMALL}`, [], {
    'home/presets/server.yaml': preset,
  });
  assert.is(scenario.seed, 5);
  assert.is(scenario.run.for, 2e9);
  assert.is(scenario.run.warmup, 1e7);
});

test('of several files the later wins', () => {
  const scenario = resolveText(`extends: [one, presets/two]\n${SMALL}`, [], {
    'home/presets/one.yaml': 'seed: 1\nclock: 1GHz\n',
    'home/presets/two.yaml': 'seed: 2\n',
  });
  assert.is(scenario.seed, 2);
  assert.is(scenario.clock, 1e9);
});

test('a file beside the scenario is found before a preset, and extends further files', () => {
  const scenario = resolveText(`extends: ./base.yaml\n${SMALL}`, [], {
    'base.yaml': 'extends: deep\nclock: 3GHz\n',
    'deep.yaml': 'seed: 7\n',
    'home/presets/deep.yaml': 'seed: 8\n',
  });
  assert.is(scenario.seed, 7);
  assert.is(scenario.clock, 3e9);
});

test('any mapping may extend a file: a device takes its link and traffic from a preset', () => {
  const scenario = resolveText(
    'domains: [{ name: d }]\ndevices: [{ extends: fast, name: n, domain: d }]\n',
    [],
    { 'home/presets/fast.yaml': 'link: { rate: 400Gb/s }\nmaster: { kind: pattern }\n' },
  );
  assert.is(scenario.devices[0].link.rate, 400e9);
});

test('lists are replaced, not merged', () => {
  const scenario = resolveText(`extends: base\n${SMALL}`, [], {
    'home/presets/base.yaml': 'domains: [{ name: a }, { name: b }]\n',
  });
  assert.equal(
    scenario.domains.map(({ name }) => name),
    ['guest'],
  );
});

test('circular extends is an error that shows the circle', () => {
  const [problem] = problemsIn(`extends: ./b.yaml\n${SMALL}`, [], {
    'b.yaml': 'extends: ./a.yaml\n',
  });
  assert.is(problem, 'b.yaml:1:10: extends: circular extends: a.yaml -> b.yaml -> a.yaml');
});

test('a file that extends itself is an error', () => {
  const [problem] = problemsIn(`extends: ./a.yaml\n${SMALL}`);
  assert.match(problem, 'circular extends: a.yaml -> a.yaml');
});

test('an unknown preset names the nearest one and where was looked', () => {
  const [problem] = problemsIn(`extends: sever\n${SMALL}`, [], { 'home/presets/server.yaml': '' });
  assert.match(problem, /^a\.yaml:1:10: extends: no such file or preset "sever"/);
  assert.match(problem, 'did you mean "server"?');
  assert.match(problem, 'home/presets/sever.yaml');
});

test('a mistake in a preset is shown in the file of the preset', () => {
  const [problem] = problemsIn(`extends: server\n${SMALL}`, [], {
    'home/presets/server.yaml': 'seed: 1\nclok: 2GHz\n',
  });
  assert.match(problem, /^home\/presets\/server\.yaml:2:1: clok: unknown key .*"clock"/);
});

test('extends takes names only', () => {
  assert.match(problemsIn(`extends: 3\n${SMALL}`)[0], 'expected the name of a preset or a file');
});

test.run();
