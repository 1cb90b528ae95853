/** Names of the fault reasons in legacy mode, after the VT-d specification's table of them. */
import * as R from './layout.ts';

const NAMES: ReadonlyMap<number, string> = new Map([
  [R.REASON_ROOT_NOT_PRESENT, 'root entry not present'],
  [R.REASON_CONTEXT_NOT_PRESENT, 'context entry not present'],
  [R.REASON_CONTEXT_INVALID, 'invalid context entry'],
  [R.REASON_ADDRESS_WIDTH, 'address beyond the guest address width'],
  [R.REASON_WRITE, 'write not permitted'],
  [R.REASON_READ, 'read not permitted'],
  [R.REASON_PAGING_ACCESS, 'paging entry could not be read'],
  [R.REASON_ROOT_ACCESS, 'root entry could not be read'],
  [R.REASON_CONTEXT_ACCESS, 'context entry could not be read'],
  [R.REASON_ROOT_RESERVED, 'reserved field set in a root entry'],
  [R.REASON_CONTEXT_RESERVED, 'reserved field set in a context entry'],
  [R.REASON_PAGING_RESERVED, 'reserved field set in a paging entry'],
  [R.REASON_TYPE_BLOCKED, 'request type blocked by the context entry'],
  [R.REASON_INTERRUPT_RANGE, 'request to the interrupt address range'],
]);

export function reasonName(reason: number): string {
  return NAMES.get(reason) ?? 'unknown reason';
}
