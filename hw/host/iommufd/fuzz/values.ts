/**
 * Values for the fields of random calls: mostly such that the call gets far, and some of every
 * kind that a hostile program would try.
 */
import type { RandomStream } from '../../../../sim/random/stream.ts';
import type { Area } from '../iopt/area.ts';
import type { IommufdObject, ObjectType } from '../object.ts';
import { Ioas } from '../objects/ioas.ts';
import type { Layout } from '../uapi/layout.ts';
import { ARGUMENTS, type FuzzMachine, READ_ONLY, SHAKY, SOURCES, UNREADABLE } from './machine.ts';
import type { PresetValue } from './presets.ts';
import { select } from './selectors.ts';

const PAGE = 4096;
const GRANULE = 2048;
/** The mock's aperture begins here. */
const APERTURE = 0x1000000;
/** Positions that IOVAs are chosen from: few, so that calls meet. */
const POSITIONS = 48;
const STEP = 2 * PAGE;
/** Data of a call begins here in the region of arguments. */
export const DATA_AT = 8 * PAGE;

const HOSTILE: readonly bigint[] = [
  0n,
  1n,
  7n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_f000n,
  0xffff_ffff_ffff_fffen,
  0xffff_ffff_ffff_ffffn,
];
const HOSTILE_POINTERS: readonly number[] = [
  0,
  1,
  ARGUMENTS.address + ARGUMENTS.bytes - 8,
  ARGUMENTS.address + ARGUMENTS.bytes,
  READ_ONLY.address,
  UNREADABLE.address,
  SHAKY.address,
  0x7fff_ffff_f000,
];

/** Which objects an id field names, by structure and field, or by field alone. */
const WANTED: Readonly<Record<string, readonly ObjectType[]>> = {
  ioas_id: ['ioas'],
  dst_ioas_id: ['ioas'],
  src_ioas_id: ['ioas'],
  object_id: ['ioas'],
  dev_id: ['device'],
  hwpt_id: ['hwpt-paging', 'hwpt-nested'],
  fault_id: ['fault'],
  viommu_id: ['viommu'],
  pt_id: ['ioas', 'hwpt-paging', 'hwpt-nested', 'viommu'],
  'iommu_hwpt_invalidate.hwpt_id': ['hwpt-nested', 'viommu'],
  'iommu_viommu_alloc.hwpt_id': ['hwpt-paging'],
  'iommu_test_cmd.add_reserved.id': ['ioas'],
  'iommu_test_cmd.mock_domain.id': ['ioas', 'hwpt-paging'],
  'iommu_test_cmd.mock_domain_flags.id': ['ioas', 'hwpt-paging'],
  'iommu_test_cmd.check_map.id': ['hwpt-paging'],
  'iommu_test_cmd.create_access.id': ['ioas'],
  'iommu_test_cmd.dirty.id': ['hwpt-paging'],
  'iommu_test_cmd.check_iotlb.id': ['hwpt-nested'],
  'iommu_test_cmd.check_dev_cache.id': ['device'],
  'iommu_test_cmd.mock_domain_replace.id': ['selftest'],
  'iommu_test_cmd.pasid_attach.id': ['selftest'],
  'iommu_test_cmd.pasid_replace.id': ['selftest'],
  'iommu_test_cmd.pasid_detach.id': ['selftest'],
  'iommu_test_cmd.pasid_check.id': ['selftest'],
};

/** Fields that name a descriptor, by structure and field, or by field alone. */
const DESCRIPTORS: Readonly<Record<string, string>> = {
  fd: 'memfd',
  dmabuf_fd: 'dma-buf',
  iommufd: 'iommufd',
  'iommu_test_cmd.access_pages.id': 'access',
  'iommu_test_cmd.access_rw.id': 'access',
  'iommu_test_cmd.access_replace_ioas.id': 'access',
  'iommu_test_cmd.destroy_access_pages.id': 'access',
};

/**
 * Files that hold a context open. A context that maps one of its own never closes, in Linux as
 * here: MAP_FILE takes a reference to any file, and asks what it is when its pages are pinned.
 */
