/**
 * The statistics of a run: what `stats.json` holds, what `--json` prints and what `expect:` names by
 * dotted path. Names end in the unit (`_ps`, `_bps`, `_bytes`, `_hz`, `_per_s`); a name without one
 * is a count, a `_rate` is a share of one. Keys are only ever added within a schema number.
 */

export const STATS_SCHEMA = 'iommusim.stats/1';

/** A latency distribution. All zero when `count` is zero. */
export interface LatencyFigures {
  readonly count: number;
  readonly min_ps: number;
  readonly mean_ps: number;
  readonly p50_ps: number;
  readonly p90_ps: number;
  readonly p95_ps: number;
  readonly p99_ps: number;
  readonly p999_ps: number;
  readonly max_ps: number;
}

/** A cache or TLB. `hit_rate` is hits / lookups (0 without lookups). */
export interface CacheFigures {
  readonly lookups: number;
  readonly hits: number;
  readonly misses: number;
  /** Misses that joined one already in flight for the same page (part of `misses`). */
  readonly merged?: number;
  /** Absent for walk caches, as is `invalidated`. */
  readonly evictions?: number;
  /** Entries dropped by invalidation. */
  readonly invalidated?: number;
  readonly hit_rate: number;
}

/** A bounded resource: time-weighted mean and maximum of what was in use. */
export interface OccupancyFigures {
  readonly capacity: number;
  /** Absent where only the maximum is observed. */
  readonly mean?: number;
  readonly max: number;
}

/** DMAs of one device or of all. */
export interface DmaFigures {
  readonly count: number;
  readonly reads: number;
  readonly writes: number;
  readonly bytes: number;
  /** DMAs aborted by the IOMMU. */
  readonly aborted: number;
  /** Payload bits of completed DMAs over the measured time. */
  readonly throughput_bps: number;
  readonly rate_per_s: number;
  readonly latency: LatencyFigures;
  /** Total time per wait reason (hw/pcie/transactions.ts); the sum is the sum of all latencies. */
  readonly waits_ps: Readonly<Record<string, number>>;
  readonly iotlb_hit_rate: number;
}

/** A device: its DMAs and what its link did. */
export interface DeviceFigures extends DmaFigures {
  readonly domain: string;
  /** What the device itself counts, named by its kind: `packets_received`, `packets_dropped`, ... */
  readonly master?: Readonly<Record<string, number>>;
  /** Share of the measured time in which the link carried something. */
  readonly link_up_rate?: number;
  readonly link_down_rate?: number;
}

/** Table reads at one level of one stage. */
export interface WalkLevelFigures {
  /** `context`, `stage1`, `stage2`. */
  readonly stage: string;
  /** Level in the stage's table, the root highest, 0 the last. */
  readonly level: number;
  /** What is read there, as the specification calls it. */
  readonly name: string;
  /** Reads of memory. */
  readonly references: number;
  /** Reads that a walk cache made unnecessary. */
  readonly skipped: number;
  readonly mean_ps: number;
}

export interface WalkFigures {
  readonly count: number;
  readonly faults: number;
  readonly references: number;
  readonly references_per_walk: number;
  readonly latency: LatencyFigures;
  readonly levels: readonly WalkLevelFigures[];
  /** By cache name: `context`, `stage1.l1`, `stage2.l0`, `nested`, ... */
  readonly caches: Readonly<Record<string, CacheFigures>>;
  readonly slots: OccupancyFigures;
}

export interface CommandFigures {
  readonly count: number;
  readonly by_name: Readonly<Record<string, number>>;
  /** Fences: from the fetch to the completion. */
  readonly latency: LatencyFigures;
  /** From the driver's request to its acknowledgement, waiting on the queue included. */
  readonly invalidation: LatencyFigures;
}

export interface FaultFigures {
  readonly count: number;
  /** Recorded in the fault queue or registers. */
  readonly recorded: number;
  readonly overflowed: number;
  /** By the architecture's name of the cause. */
  readonly by_cause: Readonly<Record<string, number>>;
}

export interface IommuFigures {
  readonly arch: string;
  readonly requests: number;
  readonly outstanding: OccupancyFigures;
  readonly contexts: CacheFigures;
  readonly iotlb: CacheFigures;
  readonly walks: WalkFigures;
  readonly commands: CommandFigures;
  readonly faults: FaultFigures;
}

export interface MemoryFigures {
  readonly reads: number;
  readonly writes: number;
  readonly llc: CacheFigures;
  readonly dram_reads: number;
  readonly dram_writes: number;
  readonly dram_busy_rate: number;
}

export interface HostFigures {
  readonly maps: number;
  readonly unmaps: number;
  readonly flushes: number;
  readonly map: LatencyFigures;
  readonly unmap: LatencyFigures;
  /** Busy share of all cores over the measured time. */
  readonly busy_rate: number;
}

/** What the checker saw: the tables' truth against the translations used. */
export interface SafetyFigures {
  /** Translations used after their unmapping was acknowledged. Must be zero. */
  readonly stale_uses: number;
  /** Translations used between unmapping and acknowledgement. */
  readonly exposed_uses: number;
  /** Pages unmapped but still usable, summed over time. */
  readonly exposure_page_ps: number;
  /** Pages that were unmapped, and the longest time until one was acknowledged. */
  readonly exposed_pages: number;
  readonly exposure_max_ps: number;
}

/** A translation that came out otherwise than recorded. */
export interface MismatchFigures {
  /** Line of the recording's file, from 0. */
  readonly event: number;
  readonly requester: string;
  readonly iova: string;
  readonly expected: string;
  /** Null: the access was refused. */
  readonly got: string | null;
}

