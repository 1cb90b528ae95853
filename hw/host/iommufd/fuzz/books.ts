/**
 * Whether the counters of a kernel agree with what its contexts hold: pinned pages, pages charged
 * to users and processes, and nothing at all when everything is closed.
 */
import { InternalError } from '../../../../sim/errors.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { UserProcess } from '../../kernel/process.ts';
import type { Pages } from '../iopt/pages.ts';
import { Ioas } from '../objects/ioas.ts';
import type { FuzzMachine } from './machine.ts';

function wrong(what: string): never {
  throw new InternalError('fuzz-ioctl', what);
}

/** Between two calls. */
export function checkBooks(machine: FuzzMachine): void {
  const { pins, memory } = machine.bench.kernel;
  const { user } = machine.bench.process;
  let pinned = 0;
  let locked = 0;
  for (const pages of pagesOf(machine)) {
    if (pages.pinned !== pages.charged) wrong(`${pages.pinned} pinned, ${pages.charged} charged`);
    if (pages.pinned < 0 || pages.refs <= 0) wrong('pages that nobody refers to');
    pinned += pages.pinned;
    if (pages.mode === 'user') locked += pages.charged;
  }
  if (pins.total !== pinned) wrong(`${pins.total} pins, but pages objects have ${pinned}`);
  if (user.lockedPages !== locked) wrong(`${user.lockedPages} pages locked, not ${locked}`);
  if (memory.bytes < 0 || memory.allocations < 0) wrong('kernel memory below zero');
}

function pagesOf(machine: FuzzMachine): Set<Pages> {
  const found = new Set<Pages>();
  for (const context of machine.contexts) {
    for (const object of context.objects.objects()) {
      if (!(object instanceof Ioas)) continue;
      const { areas } = object.table;
      for (let area = areas.first; area !== null; area = areas.next(area)) found.add(area.pages);
    }
  }
  return found;
}

/** After the last process has exited. */
export function checkNothingLeft(kernel: Kernel, first: UserProcess): void {
  const { memory, pins } = kernel;
  const left = {
    bytes: memory.bytes,
    allocations: memory.allocations,
    pins: pins.total,
    frames: pins.inUse,
    lockedPages: first.user.lockedPages,
    pinnedVm: first.space.pinnedVm,
    lockedVm: first.space.lockedVm,
  };
  for (const [what, count] of Object.entries(left)) {
    if (count !== 0) wrong(`${count} ${what} are left after the last close`);
  }
}
