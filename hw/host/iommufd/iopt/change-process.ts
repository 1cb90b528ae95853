/**
 * Who pays for pinned pages changes hands (IOMMU_IOAS_CHANGE_PROCESS): the new owner is charged for
 * all of them before the old ones are relieved, so that a refusal changes nothing.
 */
import type { Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import { type ChargeMode, charge, uncharge } from './accounting.ts';
import type { AreaTable } from './area-table.ts';
import type { Pages } from './pages.ts';

const MODES: readonly ChargeMode[] = ['none', 'user', 'mm'];

export function changeProcess(tables: readonly AreaTable[], process: Process): void {
  const all = filePages(tables);
  const moving = all.filter((pages) => changesAccount(pages, process));
  let charged = 0;
  try {
    for (; charged < MODES.length; charged++) {
      const pinned = pinnedIn(moving, MODES[charged]);
      if (pinned > 0) charge(MODES[charged], process, pinned);
    }
  } catch (error) {
    for (let at = 0; at < charged; at++) {
      uncharge(MODES[at], process, pinnedIn(moving, MODES[at]));
    }
    throw error;
  }
  for (const pages of moving) uncharge(pages.mode, pages.owner, pages.pinned);
  for (const pages of all) pages.owner = process;
}

/** All pages objects behind areas; EINVAL where one is bound to a process's memory. */
function filePages(tables: readonly AreaTable[]): Pages[] {
  const found = new Set<Pages>();
  for (const { areas } of tables) {
    for (let area = areas.first; area !== null; area = areas.next(area)) {
      if (area.pages.kind !== 'file') {
        fail('EINVAL', `memory of kind ${area.pages.kind} cannot change to another process`);
      }
      found.add(area.pages);
    }
  }
  return [...found];
}

/** need_charge_update; pinned_vm counts in every mode, so the address space always matters. */
function changesAccount({ owner, mode }: Pages, process: Process): boolean {
  if (owner.space !== process.space) return true;
  return mode === 'user' && owner.user !== process.user;
}

function pinnedIn(all: readonly Pages[], mode: ChargeMode): number {
  let pinned = 0;
  for (const pages of all) if (pages.mode === mode) pinned += pages.pinned;
  return pinned;
}
