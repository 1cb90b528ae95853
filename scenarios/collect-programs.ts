/** Figures of the programs of a machine, their system calls, and what the kernel still holds. */
import { PAGE_SIZE } from '../hw/host/kernel/api.ts';
import type { Program } from '../hw/host/programs/program.ts';
import type { PageRequester } from '../hw/pcie/page-requester.ts';
import { Histogram } from '../sim/stats/histogram.ts';
import type { Clock } from '../sim/time/clock.ts';
import { latencyFigures } from './collect.ts';
import type { Machine } from './machine/machine.ts';
import type { UserSpace } from './machine/user-space.ts';
import type { CallFigures, IommufdFigures, ProgramFigures, RunStats } from './stats.ts';

type UserSpaceFigures = Pick<
  RunStats,
  'programs' | 'ioctl' | 'kernel' | 'iommufd' | 'page_requests'
>;

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
      attach_misfits: kernel.attaching.misfits,
      fresh_misfits: kernel.attaching.freshMisfits,
    },
    iommufd: driverFigures(userSpace),
    ...pageRequestFigures(userSpace, clock),
  };
}

function plainValue(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : `0x${value.toString(16)}`;
}

function pageRequestFigures(
  { pageRequests }: UserSpace,
  clock: Clock,
): Pick<RunStats, 'page_requests'> {
  if (pageRequests === null) return {};
  const { requesters, service, overflows } = pageRequests;
  const devices = requesters.flatMap((requester) => requester ?? []);
  const total = (of: (requester: PageRequester) => number): number =>
    devices.reduce((sum, requester) => sum + of(requester), 0);
  const responses = (code: string): number =>
    total((requester) => requester.responses.get(code) ?? 0);
  const latency = new Histogram();
  for (const requester of devices) latency.merge(requester.latency);
  return {
    page_requests: {
      sent: total(({ sent }) => sent),
      serviced: service.statistics.requests,
      interrupts: service.statistics.interrupts,
      overflows,
      success: responses('SUCCESS'),
      invalid: responses('INVALID'),
      failure: responses('FAILURE'),
      unanswered: total(({ unanswered }) => unanswered),
      unexpected: total(({ unexpected }) => unexpected),
      latency: latencyFigures(latency, clock),
    },
  };
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