/** How the playing of a recording went. */
export interface RecordingFigures {
  readonly folder: string;
  /** Events of the recording that were considered; those played are counted by kind. */
  readonly events: number;
  /** Attaches, maps, unmaps, accesses and commands among them that were not played. */
  readonly not_played: number;
  readonly attaches: number;
  readonly maps: number;
  readonly unmaps: number;
  readonly translations: number;
  readonly commands: number;
  readonly fences: number;
  /** Translations that differ from the recorded ones. Must be zero. */
  readonly mismatches: number;
  readonly first_mismatches: readonly MismatchFigures[];
  /** How often each rule of scenarios/recording/order.ts was applied to the recorded order. */
  readonly order: Readonly<Record<string, number>>;
}

/** What became of a program. */
export interface ProgramFigures {
  readonly steps: number;
  readonly calls: number;
  /** Calls that came back with an error number, expected or not. */
  readonly refused: number;
  readonly checks: number;
  readonly failed_checks: number;
  readonly finished: boolean;
  /** From the start of the run to its end; 0 where it did not end. */
  readonly elapsed_ps: number;
  /** What its names stood for at the end; hexadecimal where a number is not exact. */
  readonly values: Readonly<Record<string, number | string>>;
  /** File, line and what was found, of the first checks that failed. */
  readonly failures: readonly string[];
}

/** A system call of all programs: its latency from the entry to the answer. */
export interface CallFigures extends LatencyFigures {
  readonly errors: number;
  readonly by_errno: Readonly<Record<string, number>>;
}

/** What the kernel holds when the run ends: nothing, when all programs ended and nothing leaks. */
export interface KernelFigures {
  readonly pinned_pages: number;
  readonly charged_bytes: number;
  readonly charged_peak_bytes: number;
  readonly allocations: number;
  readonly frames_in_use: number;
  /** Page tables of an address space that were EINVAL for a device, so that the next was tried. */
  readonly attach_misfits: number;
  /** Page tables made for a device that were EINVAL for it all the same: drivers are not to. */
  readonly fresh_misfits: number;
}

/** What the driver of the IOMMU did for /dev/iommu, over all units and domains. */
export interface IommufdFigures {
  /** Page tables that were made: those of the program and automatic ones. */
  readonly domains: number;
  /** Frames that tables took over the whole run, those in use at its end, and their most bytes. */
  readonly table_frames: number;
  readonly table_frames_in_use: number;
  readonly table_peak_bytes: number;
  /** Calls of the driver's map and unmap: an address space calls each of its domains. */
  readonly map_calls: number;
  readonly unmap_calls: number;
  /** Table entries set and cleared. */
  readonly entries_written: number;
  /** Invalidations asked of units: a domain asks each unit that has devices in it. */
  readonly invalidations: number;
  /** Those of them that a second or later unit of the same domain needed. */
  readonly broadcasts: number;
  /** Attachments to a domain that another unit has devices in too. */
  readonly shared_attachments: number;
}

/** Page requests of devices that travel through the unit's queue. */
export interface PageRequestFigures {
  readonly sent: number;
  /** Taken off the queue and routed by the driver; those that the unit answered itself are not. */
  readonly serviced: number;
  readonly interrupts: number;
  /** Times that the driver found the queue had been full. */
  readonly overflows: number;
  /** Responses at the devices, by code: the unit's own among them. */
  readonly success: number;
  readonly invalid: number;
  readonly failure: number;
  /** Groups without a response, and responses that no group waits for. */
  readonly unanswered: number;
  readonly unexpected: number;
  /** From the last request of a group to its response, at the device. */
  readonly latency: LatencyFigures;
}

/** How the run went on this machine. The only figures that depend on the machine. */
export interface EngineFigures {
  readonly threads: number;
  readonly wall_seconds: number;
  readonly events: number;
  readonly events_per_s: number;
  readonly dmas_per_s: number;
  readonly partitions: number;
  readonly windows: number;
  /** Seconds that the main thread waited for workers at window boundaries. */
  readonly wait_seconds: number;
  /** Sum of the threads' busy seconds over `wall_seconds`. */
  readonly speedup: number;
}

export interface RunStats {
  readonly schema: typeof STATS_SCHEMA;
  readonly version: string;
  readonly scenario: string;
  /** Name of the sweep point, null outside a sweep. */
  readonly point: string | null;
  readonly seed: number;
  readonly time: {
    /** End of the simulation and length of the part that is measured (after `run.warmup`). */
    readonly simulated_ps: number;
    readonly measured_ps: number;
    readonly cycles: number;
    readonly clock_hz: number;
    /** What ended the run: `time`, `dmas`, `finished` (the masters had no more work), `stalled`. */
    readonly end: string;
  };
  readonly dma: DmaFigures;
  readonly devices: Readonly<Record<string, DeviceFigures>>;
  /** Null when the scenario switches the unit off. */
  readonly iommu: IommuFigures | null;
  readonly memory: MemoryFigures;
  readonly host: HostFigures;
  readonly safety: SafetyFigures;
  /** Null (in older statistics: absent) when the scenario plays no recording. */
  readonly recording?: RecordingFigures | null;
  /** By name; these four are absent when the scenario has no programs. */
  readonly programs?: Readonly<Record<string, ProgramFigures>>;
  readonly ioctl?: Readonly<Record<string, CallFigures>>;
  readonly kernel?: KernelFigures;
  /** Null with the mock driver, and without devices. */
  readonly iommufd?: IommufdFigures | null;
  /** Absent when no device sends page requests through hardware. */
  readonly page_requests?: PageRequestFigures;
  readonly engine: EngineFigures;
}
