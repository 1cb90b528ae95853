/** Kinds of vector files, told apart by their first line. */
import { iommufdSuite } from './iommufd/suite.ts';
import { STEP_SUITES } from './step-suites.ts';
import type { Suite } from './suite.ts';

export const SUITES: readonly Suite[] = [...STEP_SUITES, iommufdSuite];
