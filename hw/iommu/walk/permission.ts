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

/** Whether leaf bits permit reading, writing (dirty already set) and executing as asked. */
export function leafPermits(leaf: number, access: number): boolean {
  if ((access & ACCESS_REPORT) !== 0) {
    const write = (access & ACCESS_WRITE) !== 0 && (leaf & LEAF_W) !== 0;
    return !write || (leaf & LEAF_DIRTY) !== 0;
  }
  let needed = 0;
  if ((access & ACCESS_READ) !== 0) needed |= LEAF_R;
  if ((access & ACCESS_WRITE) !== 0) needed |= LEAF_W | LEAF_DIRTY;
  if ((access & ACCESS_EXECUTE) !== 0) needed |= LEAF_X;
  return (leaf & needed) === needed;
}

/** Whether the privilege of the access suits a first-stage leaf. */
export function privilegePermits(leaf: number, access: number): boolean {
  const user = (leaf & LEAF_USER) !== 0;
  if ((access & ACCESS_PRIVILEGED) === 0) return user;
  if (!user) return true;
  return (access & ACCESS_EXECUTE) === 0 && (leaf & LEAF_PRIVILEGED_USER) !== 0;
}

/** Whether the upper entries of a stage, as LEAF_* bits, leave the access a chance. */
export function upperPermits(upper: number, access: number): boolean {
  if ((access & ACCESS_PRIVILEGED) === 0 && (upper & LEAF_USER) === 0) return false;
  if ((access & ACCESS_REPORT) !== 0) return true;
  if ((access & ACCESS_READ) !== 0 && (upper & LEAF_R) === 0) return false;
  if ((access & ACCESS_WRITE) !== 0 && (upper & LEAF_W) === 0) return false;
  return (access & ACCESS_EXECUTE) === 0 || (upper & LEAF_X) !== 0;
}
