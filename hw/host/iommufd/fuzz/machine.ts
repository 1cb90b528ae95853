/**
 * The machine that random programs on /dev/iommu run on: mock devices, VFIO devices behind drivers
 * on paper, and an address space with every kind of memory that a call can be pointed at.
 */
import { invariant } from '../../../../sim/errors.ts';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  type MmapArguments,
} from '../../kernel/mmap.ts';
import { Syscalls } from '../../kernel/syscalls.ts';
import { type TestKernel, testKernel } from '../../kernel/testbench.ts';
import { PROT_READ, PROT_WRITE } from '../../kernel/vma.ts';
import type { Context } from '../context.ts';
import type { IommuDevice } from '../driver.ts';
import { MOCK_COMMANDS } from '../drivers/mock/test-commands.ts';
import { createPaperDriver } from '../drivers/paper/create.ts';
import { CMDQV_FEATURES } from '../drivers/paper/smmuv3-unit.ts';
import { IommuGroup } from '../iommu-core/group.ts';
import { type IommufdFile, openIommufd } from '../iommufd-file.ts';
import { VfioDeviceFile } from '../vfio/cdev.ts';
import { PhysicalBackend, VfioDevice } from '../vfio/device.ts';

const MEMORY_BYTES = 32 << 20;
const FD_LIMIT = 48;
const PAGE = 4096;
const RW = PROT_READ | PROT_WRITE;
const MFD_HUGETLB = 4;
const HUGE_BYTES = 2 << 20;
const MOST_PASIDS = 4096;

export interface Region {
  readonly address: number;
  readonly bytes: number;
}

/** Where arguments and their data are; the page after it is unmapped. */
export const ARGUMENTS: Region = { address: 0x2000_0000, bytes: 16 * PAGE };
export const READ_ONLY: Region = { address: 0x2010_0000, bytes: 2 * PAGE };
export const UNREADABLE: Region = { address: 0x2020_0000, bytes: 4 * PAGE };
/** What goes away and comes back while it may be mapped. */
export const SHAKY: Region = { address: 0x1100_0000, bytes: 16 * PAGE };
const SHARED: Region = { address: 0x1000_0000, bytes: 64 * PAGE };
const OWN: Region = { address: 0x1010_0000, bytes: 32 * PAGE };
const FILE: Region = { address: 0x1020_0000, bytes: 16 * PAGE };
const HUGE: Region = { address: 0x1040_0000, bytes: HUGE_BYTES };
/** Memory that a program may want its devices to reach. */
export const SOURCES: readonly Region[] = [SHARED, OWN, FILE, HUGE, SHAKY, READ_ONLY, UNREADABLE];

export class FuzzMachine {
  readonly bench: TestKernel = testKernel({ bytes: MEMORY_BYTES, fdLimit: FD_LIMIT });
  /** The process that calls now: the first one, or its child. */
  calls: Syscalls;
  child: Syscalls | null = null;
  /** Descriptors of files that can be mapped. */
  readonly files: readonly number[];
  readonly devicePaths: readonly string[];
  private readonly contextFiles = new Set<IommufdFile>();

  constructor() {
    const { kernel, calls } = this.bench;
    this.calls = calls;
    kernel.registerNode('/dev/iommu', () => this.openContext('/dev/iommu'));
    kernel.registerNode('/dev/vfio/vfio', () => this.openContext('/dev/vfio/vfio'));
    this.devicePaths = this.devices().map((device) => this.registerDevice(device));
    const memfd = calls.memfdCreate().value;
    const huge = calls.memfdCreate(MFD_HUGETLB).value;
    this.files = [memfd, huge, calls.open('/dev/null').value];
    calls.ftruncate(memfd, FILE.bytes);
    calls.ftruncate(huge, HUGE.bytes);
    for (const region of [ARGUMENTS, SHARED, SHAKY]) this.map(region, RW);
    this.map(OWN, RW, { flags: MAP_PRIVATE | MAP_ANONYMOUS });
    this.map(READ_ONLY, PROT_READ);
    this.map(UNREADABLE, 0);
    this.map(FILE, RW, { flags: MAP_SHARED, fd: memfd });
    this.map(HUGE, RW, { flags: MAP_SHARED, fd: huge });
  }

  /** Contexts that are open, also those that only a device or queue holds. */
  get contexts(): readonly Context[] {
    for (const file of this.contextFiles) {
      if (file.refs === 0) this.contextFiles.delete(file);
    }
    return [...this.contextFiles].map(({ context }) => context);
  }

  map({ address, bytes }: Region, prot: number, more: Partial<MmapArguments> = {}): void {
    const { flags = MAP_SHARED | MAP_ANONYMOUS, ...rest } = more;
    const request = { address, length: bytes, prot, ...rest, flags: flags | MAP_FIXED };
    const { errno, rule } = this.bench.calls.mmap(request);
    invariant(errno === 0, `memory of the fuzzer: ${rule}`);
  }

  fork(): void {
    const { kernel } = this.bench;
    const process = kernel.processes.get(this.bench.calls.fork().value);
    if (process !== undefined) this.child = new Syscalls(kernel, process);
  }

  /** All processes exit. */
  end(): void {
    for (const process of [...this.bench.kernel.processes.values()]) process.exit();
  }

  private openContext(path: string): IommufdFile {
    const file = openIommufd(this.bench.kernel, path, MOCK_COMMANDS);
    this.contextFiles.add(file);
    return file;
  }

  private devices(): IommuDevice[] {
    const { memory } = this.bench.kernel;
    const options = { maxPasids: MOST_PASIDS };
    const vtd = createPaperDriver('vtd', { memory });
    const smmu = createPaperDriver('smmuv3', { memory });
    const amd = createPaperDriver('amd', { memory, nestedReachable: true });
    return [
      vtd.addDevice('vtd0', vtd.addUnit(), options),
      vtd.addDevice('vtd1', vtd.addUnit({ firstStage: false }), options),
      smmu.addDevice('smmu0', smmu.addUnit({ cmdqv: CMDQV_FEATURES }), { ...options, stream: 7 }),
      smmu.addDevice('smmu1', smmu.addUnit(), { ...options, stream: 9 }),
      amd.addDevice('amd0', amd.addUnit(), options),
    ];
  }

  private registerDevice(device: IommuDevice): string {
    const { kernel } = this.bench;
    const group = new IommuGroup(kernel.memory);
    group.addDevice(device);
    const vfio = new VfioDevice(device.name, new PhysicalBackend(device, group));
    const path = `/dev/vfio/devices/${device.name}`;
    kernel.registerNode(path, () => new VfioDeviceFile(kernel, vfio));
    return path;
  }
}
