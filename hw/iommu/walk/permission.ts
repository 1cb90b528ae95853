/**
 * Whether what a cache holds of a leaf is enough for an access. If not, the tables are walked: the
 * walk finds the fault, sets the dirty bit, or finds that software has meanwhile permitted more.
 */
import {
  ACCESS_EXECUTE,
  ACCESS_PRIVILEGED,
  ACCESS_READ,
  ACCESS_REPORT,
  ACCESS_WRITE,
} from '../access.ts';
import { LEAF_DIRTY, LEAF_PRIVILEGED_USER, LEAF_R, LEAF_USER, LEAF_W, LEAF_X } from './format.ts';

// Asked on every hit. V8 folds module constants into the code but reads imported bindings on every
// use, so these have names of their own here.
const READ = ACCESS_READ;
const WRITE = ACCESS_WRITE;
const EXECUTE = ACCESS_EXECUTE;
const PRIVILEGED = ACCESS_PRIVILEGED;
const REPORT = ACCESS_REPORT;
const R = LEAF_R;
const W = LEAF_W;
const X = LEAF_X;
const USER = LEAF_USER;
const DIRTY = LEAF_DIRTY;
const PRIVILEGED_USER = LEAF_PRIVILEGED_USER;

/** Whether leaf bits permit reading, writing (dirty already set) and executing as asked. */
export function leafPermits(leaf: number, access: number): boolean {
  if ((access & REPORT) !== 0) {
    const write = (access & WRITE) !== 0 && (leaf & W) !== 0;
    return !write || (leaf & DIRTY) !== 0;
  }
  let needed = 0;
  if ((access & READ) !== 0) needed |= R;
  if ((access & WRITE) !== 0) needed |= W | DIRTY;
  if ((access & EXECUTE) !== 0) needed |= X;
  return (leaf & needed) === needed;
}

/** Whether the privilege of the access suits a first-stage leaf. */
export function privilegePermits(leaf: number, access: number): boolean {
  const user = (leaf & USER) !== 0;
  if ((access & PRIVILEGED) === 0) return user;
  if (!user) return true;
  return (access & EXECUTE) === 0 && (leaf & PRIVILEGED_USER) !== 0;
}

/** Whether the upper entries of a stage, as LEAF_* bits, leave the access a chance. */
export function upperPermits(upper: number, access: number): boolean {
  if ((access & PRIVILEGED) === 0 && (upper & USER) === 0) return false;
  if ((access & REPORT) !== 0) return true;
  if ((access & READ) !== 0 && (upper & R) === 0) return false;
  if ((access & WRITE) !== 0 && (upper & W) === 0) return false;
  return (access & EXECUTE) === 0 || (upper & X) !== 0;
}
