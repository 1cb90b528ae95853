/** Figures of the programs of a machine, their system calls, and what the kernel still holds. */
import { PAGE_SIZE } from '../hw/host/kernel/api.ts';
import type { Program } from '../hw/host/programs/program.ts';
import { latencyFigures } from './collect.ts';
import type { Machine } from './machine/machine.ts';
import type { UserSpace } from './machine/user-space.ts';
import type { CallFigures, IommufdFigures, ProgramFigures, RunStats } from './stats.ts';

type UserSpaceFigures = Pick<RunStats, 'programs' | 'ioctl' | 'kernel' | 'iommufd'>;

/** Nothing when the scenario has no programs. */
export function userSpaceFigures({ userSpace, clock }: Machine): UserSpaceFigures {
  if (userSpace === null) return {};
  const { programs, kernel } = userSpace;
  const program = (one: Program): ProgramFigures => ({
    steps: one.steps,
    calls: one.calls,
    refused: one.refused,
    checks: one.checks,
    failed_checks: one.failedChecks,
    finished: one.finished,
    elapsed_ps: clock.ps(one.endedAt),
    values: Object.fromEntries([...one.names].map(([name, value]) => [name, plainValue(value)])),
    failures: one.failures,
  });
  const calls = [...programs.book.calls].map(
    ([name, { latency, errors, byErrno }]): [string, CallFigures] => [
      name,
      { ...latencyFigures(latency, clock), errors, by_errno: Object.fromEntries(byErrno) },
    ],
  );
  return {
    programs: Object.fromEntries(programs.list.map((one) => [one.name, program(one)])),
    ioctl: Object.fromEntries(calls.sort(([a], [b]) => (a < b ? -1 : 1))),
    kernel: {
      pinned_pages: kernel.pins.total,
      charged_bytes: kernel.memory.bytes,
      charged_peak_bytes: kernel.memory.peakBytes,
      allocations: kernel.memory.allocations,
      frames_in_use: kernel.pins.inUse,
    },
    iommufd: driverFigures(userSpace),
  };
}

function plainValue(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : `0x${value.toString(16)}`;
}

function driverFigures({ figures }: UserSpace): IommufdFigures | null {
  if (figures === null) return null;
  return {
    domains: figures.domains,
    table_frames: figures.tables,
    table_frames_in_use: figures.tablesInUse,
    table_peak_bytes: figures.tablesPeak * PAGE_SIZE,
    map_calls: figures.mapCalls,
    unmap_calls: figures.unmapCalls,
    entries_written: figures.entriesWritten,
    invalidations: figures.invalidations,
    broadcasts: figures.broadcasts,
    shared_attachments: figures.sharedAttachments,
  };
}
