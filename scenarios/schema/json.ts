/** The scenario schema as JSON Schema (draft 2020-12), for editors and for `iommusim schema`. */
import { z } from 'zod';
import { SWEEP_JSON_SCHEMA } from '../sweep.ts';
import { scenarioType } from './scenario.ts';
import { stepJsonSchema } from './step-schema.ts';

const EXTENDS = {
  description: 'Preset names or files that this mapping builds on; its own keys win.',
  anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }],
};

type Json = Record<string, unknown>;

/** JSON Schema of a scenario file. */
export function scenarioJsonSchema(): Json {
  const schema = z.toJSONSchema(scenarioType, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => finish(jsonSchema as Json),
  }) as Json;
  const properties = schema.properties as Json;
  properties.sweep = SWEEP_JSON_SCHEMA;
  return {
    title: 'iommusim scenario',
    ...schema,
    $defs: { extends: EXTENDS, step: stepJsonSchema() },
  };
}

/**
 * Unknown keys are errors, and any mapping with fixed keys may extend files; so no key is required,
 * and `kind` may come from a preset.
 */
function finish(schema: Json): void {
  if (schema.written !== undefined) schema.default = schema.written;
  delete schema.written;
  if (schema.oneOf !== undefined) {
    schema.anyOf = schema.oneOf;
    delete schema.oneOf;
  }
  if (schema.type !== 'object' || schema.properties === undefined) return;
  delete schema.required;
  schema.additionalProperties = false;
  schema.properties = { extends: { $ref: '#/$defs/extends' }, ...(schema.properties as Json) };
}
