/**
 * Who pays for pinned pages (iopt_pages_update_pinned). Every mode shows in the process's pinned_vm;
 * what is limited by RLIMIT_MEMLOCK is the user's locked pages, or in VFIO's manner the locked_vm of
 * the address space, or nothing where the process may lock memory at will (CAP_IPC_LOCK).
 */
import type { Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import type { AccountMode } from '../context.ts';

export type ChargeMode = 'none' | AccountMode;

/** Mode of pages that a process maps through a context. */
export function chargeMode(process: Process, mode: AccountMode): ChargeMode {
  return process.capabilities.ipcLock ? 'none' : mode;
}

/** Counts pages more; ENOMEM, with nothing counted, where the limit is passed. */
export function charge(mode: ChargeMode, owner: Process, pages: number): void {
  if (mode === 'user') {
    const locked = owner.user.lockedPages + pages;
    if (locked > owner.memlockPages) overLimit('the user', locked, owner.memlockPages);
    owner.user.lockedPages = locked;
  } else if (mode === 'mm') {
    const locked = owner.space.lockedVm + pages;
    if (locked > owner.memlockPages) overLimit('the process', locked, owner.memlockPages);
    owner.space.lockedVm = locked;
  }
  owner.space.pinnedVm += pages;
}

export function uncharge(mode: ChargeMode, owner: Process, pages: number): void {
  if (mode === 'user') owner.user.lockedPages -= pages;
  else if (mode === 'mm') owner.space.lockedVm -= pages;
  owner.space.pinnedVm -= pages;
}

function overLimit(whose: string, pages: number, limit: number): never {
  fail('ENOMEM', `${whose} would have ${pages} pages locked, RLIMIT_MEMLOCK is ${limit}`);
}