const OWNED: ReadonlySet<string> = new Set([
  'iommufd',
  'fault',
  'veventq',
  'access',
  'vfio-device',
]);

/** Fields that say where something is mapped; calls that map choose a place of their own. */
const IOVAS: ReadonlySet<string> = new Set(['iova', 'src_iova', 'nesting_parent_iova']);
const FIXED: ReadonlySet<string> = new Set([
  'iommu_ioas_map',
  'iommu_ioas_map_file',
  'vfio_iommu_type1_dma_map',
]);

const SELFTEST_TYPES = [0xdead, 0xdeadbeef, 0xbeefbeef, 0xfeedbeef];
const PASIDS = [0, 1, 5, 100, 1024, 2048, 1 << 20];

/** What the fuzzer knows when it makes a call. */
export interface Scene {
  readonly machine: FuzzMachine;
  readonly objects: readonly IommufdObject[];
  /** Descriptors by the kind of file. */
  readonly descriptors: ReadonlyMap<string, readonly number[]>;
}

export class Values {
  private readonly random: RandomStream;
  /** The address space and the mapping that the call under way is about. */
  private space: Ioas | null = null;
  private area: Area | null = null;

  constructor(random: RandomStream) {
    this.random = random;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random.below(items.length)] as T;
  }

  oneIn(n: number): boolean {
    return this.random.below(n) === 0;
  }

  /** Whether there is something for each field that names an object or a descriptor. */
  isPossible(layout: Layout, { objects, descriptors }: Scene): boolean {
    return layout.list.every(([name]) => {
      const full = `${layout.name}.${name}`;
      if (name === 'fault_id') return true;
      const kind = DESCRIPTORS[full] ?? DESCRIPTORS[name];
      if (kind !== undefined) return descriptors.has(kind);
      const wanted = WANTED[full] ?? WANTED[name];
      return wanted === undefined || objects.some(({ type }) => wanted.includes(type));
    });
  }

  /** A value for a field; it is cut to the width of the field. */
  field(layout: Layout, name: string, scene: Scene, preset: PresetValue | undefined): bigint {
    const full = `${layout.name}.${name}`;
    const kind = DESCRIPTORS[full] ?? DESCRIPTORS[name];
    if (kind !== 'memfd' && this.oneIn(100)) return this.pick(HOSTILE);
    if (typeof preset === 'string') {
      const found = select(preset, scene.objects);
      if (found.length > 0) return BigInt(this.pick(found).id);
    } else if (preset !== undefined) {
      return BigInt(typeof preset === 'number' ? preset : this.pick(preset));
    }
    if (kind !== undefined) return BigInt(this.descriptor(kind, scene));
    if (this.space !== null && (name === 'ioas_id' || name === 'src_ioas_id')) {
      return BigInt(this.space.id);
    }
    const wanted = WANTED[full] ?? WANTED[name];
    if (wanted !== undefined || name === 'id') return BigInt(this.id(wanted, scene));
    if (IOVAS.has(name) && !this.oneIn(5)) this.area = this.anyArea();
    if (IOVAS.has(name) && this.area !== null && !FIXED.has(layout.name)) return this.area.iova;
    if (name === 'length' && this.area !== null && this.oneIn(2)) return this.area.length;
    return BigInt(this.plain(layout, name));
  }

  /** A call begins: mostly it is about an address space in which something is mapped. */
  begin({ objects }: Scene): void {
    const spaces = objects.filter(
      (object) => object instanceof Ioas && object.table.areas.first !== null,
    );
    this.area = null;
    this.space = spaces.length === 0 || this.oneIn(5) ? null : (this.pick(spaces) as Ioas);
  }

  private anyArea(): Area | null {
    if (this.space === null) return null;
    const { areas } = this.space.table;
    const from = BigInt(this.iova());
    return areas.find(from, from + 0x100000n) ?? areas.first;
  }

  descriptor(kind: string, { descriptors }: Scene): number {
    const fitting = descriptors.get(kind);
    if (fitting !== undefined && !this.oneIn(24)) return this.pick(fitting);
    const others = [...descriptors].filter(([other]) => kind !== 'memfd' || !OWNED.has(other));
    return this.pick(others.flatMap(([, fds]) => fds).concat(-1, 99));
  }

  iova(): number {
    const position = this.random.below(POSITIONS);
    return APERTURE + position * STEP + (this.oneIn(12) ? GRANULE : 0);
  }

  length(): number {
    if (this.oneIn(16)) return this.pick([0, GRANULE, 3 * GRANULE, PAGE + 1, 512 * PAGE]);
    return (1 + this.random.below(this.oneIn(3) ? 24 : 4)) * PAGE;
  }

  pointer(): number {
    if (this.oneIn(24)) return this.pick(HOSTILE_POINTERS);
    return ARGUMENTS.address + DATA_AT + this.random.below(16) * 64;
  }

  /** An address of memory that devices may be given. */
  source(): number {
    const region = this.pick(SOURCES);
    const page = this.random.below(Math.min(region.bytes / PAGE, 32));
    return region.address + page * PAGE + (this.oneIn(10) ? GRANULE : 0);
  }

  /** A size field: what the kernel knows, or a size that it has to look at closely. */
  size({ size, minSize }: Layout): number {
    if (!this.oneIn(40)) return size;
    return this.pick([minSize, minSize - 1, size + 8, size + 512, 0, 0xffff_ffff]);
  }

  private id(wanted: readonly ObjectType[] | undefined, { objects }: Scene): number {
    const fitting =
      wanted === undefined ? objects : objects.filter(({ type }) => wanted.includes(type));
    if (fitting.length > 0 && !this.oneIn(16)) return this.pick(fitting).id;
    return this.random.below(objects.length + 3);
  }

  private plain(layout: Layout, name: string): number {
    switch (name) {
      case 'flags':
        return this.flags(layout);
      case 'dev_flags':
        return this.pick([0, 0, 4, 4, 1, 5]);
      case 'iova':
      case 'dst_iova':
      case 'src_iova':
      case 'nesting_parent_iova':
      case 'start':
        return layout.name === 'iommu_ioas_map_file' && name === 'start'
          ? this.random.below(8) * PAGE
          : this.iova();
      case 'length':
      case 'size':
        return this.length();
      case 'user_va':
      case 'vaddr':
        return this.source();
      case 'uptr':
        return this.oneIn(2) ? this.pointer() : this.source();
      case 'data_uptr':
      case 'data':
      case 'allowed_iovas':
      case 'token_uuid_ptr':
        return this.pointer();
      case 'pasid':
        return this.pick(PASIDS);
      case 'page_size':
        return this.pick([GRANULE, PAGE, PAGE, 2 * PAGE, 3]);
      default:
        return this.small(layout, name);
    }
  }

  private flags({ name }: Layout): number {
    if (name.startsWith('iommu_ioas') || name.startsWith('vfio_iommu')) {
      return this.pick([7, 7, 7, 7, 6, 6, 6, 5, 5, 3, 3, 2, this.random.below(8)]);
    }
    if (name === 'iommu_hwpt_alloc') return this.pick([0, 0, 1, 1, 2, 3, 4, 4, 8, 8, 12, 10, 9]);
    if (name.startsWith('iommu_test_cmd')) return this.random.below(6);
    return this.pick([0, 0, 0, 0, 1, 1, 2]);
  }

  private small(layout: Layout, name: string): number {
    if (name.startsWith('__reserved') || name.startsWith('out_')) return this.oneIn(200) ? 1 : 0;
    switch (name) {
      case 'data_type':
      case 'type':
      case 'in_data_type':
        return this.oneIn(3) ? this.random.below(5) : this.pick(SELFTEST_TYPES);
      case 'data_len':
        return this.pick([0, 4, 8, 8, 8, 16, 24, 32, 40, 100]);
      case 'entry_len':
        return this.pick([8, 8, 12, 12, 16, 24, 4, 4096]);
      case 'num_iovas':
      case 'entry_num':
        return this.random.below(5);
      case 'limit':
        return 8 + this.random.below(64);
      default:
        return layout.name === 'iommu_option' ? this.random.below(2) : this.random.below(4);
    }
  }
}
