/**
 * For tests: functional units on one memory with a kernel, their drivers for /dev/iommu, and a
 * client in a process. Doorbells run the command queue at once; caches are real.
 */

import { defaults } from '../../../../../sim/spec.ts';
import { pageNumber, pnHi, pnLo } from '../../../../address.ts';
import type { IommuUnit, UnitPorts } from '../../../../iommu/architecture.ts';
import { type DeviceMessage, REQUEST_UNTRANSLATED } from '../../../../iommu/architecture.ts';
import { ContextCache } from '../../../../iommu/caches/context-cache.ts';
import { Iotlb, iotlbArrays } from '../../../../iommu/caches/iotlb.ts';
import { WalkCaches } from '../../../../iommu/caches/walk-caches.ts';
import {
  type FunctionalCaches,
  FunctionalIommu,
  NO_CACHES,
  OUTCOME_FAULT,
} from '../../../../iommu/functional.ts';
import { DEFAULT_RISCV_SPEC, type RiscvIommuSpec } from '../../../../iommu/riscv/capabilities.ts';
import { RiscvIommu } from '../../../../iommu/riscv/unit.ts';
import { type VtdIdentity, vtdIdentity, vtdSpec } from '../../../../iommu/vtd/spec.ts';
import { VtdUnit } from '../../../../iommu/vtd/unit.ts';
import { PhysicalMemory } from '../../../../memory/physical-memory.ts';
import type { DriverPorts, HostDriver } from '../../../drivers/driver.ts';
import { DEFAULT_RISCV_DRIVER, RiscvDriver } from '../../../drivers/riscv.ts';
import { VtdDriver } from '../../../drivers/vtd.ts';
import { FrameAllocator } from '../../../frames.ts';
import { Kernel } from '../../../kernel/kernel.ts';
import type { UserProcess } from '../../../kernel/process.ts';
import { Syscalls } from '../../../kernel/syscalls.ts';
import { SafetyChecker } from '../../../safety.ts';
import { type CallReport, callByName } from '../../client/call.ts';
import { KernelProcess } from '../../client/kernel-process.ts';
import { Scratch } from '../../client/process.ts';
import type { CallFields } from '../../client/request.ts';
import { ImmediateSync } from '../../hardware-sync.ts';
import { type IommufdFile, openIommufd } from '../../iommufd-file.ts';
import { VfioDeviceFile } from '../../vfio/cdev.ts';
import { PhysicalBackend, VfioDevice } from '../../vfio/device.ts';
import type { HardwarePorts } from './core.ts';
import type { HardwareDevice } from './device.ts';

const MEMORY_BYTES = 256 * 2 ** 20;
const TABLES = { base: 0x80000, frames: 0x8000 };
/** Not a multiple of 2 MiB: large pages need luck. */
const USER = { base: 0x200001, frames: 0x7fff };

export interface BenchUnit<D extends HostDriver = HostDriver> {
  readonly unit: IommuUnit;
  readonly driver: D;
  readonly iommu: FunctionalIommu;
  /** Messages to devices: page responses. */
  readonly messages: DeviceMessage[];
  /** Page number that a device's access arrives at; -1: a fault. */
  translate(deviceId: number, page: number, access: number): number;
}

export class HardwareBench {
  readonly memory: PhysicalMemory = PhysicalMemory.create({ bytes: MEMORY_BYTES });
  readonly frames: FrameAllocator = new FrameAllocator(TABLES);
  readonly kernel: Kernel;
  readonly process: UserProcess;
  readonly calls: Syscalls;
  readonly safety: SafetyChecker = new SafetyChecker();
  readonly sync: ImmediateSync = new ImmediateSync();
  /** Descriptor of the /dev/iommu. */
  readonly fd: number;
  readonly file: IommufdFile;
  private readonly cached: boolean;
  private readonly client: KernelProcess;
  private readonly scratch: Scratch;
  private domains = 0;

  /** `cached`: units have caches. */
  constructor(cached = true) {
    this.cached = cached;
    this.kernel = new Kernel({ memory: this.memory, frames: new FrameAllocator(USER) });
    this.kernel.registerNode('/dev/iommu', () => openIommufd(this.kernel, '/dev/iommu'));
    this.process = this.kernel.createProcess({ capabilities: ALL_CAPABILITIES });
    this.calls = new Syscalls(this.kernel, this.process);
    this.client = new KernelProcess(this.calls);
    this.scratch = new Scratch(this.client);
    this.fd = this.calls.open('/dev/iommu').value;
    this.file = this.process.file(this.fd) as IommufdFile;
  }

