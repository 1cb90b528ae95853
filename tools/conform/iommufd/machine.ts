/**
 * The kernel that a case runs on: Linux with its mock IOMMU driver. Frames that no recording names
 * come from a range of their own, apart from each other: nothing is contiguous by accident.
 */
import { MOCK_COMMANDS } from '../../../hw/host/iommufd/drivers/mock/test-commands.ts';
import { openIommufd } from '../../../hw/host/iommufd/iommufd-file.ts';
import { PAGE_SIZE } from '../../../hw/host/kernel/api.ts';
import { NullFile } from '../../../hw/host/kernel/files.ts';
import { frameBytesOf, type PortBytes } from '../../../hw/host/kernel/frame-bytes.ts';
import type { FrameSource } from '../../../hw/host/kernel/frame-table.ts';
import { Kernel } from '../../../hw/host/kernel/kernel.ts';
import type { ProcessSpec } from '../../../hw/host/kernel/process.ts';
import { PhysicalMemory } from '../../../hw/memory/physical-memory.ts';
import type { RecordedCase, RecordedLayout } from './cases.ts';
import { prepareFuzzProgram } from './fuzz-memory.ts';
import { Program } from './program.ts';

/** Files that iommufd stands behind. */
const NODES = ['/dev/iommu', '/dev/vfio/vfio'] as const;

/** A kernel with the process that makes the first call; `layout`: of generated cases. */
export function bootCase(
  of: RecordedCase,
  layout: RecordedLayout | null,
  memory: CaseMemory,
): Program {
  const kernel = new Kernel({ memory: memory.port(), frames: memory.frames() });
  for (const path of NODES) {
    kernel.registerNode(path, () => openIommufd(kernel, path, MOCK_COMMANDS));
  }
  const programs = new Map<number, Program>();
  const shared = { programs, closesMissing: of.src === 'selftest', mapsItself: false };
  const program = new Program(kernel, kernel.createProcess(credentials(of)), shared);
  programs.set(0, program);
  for (const fd of [0, 1, 2]) program.process.setFd(fd, new NullFile());
  if (layout !== null) prepareFuzzProgram(program, layout);
  return program;
}

function credentials({ caps, memlock }: RecordedCase): ProcessSpec {
  const has = caps !== 'none';
  return {
    capabilities: { ipcLock: has, sysResource: has, sysRawio: has },
    ...(memlock !== null && { memlockPages: Math.floor(memlock / PAGE_SIZE) }),
  };
}

const MEMORY_BYTES = 128 * 1024 * 1024;
/** Page numbers above those of the machine that was recorded: of single frames and of runs. */
const SINGLE_FRAMES = 0x400_0000;
const FRAME_RUNS = 0x800_0000;

/** Physical memory for one case after the other: what a case is given has been zeroed. */
export class CaseMemory {
  private readonly memory: PhysicalMemory = PhysicalMemory.create({ bytes: MEMORY_BYTES });
  private readonly bytes: PortBytes = frameBytesOf(this.memory);

  port(): PhysicalMemory {
    return this.memory;
  }

  frames(): FrameSource {
    return new ZeroedFrames(this.bytes);
  }
}

class ZeroedFrames implements FrameSource {
  private readonly bytes: PortBytes;
  private single = SINGLE_FRAMES;
  private run = FRAME_RUNS;

  constructor(bytes: PortBytes) {
    this.bytes = bytes;
  }

  alloc(): number {
    this.single += 2;
    this.bytes.zero(this.single, 0, PAGE_SIZE);
    return this.single;
  }

  allocRun(count: number, align = 1): number {
    const first = Math.ceil(this.run / align) * align;
    this.run = first + count + 1;
    for (let i = 0; i < count; i++) this.bytes.zero(first + i, 0, PAGE_SIZE);
    return first;
  }

  /** A case is short: frames are not used again. */
  release(): void {}
}
