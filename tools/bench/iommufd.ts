/**
 * Benchmarks of /dev/iommu without time: system calls on raw structures in user memory, as a
 * program makes them, on an IOAS with one domain of the mock driver.
 */

import { KernelProcess } from '../../hw/host/iommufd/client/kernel-process.ts';
import { IommuClient } from '../../hw/host/iommufd/client.ts';
import { MOCK_COMMANDS } from '../../hw/host/iommufd/drivers/mock/test-commands.ts';
import { type IommufdFile, openIommufd } from '../../hw/host/iommufd/iommufd-file.ts';
import type { HwptPaging } from '../../hw/host/iommufd/objects/hwpt-paging.ts';
import { encode } from '../../hw/host/iommufd/uapi/codec.ts';
import {
  IOMMU_IOAS_MAP_FIXED_IOVA,
  IOMMU_IOAS_MAP_READABLE,
  IOMMU_IOAS_MAP_WRITEABLE,
} from '../../hw/host/iommufd/uapi/constants.ts';
import { IOAS_MAP, IOAS_UNMAP } from '../../hw/host/iommufd/uapi/structs.ts';
import { testKernel } from '../../hw/host/kernel/testbench.ts';
import { InternalError } from '../../sim/errors.ts';

const PAGE = 4096;
/** First input address and granule of the mock domain: a million areas need small ones. */
const APERTURE = 0x1000000;
const GRANULE = 2048;
const BUFFER_PAGES = 16;
/** Areas that one kind of operation goes through before the next kind; fewer than there are. */
const BATCH = 500;
const ROUNDS = 300;
/** A prime: steps through areas and pages in an order without locality. */
const STRIDE = 611_953;
const FEW_AREAS = 1000;
const MANY_AREAS = 1_000_000;

/** A process with an IOAS and a mock device attached to it. */
class Program {
  private readonly bench = testKernel({ bytes: 2 ** 24 });
  private readonly fd: number;
  private readonly buffer: bigint;
  private readonly argument: bigint;
  private readonly mapView: DataView;
  private readonly unmapView: DataView;
  private readonly map: Uint8Array;
  private readonly unmap: Uint8Array;
  private readonly hwpt: HwptPaging;

  constructor() {
    const { kernel, calls } = this.bench;
    let file: IommufdFile | null = null;
    kernel.registerNode('/dev/iommu', () => {
      file = openIommufd(kernel, '/dev/iommu', MOCK_COMMANDS);
      return file;
    });
    const iommu = IommuClient.open(new KernelProcess(calls));
    this.fd = iommu.fd;
    const ioas = iommu.ioasAlloc();
    const { out } = iommu.call('TEST_CMD', { op: 'MOCK_DOMAIN', id: ioas.id });
    const { context } = file as unknown as IommufdFile;
    this.hwpt = context.objects.peek(Number(out.out_hwpt_id)) as HwptPaging;
    this.buffer = this.bench.alloc(BUFFER_PAGES * PAGE);
    this.argument = this.bench.alloc(PAGE);
    const flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
    this.map = encode(IOAS_MAP, { size: IOAS_MAP.size, flags, ioas_id: ioas.id });
    this.unmap = encode(IOAS_UNMAP, { size: IOAS_UNMAP.size, ioas_id: ioas.id });
    this.mapView = new DataView(this.map.buffer);
    this.unmapView = new DataView(this.unmap.buffer);
  }

  /** Maps bytes of the buffer, from an offset in it on. */
  mapAt(iova: number, bytes: number, offset: number): void {
    const { mapView } = this;
    mapView.setBigUint64(IOAS_MAP.at.user_va, this.buffer + BigInt(offset), true);
    mapView.setBigUint64(IOAS_MAP.at.length, BigInt(bytes), true);
    mapView.setBigUint64(IOAS_MAP.at.iova, BigInt(iova), true);
    this.call(IOAS_MAP.word, this.map);
  }

  unmapAt(iova: number, bytes: number): void {
    const { unmapView } = this;
    unmapView.setBigUint64(IOAS_UNMAP.at.iova, BigInt(iova), true);
    unmapView.setBigUint64(IOAS_UNMAP.at.length, BigInt(bytes), true);
    this.call(IOAS_UNMAP.word, this.unmap);
  }

  lookUp(iova: number): void {
    if (this.hwpt.domain.iovaToPhys(BigInt(iova)) === null) {
      throw new InternalError('bench', `nothing is mapped at ${iova}`);
    }
  }

  private call(word: number, bytes: Uint8Array): void {
    const { calls, process } = this.bench;
    process.space.copyOut(this.argument, bytes);
    const { errno, rule } = calls.ioctl(this.fd, word, this.argument);
    if (errno !== 0) throw new InternalError('bench', `the call is refused: ${rule}`);
  }
}

/** Pairs of IOAS_MAP and IOAS_UNMAP of one page per second. */
export function benchMapUnmap(pairs: number): number {
  const program = new Program();
  mapAndUnmap(program, pairs / 10);
  const start = process.hrtime.bigint();
  mapAndUnmap(program, pairs);
  return (pairs * 1e9) / Number(process.hrtime.bigint() - start);
}

function mapAndUnmap(program: Program, pairs: number): void {
  for (let i = 0; i < pairs; i++) {
    const iova = APERTURE + ((i * STRIDE) % 100_000) * PAGE;
    program.mapAt(iova, PAGE, (i % BUFFER_PAGES) * PAGE);
    program.unmapAt(iova, PAGE);
  }
}

/** The worst of map, unmap and look-up: time among a million areas over that among a thousand. */
export function benchManyAreas(): number {
  const few = timesAmong(FEW_AREAS);
  const many = timesAmong(MANY_AREAS);
  return Math.max(...many.map((time, i) => time / few[i]));
}

/** Nanoseconds of an unmap, a map and a look-up of an area of two kilobytes among so many. */
function timesAmong(areas: number): readonly number[] {
  const program = new Program();
  const iovaOf = (index: number): number => APERTURE + index * GRANULE;
  const mapArea = (index: number): void => {
    program.mapAt(iovaOf(index), GRANULE, (index % (BUFFER_PAGES * 2)) * GRANULE);
  };
  for (let i = 0; i < areas; i++) mapArea(i);
  const operations: readonly ((index: number) => void)[] = [
    (index) => program.unmapAt(iovaOf(index), GRANULE),
    mapArea,
    (index) => program.lookUp(iovaOf(index)),
  ];
  const times = operations.map(() => 0);
  for (let round = 0; round < ROUNDS; round++) {
    operations.forEach((operation, which) => {
      const start = process.hrtime.bigint();
      for (let i = 0; i < BATCH; i++) operation(((round * BATCH + i) * STRIDE) % areas);
      // The first rounds warm the compiler up.
      if (round >= ROUNDS / 10) times[which] += Number(process.hrtime.bigint() - start);
    });
  }
  return times;
}
