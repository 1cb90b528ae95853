import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { explainWalk } from './explain.ts';
import { resolveText } from './memory-files.ts';
import type { Explanation } from './run-api.ts';

const NO_CACHES = `
iommu:
  arch: riscv
  caches:
    nested: { sets: 0, ways: 0 }
    walk: { all: { sets: 0, ways: 0 } }
`;
const NESTED = `
domains:
  - { name: guest, translation: nested, stage1: Sv48, stage2: Sv48x4 }
devices:
  - { name: nic, domain: guest, master: { kind: pattern, window: 64KiB } }
`;

function explain(text: string, iova?: bigint, write = false): Explanation {
  const scenario = resolveText(text);
  const mapped = explainWalk(scenario, { device: 'nic', iova: 0x1000n, write }).mapped ?? [];
  return explainWalk(scenario, { device: 'nic', iova: iova ?? mapped[0].iova, write });
}

const readsOf = ({ references }: Explanation) =>
  references.filter(({ stage, source }) => stage !== 'context' && source === 'memory');

test('a nested Sv48/Sv48x4 walk without caches reads 24 entries', () => {
  const explanation = explain(NESTED + NO_CACHES);
  assert.is(readsOf(explanation).length, 24);
  assert.is(explanation.references.filter(({ stage }) => stage === 'stage1').length, 4);
  assert.is.not(explanation.output, null);
});

test('with walk caches the same entries are listed, and those saved cost nothing', () => {
  const plain = explain(NESTED + NO_CACHES);
  const cached = explain(`${NESTED}iommu: { arch: riscv, caches: { walk: { all: { sets: 8 } } } }`);
  const addresses = ({ references }: Explanation) => references.map(({ address }) => address);
  assert.equal(addresses(cached), addresses(plain));
  assert.ok(readsOf(cached).length < 24);
  const saved = cached.references.filter(({ source }) => source.endsWith('cache'));
  assert.ok(saved.length > 0);
  assert.ok(saved.every(({ cost_ps }) => cost_ps === 0));
  assert.is(cached.output, plain.output);
});

test('the total is the sum of the references and of what is listed beside them', () => {
  const { references, other = [], total_ps } = explain(NESTED + NO_CACHES);
  const sum = [...references, ...other].reduce((total, { cost_ps }) => total + cost_ps, 0);
  assert.is(total_ps, sum);
});

test('context structures come first, from the root of the directory down', () => {
  const { references } = explain(NESTED + NO_CACHES);
  const context = references
    .slice(0, 3)
    .map(({ stage, name, level }) => `${stage} ${name} ${level}`);
  assert.equal(context, ['context DDT 2', 'context DDT 1', 'context DDT 0']);
});

test('the context entry says which tables are walked', () => {
  const { references } = explain(NESTED + NO_CACHES);
  assert.is(references[2].meaning, 'Sv48/Sv48x4');
});

test('a page that is not mapped ends in the fault of the architecture, at the entry that says so', () => {
  const { output, fault, references } = explain(NESTED + NO_CACHES, 0x5000n, true);
  assert.is(output, null);
  assert.is(fault, 'cause 15, write/AMO page fault');
  assert.is(references.at(-1)?.meaning, 'not present');
});

test('VT-d reads root and context entry, and has its own faults', () => {
  const text = `
iommu: { arch: vtd }
domains:
  - { name: kernel, translation: stage2, stage2: SS4 }
devices:
  - { name: nic, domain: kernel, master: { kind: pattern, window: 64KiB } }
`;
  const { references, output } = explain(text);
  assert.is.not(output, null);
  assert.equal(
    references.slice(0, 2).map(({ name }) => name),
    ['root', 'context'],
  );
  assert.is(references.length, 6);
  assert.is(explain(text, 0x5000n).fault, 'reason 6, read not permitted');
});

test('a device whose unit is switched off reaches memory as it is', () => {
  const { output, references } = explain(`${NESTED}iommu: { enabled: false }`, 0x1000n);
  assert.is(output, 0x1000n);
  assert.is(references.length, 0);
});

test.run();