  ports(changes: Partial<HardwarePorts> = {}): HardwarePorts {
    const { kernel, memory, frames, sync, safety } = this;
    const nextDomain = () => this.domains++;
    return { services: kernel, memory, frames, sync, nextDomain, observer: safety, ...changes };
  }

  vtd(changes: Partial<VtdIdentity> = {}): BenchUnit<VtdDriver> {
    const identity = { ...vtdIdentity(defaults(vtdSpec)), ...changes };
    return this.unit(
      (ports) => new VtdUnit(identity, ports),
      (ports) => new VtdDriver(ports),
    );
  }

  riscv(spec: RiscvIommuSpec = DEFAULT_RISCV_SPEC): BenchUnit<RiscvDriver> {
    const options = { ...DEFAULT_RISCV_DRIVER, pageRequestEntries: 64 };
    return this.unit(
      (ports) => new RiscvIommu(spec, ports),
      (ports) => new RiscvDriver(ports, options),
    );
  }

  /** Opens the device's VFIO file and binds it; the id of the device object, or the error's name. */
  bind(device: HardwareDevice): { fd: number; id: number; error: string } {
    const path = `/dev/vfio/devices/${device.name}`;
    const vfio = new VfioDevice(device.name, new PhysicalBackend(device, device.group));
    this.kernel.registerNode(path, () => new VfioDeviceFile(this.kernel, vfio));
    const fd = this.calls.open(path).value;
    const report = this.callOn(fd, 'VFIO_DEVICE_BIND_IOMMUFD', { iommufd: this.fd });
    return { fd, id: Number(report.out.out_devid ?? -1), error: report.error };
  }

  /** An ioctl on /dev/iommu by name. */
  call(name: string, fields: CallFields = {}): CallReport {
    return this.callOn(this.fd, name, fields);
  }

  callOn(fd: number, name: string, fields: CallFields): CallReport {
    return callByName(this.client, this.scratch, fd, name, fields);
  }

  /** As `call` where it has to succeed; the answered field. */
  ok(name: string, fields: CallFields, answer = ''): number {
    return this.okOn(this.fd, name, fields, answer);
  }

  okOn(fd: number, name: string, fields: CallFields, answer = ''): number {
    const report = this.callOn(fd, name, fields);
    if (report.errno !== 0) throw new Error(`${name}: ${report.error}: ${report.rule}`);
    return answer === '' ? 0 : Number(report.out[answer]);
  }

  /** Anonymous memory, whole pages. */
  alloc(bytes: number): bigint {
    return this.client.anonymous(bytes);
  }

  /** Frame of a user page. */
  frameAt(address: bigint): number {
    return this.process.space.resolve(address, true);
  }

  private unit<D extends HostDriver>(
    makeUnit: (ports: UnitPorts) => IommuUnit,
    makeDriver: (ports: DriverPorts) => D,
  ): BenchUnit<D> {
    const { memory, frames } = this;
    const messages: DeviceMessage[] = [];
    let iommu: FunctionalIommu | null = null;
    const unit = makeUnit({
      memory,
      storeInterrupt: () => {},
      setInterruptLine: () => {},
      doorbell: () => iommu?.processCommands(),
      flushAll: () => iommu?.flushAll(),
      deviceMessage: (message) => messages.push(message),
    });
    iommu = new FunctionalIommu(unit, memory, this.cached ? caches() : NO_CACHES);
    const { registers } = unit;
    const driver = makeDriver({ registers, memory, frames, nextDomain: () => this.domains++ });
    driver.initialise();
    const made = iommu;
    const request = { deviceId: 0, pasid: -1, kind: REQUEST_UNTRANSLATED, access: 0, hi: 0, lo: 0 };
    const translate = (deviceId: number, page: number, access: number): number => {
      const at = { ...request, deviceId, access, hi: pnHi(page), lo: pnLo(page), offset: 0 };
      const outcome = made.translate(at);
      return outcome.kind === OUTCOME_FAULT ? -1 : pageNumber(outcome.outHi, outcome.outLo);
    };
    return { unit, driver, iommu, messages, translate };
  }
}

const ALL_CAPABILITIES = { ipcLock: true, sysResource: true, sysRawio: true };

function caches(): FunctionalCaches {
  const geometry = { sets: 16, ways: 4, policy: 'lru' } as const;
  const levels = [geometry, geometry, geometry, geometry, geometry];
  return {
    iotlb: new Iotlb(iotlbArrays(geometry, 'unified')),
    contexts: new ContextCache(geometry),
    walks: new WalkCaches({
      stage1: levels,
      stage2: levels,
      nested: iotlbArrays(geometry, 'unified'),
      nestedFinal: true,
    }),
  };
}
