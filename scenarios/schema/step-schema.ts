/** JSON Schema of a step: an editor completes ioctls, their fields and the names of flags. */
import {
  IOCTLS,
  type IoctlSpec,
  PLAIN_IOCTLS,
  TEST_FORMS,
} from '../../hw/host/iommufd/uapi/ioctls.ts';
import type { Layout } from '../../hw/host/iommufd/uapi/layout.ts';
import { symbolsOf } from '../../hw/host/iommufd/uapi/symbols.ts';
import { ERRNO } from '../../hw/host/kernel/errno.ts';
import { type Argument, VERBS, type VerbSpec } from '../../hw/host/programs/verbs.ts';

type Json = Record<string, unknown>;

const STEP: Json = { $ref: '#/$defs/step' };
const STEPS: Json = { type: 'array', items: STEP };

const MODIFIER_SCHEMAS: Json = {
  as: {
    description: 'Name of what is answered, or names with the fields that they stand for.',
    anyOf: [{ type: 'string' }, { type: 'object', additionalProperties: { type: 'string' } }],
  },
  expect: {
    description: 'Name of the error number that must come, or fields and what they must be.',
    anyOf: [{ enum: ['success', ...Object.keys(ERRNO)] }, { type: 'object' }],
  },
  on: {
    description: 'Descriptor that the ioctl goes to; $iommu if not given.',
    type: ['string', 'integer'],
  },
  tail: {
    description: "Bytes after the ioctl's structure.",
    type: 'array',
    items: { type: 'integer', minimum: 0, maximum: 255 },
  },
  pointer: {
    description: "Where the ioctl's argument is, instead of in memory that the program has.",
    type: ['string', 'integer'],
  },
  steps: { ...STEPS, description: 'Steps of repeat and fork.' },
  when: {
    description: 'The step is left out where this is 0: a $name, or a sum.',
    type: ['string', 'integer'],
  },
};

export function stepJsonSchema(): Json {
  const properties: Json = {};
  for (const [name, spec] of Object.entries(IOCTLS)) properties[name] = ioctlSchema(spec);
  for (const [name, { help }] of Object.entries(PLAIN_IOCTLS)) {
    const arg = { description: 'The argument.', type: ['string', 'integer'] };
    properties[name] = object(`ioctl: ${help}.`, { arg });
  }
  for (const [name, verb] of Object.entries(VERBS)) properties[name] = verbSchema(verb);
  return object('One step of a program.', { ...properties, ...MODIFIER_SCHEMAS });
}

function object(description: string, properties: Json): Json {
  return { description, type: ['object', 'null'], properties, additionalProperties: false };
}

function ioctlSchema(spec: IoctlSpec): Json {
  const forms = spec === IOCTLS.TEST_CMD ? Object.values(TEST_FORMS) : [spec.layout];
  const properties: Json = {};
  for (const layout of forms) {
    for (const name of Object.keys(layout.fields)) properties[name] ??= fieldSchema(layout, name);
  }
  if (spec.data !== null) {
    properties.data ??= {
      description: 'What its pointer points to: fields of a structure, or a list.',
    };
  }
  return object(`ioctl: ${spec.help}.`, properties);
}

function fieldSchema(layout: Layout, name: string): Json {
  const symbols = symbolsOf(layout.name, name);
  const { kind } = layout.fields[name];
  if (symbols === undefined) return { description: `${kind} of ${layout.name}` };
  const names = Object.keys(symbols.names).join(symbols.kind === 'flags' ? ' | ' : ', ');
  return { description: `${kind} of ${layout.name}: ${names}` };
}

function verbSchema(verb: VerbSpec): Json {
  const properties: Json = {};
  for (const [name, argument] of Object.entries(verb.args)) {
    properties[name] = argumentSchema(argument);
  }
  const main = verb.args[verb.main];
  if (main.kind === 'comparison') return { description: verb.doc, type: 'object' };
  return { description: verb.doc, anyOf: [argumentSchema(main), object(verb.doc, properties)] };
}

function argumentSchema({ kind, doc, names, choices }: Argument): Json {
  switch (kind) {
    case 'flag':
      return { description: doc, type: 'boolean' };
    case 'count':
      return { description: doc, type: 'integer', minimum: 0 };
    case 'value':
      return { description: doc, type: ['string', 'integer'] };
    case 'choice':
      return { description: doc, enum: [...(choices ?? [])] };
    case 'values':
      return { description: doc, type: 'array', items: { type: ['string', 'integer'] } };
    case 'fields':
      return { description: doc, type: 'object' };
    case 'names': {
      const name = { enum: Object.keys(names ?? {}) };
      return {
        description: doc,
        anyOf: [name, { type: 'array', items: name }, { type: 'integer' }],
      };
    }
    default:
      return { description: doc, type: 'string' };
  }
}
