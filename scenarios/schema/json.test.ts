import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { z } from 'zod';
import { scenarioHome } from '../extends.ts';
import { SMALL } from '../memory-files.ts';
import { parseSource, toPlain } from '../source.ts';
import { scenarioJsonSchema } from './json.ts';
import { scenarioType } from './scenario.ts';

type Json = Record<string, unknown>;

/** Every mapping of the schema with fixed keys. */
function mappings(schema: unknown): Json[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own = (schema as Json).properties === undefined ? [] : [schema as Json];
  return [...own, ...Object.values(schema).flatMap(mappings)];
}

test('the schema is plain JSON and knows the sections', () => {
  const schema = scenarioJsonSchema();
  assert.equal(JSON.parse(JSON.stringify(schema)), schema);
  const keys = Object.keys(schema.properties as Json);
  for (const key of ['extends', 'run', 'iommu', 'domains', 'devices', 'expect', 'sweep']) {
    assert.ok(keys.includes(key), key);
  }
});

test('every mapping refuses unknown keys, every parameter has a sentence', () => {
  const all = mappings(scenarioJsonSchema());
  assert.ok(all.length > 10);
  for (const mapping of all) {
    const keys = Object.keys(mapping.properties as Json);
    assert.is(mapping.additionalProperties, false, `open mapping: ${keys.join(', ')}`);
    for (const [key, value] of Object.entries(mapping.properties as Record<string, Json>)) {
      const known = value.description ?? value.$ref ?? value.const ?? value.type;
      assert.ok(known !== undefined, `${key} has no description`);
    }
  }
});

test('defaults in the schema are written as a person writes them, and mean the default', () => {
  const schema = scenarioJsonSchema() as { properties: Record<string, { default?: unknown }> };
  assert.is(schema.properties.clock.default, '2GHz');
  const plain = toPlain(parseSource(SMALL, 'a.yaml')) as Json;
  const bare = scenarioType.parse(plain);
  const written = scenarioType.parse({ ...plain, clock: schema.properties.clock.default });
  assert.equal(written, bare);
});

test('scenarios/schema.json is what the declarations say', () => {
  const kept = JSON.parse(readFileSync(join(scenarioHome(), 'schema.json'), 'utf8'));
  assert.equal(kept, scenarioJsonSchema(), 'run: npx iommusim schema > scenarios/schema.json');
});

test('an editor that knows the schema accepts every scenario and refuses an unknown key', () => {
  const schema = z.fromJSONSchema(scenarioJsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
  const names = ['', 'iommufd'].flatMap((folder) =>
    readdirSync(join(scenarioHome(), folder))
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => join(folder, name)),
  );
  for (const name of names) {
    const result = schema.safeParse(parse(readFileSync(join(scenarioHome(), name), 'utf8')));
    assert.ok(result.success, `${name}: ${result.error?.message}`);
  }
  assert.not.ok(schema.safeParse(parse(`sed: 3\n${SMALL}`)).success);
  assert.not.ok(
    schema.safeParse(parse(SMALL.replace('master: {', 'master: { sise: 64B,'))).success,
  );
});

test.run();
