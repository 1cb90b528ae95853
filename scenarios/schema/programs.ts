/** The `programs:` section: processes with their credentials, and the steps of each. */
import { z } from 'zod';
import type { ProgramSpec, Step } from '../../hw/host/programs/step.ts';
import { bytes, count, flag, type Spec } from '../../sim/spec.ts';
import { dotted, type KeyPath, type Origin } from '../problem.ts';
import { listOf, requiredType, section, specShape } from './param.ts';
import { nameParam } from './specs.ts';
import { readSteps, readValues } from './step-reader.ts';

const processSpec: Spec = {
  core: count(0, 'Core that the program runs on.', { min: 0, max: 1023 }),
  uid: count(0, 'User, whose processes share a limit of locked memory.'),
  ipc_lock: flag(true, 'Capability IPC_LOCK: no limit of locked memory.'),
  sys_resource: flag(true, 'Capability SYS_RESOURCE: may choose how pinned pages are charged.'),
  sys_rawio: flag(true, 'Capability SYS_RAWIO.'),
  memlock: bytes('0B', 'RLIMIT_MEMLOCK; 0B = no limit.'),
};

const stepsType = z
  .any()
  .transform((input, context): Step[] =>
    readSteps(input, [], (path, message) =>
      context.issues.push({ code: 'custom', message, input, path: [...path] }),
    ),
  )
  .meta({
    type: 'array',
    items: { $ref: '#/$defs/step' },
    description: 'System calls and what is done between them, in order.',
  });

const valuesType = z
  .any()
  .transform((input, context): ProgramSpec['values'] =>
    readValues(input, (path, message) =>
      context.issues.push({ code: 'custom', message, input, path: [...path] }),
    ),
  )
  .default({})
  .meta({
    type: 'object',
    additionalProperties: { type: ['integer', 'string'] },
    description: 'Names that steps know from the start, and what they stand for.',
  });

const programType = section(
  {
    name: requiredType(nameParam),
    ...specShape(processSpec),
    values: valuesType,
    steps: stepsType,
  },
  'A process: opens /dev/iommu, makes objects, attaches devices. It ends with its last step.',
);

export const programsType: z.ZodType = listOf(
  programType,
  'Programs of system calls, each on a core.',
).default([]);

/** The programs with file and line of every step. */
export function withPlaces(
  programs: readonly ProgramSpec[],
  locate: (path: KeyPath) => Origin,
): ProgramSpec[] {
  return programs.map((program, i) => ({
    ...program,
    steps: placeSteps(program.steps, ['programs', i, 'steps'], locate),
  }));
}

function placeSteps(
  steps: readonly Step[],
  path: KeyPath,
  locate: (path: KeyPath) => Origin,
): Step[] {
  return steps.map((step, i) => {
    const here = [...path, i];
    const { file, line } = locate(here);
    const name = file.split(/[\\/]/).pop();
    return {
      ...step,
      at: line > 0 ? `${name}:${line}` : dotted(here),
      steps: placeSteps(step.steps, [...here, 'steps'], locate),
    };
  });
}
