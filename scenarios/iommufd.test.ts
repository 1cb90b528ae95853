/** Every scenario of /dev/iommu ends as it says, in each of its points. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scenarioHome } from './extends.ts';
import { loadScenario } from './loader.ts';
import { runScenario } from './runner.ts';

const FOLDER = join(scenarioHome(), 'iommufd');
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));

test('each row of the seed table has its scenarios', () => {
  for (const seed of ['000', '001', '002', '003', '004']) {
    assert.ok(
      FILES.some((name) => name.startsWith(`${seed}-`)),
      `no scenario of seed ${seed}`,
    );
  }
});

test('the index of the folder names each file once', () => {
  const index = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  const named = [...index.matchAll(/\]\(([\w-]+\.yaml)\)/g)].map(([, name]) => name);
  assert.equal([...named].sort(), [...FILES].sort());
});

for (const file of FILES) {
  test(`${file}: its expectations are met`, async () => {
    for (const { name, scenario } of loadScenario(join(FOLDER, file)).points) {
      const { expectations } = await runScenario(scenario, {
        threads: 1,
        traceLevel: 'off',
      });
      assert.ok(expectations.length > 2);
      for (const { path, pass, expected, measured } of expectations) {
        assert.ok(pass, `${name ?? file}: ${path}: expected ${expected}, measured ${measured}`);
      }
    }
  });
}

test.run();
