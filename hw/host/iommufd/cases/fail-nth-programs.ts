/** The programs whose every step is made to fail (reference 11: a to g; h, i and j are ours). */
import { MAP_SHARED } from '../../kernel/mmap.ts';
import { PROT_READ, PROT_WRITE } from '../../kernel/vma.ts';
import {
  A,
  ALLOC_PASID,
  type Bench,
  BUFFER,
  FAULT_ID_VALID,
  fileFields,
  HUGE,
  mapFields,
  NEST_PARENT,
  P,
  WITH_PASID,
} from './fixture.ts';
import type { Program } from './programs.ts';

type Build = (b: Bench, p: Program) => void;

const LENGTH = 16n * P;
const FIXED_RW = 'FIXED_IOVA|READABLE|WRITEABLE';
const IOTLB = { data_type: 'SELFTEST', data: { iotlb: 7 } };

/** Memory whose pages are there already: no fault brings one in during a call. */
function touched(b: Bench, bytes: bigint): bigint {
  const address = b.memory(bytes, 2n * BUFFER);
  b.poke(address, new Uint8Array(Number(bytes)).fill(1));
  return address;
}

/** A memfd whose pages are there already. */
function touchedFile(b: Bench, bytes: bigint): number {
  const fd = b.memfd(bytes);
  const length = Number(bytes);
  const at = b.calls.mmap({ length, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd }).value;
  b.poke(BigInt(at), new Uint8Array(length).fill(1));
  return fd;
}

export const buildIoas: Build = (b, p) => {
  const user = touched(b, HUGE);
  p.system('open', () => b.calls.open('/dev/iommu'), 'second');
  p.call('IOAS_ALLOC', undefined, { out_ioas_id: 'ioas' });
  p.call('IOAS_IOVA_RANGES', (id) => ({ ioas_id: id.ioas }));
  p.call('IOAS_ALLOW_IOVAS', (id) => ({ ioas_id: id.ioas, data: [{ start: 0, last: 1 << 30 }] }));
  p.call('IOAS_MAP', (id) => mapFields(id.ioas, user, HUGE), { iova: 'iova' });
  p.call('IOAS_ALLOC', undefined, { out_ioas_id: 'other' });
  const copy = { flags: FIXED_RW, length: HUGE, dst_iova: A };
  p.call('IOAS_COPY', (id) => {
    return { ...copy, dst_ioas_id: id.other, src_ioas_id: id.ioas, src_iova: id.iova };
  });
  const unmap = { iova: A, length: HUGE };
  p.call('IOAS_UNMAP', (id) => ({ ioas_id: id.other, ...unmap }));
  const again = { refused: 'ENOENT' } as const;
  p.call('IOAS_UNMAP', (id) => ({ ioas_id: id.other, ...unmap }), {}, again);
  p.destroy('other');
  p.system('close', (id) => b.calls.close(id.second));
};

/** A device, a map, the device goes, and comes again. */
export function buildDevice(memory: 'user' | 'memfd'): Build {
  return (b, p) => {
    const bytes = 256n << 10n;
    const user = memory === 'user' ? touched(b, bytes) : 0n;
    const fd = memory === 'memfd' ? touchedFile(b, bytes) : -1;
    p.call('IOAS_ALLOC', undefined, { out_ioas_id: 'ioas' });
    p.mock('device', 'ioas');
    if (memory === 'user') p.call('IOAS_MAP', (id) => mapFields(id.ioas, user, bytes, A));
    else p.call('IOAS_MAP_FILE', (id) => fileFields(id.ioas, fd, 0n, bytes, A));
    p.destroy('device.stdev');
    p.mock('device', 'ioas');
  };
}

/** An automatic page table that refuses a device is passed over, and another is made. */
const NEXT_TABLE = { mayAbsorb: 'EINVAL of an attachment means: try the next page table' };

export const buildDevices: Build = (b, p) => {
  const bytes = 256n << 10n;
  const user = touched(b, bytes);
  p.call('IOAS_ALLOC', undefined, { out_ioas_id: 'ioas' });
  p.mock('first', 'ioas');
  p.mock('second', 'ioas', 0, NEXT_TABLE);
  p.call('IOAS_MAP', (id) => mapFields(id.ioas, user, bytes, A));
  p.destroy('first.stdev');
  p.destroy('second.stdev');
  p.mock('first', 'ioas');
  p.mock('second', 'ioas', 0, NEXT_TABLE);
};

const ACCESS_WRITE = 1;
const ACCESS_SLOW = 4;

export const buildAccessRw: Build = (b, p) => {
  const user = touched(b, LENGTH);
  const buffer = b.place(new Uint8Array(8192));
  p.call('IOAS_ALLOC', undefined, { out_ioas_id: 'ioas' });
  p.call('IOAS_MAP', (id) => mapFields(id.ioas, user, LENGTH, A));
  p.op('CREATE_ACCESS', (id) => ({ id: id.ioas, flags: 0 }), { out_access_fd: 'access' });
  const range = { iova: A + 7n, length: P, uptr: buffer };
  for (const flags of [0, ACCESS_WRITE, ACCESS_SLOW, ACCESS_SLOW | ACCESS_WRITE]) {
    p.op('ACCESS_RW', (id) => ({ id: id.access, ...range, flags }));
  }
  p.system('close', (id) => b.calls.close(id.access));
};

export function buildAccessPins(domain: boolean): Build {
  return (b, p) => {
    const user = touched(b, LENGTH);
    p.call('IOAS_ALLOC', undefined, { out_ioas_id: 'ioas' });
    p.call('IOAS_MAP', (id) => mapFields(id.ioas, user, LENGTH, A));
    if (domain) p.mock('device', 'ioas');
    p.op('CREATE_ACCESS', (id) => ({ id: id.ioas, flags: 1 }), { out_access_fd: 'access' });
    const pin = (as: string, start: bigint, length: bigint): void => {
      const fields = { iova: A + start, length, uptr: user + start };
      const keep = { out_access_pages_id: as };
      p.op('ACCESS_PAGES', (id) => ({ id: id.access, ...fields }), keep);
    };
    pin('some', 0n, 4n * P);
    pin('more', 2n * P, 4n * P);
    const unpin = (as: string) =>
      p.op('DESTROY_ACCESS_PAGES', (id) => ({ id: id.access, access_pages_id: id[as] }));
    unpin('some');
    if (domain) p.destroy('device.stdev');
    unpin('more');
    pin('all', 0n, LENGTH);
    p.call('IOAS_UNMAP', (id) => ({ ioas_id: id.ioas, iova: A, length: LENGTH }));
    p.system('close', (id) => b.calls.close(id.access));
  };
}

function hwpt(p: Program, as: string, on: string, flags = 0, nested = false, fault?: string): void {
  p.call(
    'HWPT_ALLOC',
    (id) => ({
      dev_id: id['device.idev'],
      pt_id: id[on],
      flags,
      fault_id: fault === undefined ? 0 : id[fault],
      ...(nested && IOTLB),
    }),
    { out_hwpt_id: as },
    { lookupFails: 'EINVAL' },
  );
}

function replace(p: Program, on: string): void {
  const options = on.startsWith('ioas') ? NEXT_TABLE : {};
  p.op('MOCK_DOMAIN_REPLACE', (id) => ({ id: id['device.stdev'], pt_id: id[on] }), {}, options);
}

function faultQueue(p: Program): void {
  const keep = { out_fault_id: 'fault', out_fault_fd: 'faultFd' };
  p.call('FAULT_QUEUE_ALLOC', undefined, keep);
}

function viommu(p: Program): void {
  const data = { type: 'SELFTEST', data: { in_data: 9 } };
  p.call('VIOMMU_ALLOC', (id) => ({ ...data, dev_id: id['device.idev'], hwpt_id: id.parent }), {
    out_viommu_id: 'viommu',
  });
  p.call(
    'VDEVICE_ALLOC',
    (id) => ({ viommu_id: id.viommu, dev_id: id['device.idev'], virt_id: 5 }),
    { out_vdevice_id: 'vdevice' },
  );
  const queue = { type: 'SELFTEST', index: 0, nesting_parent_iova: A, length: P };
  p.call('HW_QUEUE_ALLOC', (id) => ({ ...queue, viommu_id: id.viommu }), {
    out_hw_queue_id: 'queue',
  });
  const events = { type: 'SELFTEST', veventq_depth: 4 };
  p.call('VEVENTQ_ALLOC', (id) => ({ ...events, viommu_id: id.viommu }), {
    out_veventq_fd: 'events',
  });
}

function pasids(p: Program): void {
  hwpt(p, 'pasidA', 'ioas', ALLOC_PASID);
  hwpt(p, 'pasidB', 'ioas2', ALLOC_PASID);
  replace(p, 'pasidA');
  const at = (pt: string) => (id: Readonly<Record<string, number>>) => ({
    id: id['device.stdev'],
    pasid: 100,
    pt_id: id[pt],
  });
  p.op('PASID_ATTACH', at('pasidA'));
  p.op('PASID_REPLACE', at('pasidB'));
  p.op('PASID_DETACH', (id) => ({ id: id['device.stdev'], pasid: 100 }));
}

export const buildEverything: Build = (b, p) => {
  const user = touched(b, LENGTH);
  for (const ioas of ['ioas', 'ioas2']) {
    p.call('IOAS_ALLOC', undefined, { out_ioas_id: ioas });
    p.call('IOAS_MAP', (id) => mapFields(id[ioas], user, LENGTH, A));
  }
  p.mock('device', 'ioas', WITH_PASID);
  p.call('GET_HW_INFO', (id) => ({ dev_id: id['device.idev'] }));
  hwpt(p, 'plain', 'ioas');
  replace(p, 'ioas2');
  replace(p, 'plain');
  hwpt(p, 'parent', 'ioas', NEST_PARENT);
  viommu(p);
  faultQueue(p);
  hwpt(p, 'nested', 'parent', FAULT_ID_VALID, true, 'fault');
  hwpt(p, 'virtual', 'viommu', FAULT_ID_VALID, true, 'fault');
  replace(p, 'nested');
  replace(p, 'virtual');
  const invalidate = { data_type: 'SELFTEST', data: [{ iotlb_id: 1 }] };
  p.call('HWPT_INVALIDATE', (id) => ({ hwpt_id: id.nested, ...invalidate }));
  pasids(p);
  replace(p, 'ioas');
  for (const id of ['virtual', 'nested', 'queue', 'vdevice']) p.destroy(id);
  p.system('close', (id) => b.calls.close(id.events));
};

/** What a report that finds no memory for its group answers: FAILURE, to the hardware alone. */
const TO_HARDWARE = { mayAbsorb: 'a page request that cannot be kept is refused to the hardware' };

export const buildFaults: Build = (b, p) => {
  const buffer = b.place(new Uint8Array(64));
  p.call('IOAS_ALLOC', undefined, { out_ioas_id: 'ioas' });
  p.mock('device', 'ioas', WITH_PASID);
  faultQueue(p);
  hwpt(p, 'faulting', 'ioas', FAULT_ID_VALID | ALLOC_PASID, false, 'fault');
  hwpt(p, 'plain', 'ioas', ALLOC_PASID);
  replace(p, 'faulting');
  p.op('PASID_ATTACH', (id) => ({ id: id['device.stdev'], pasid: 9, pt_id: id.faulting }));
  const trigger = (grpid: number, pasid: number): void => {
    const request = { grpid, pasid, perm: 3, addr: A };
    p.op('TRIGGER_IOPF', (id) => ({ dev_id: id['device.idev'], ...request }), {}, TO_HARDWARE);
  };
  const read = (): void => {
    p.system('read', (id) => b.calls.read(id.faultFd, buffer, 40));
  };
  trigger(1, 0);
  trigger(2, 9);
  trigger(3, 0);
  read();
  read();
  p.system('write', (id) => {
    b.poke(buffer, new Uint8Array(Uint32Array.of(1, 0).buffer));
    return b.calls.write(id.faultFd, buffer, 8);
  });
  read();
  trigger(4, 9);
  p.op('PASID_REPLACE', (id) => ({ id: id['device.stdev'], pasid: 9, pt_id: id.plain }));
  replace(p, 'plain');
  trigger(5, 0);
  p.destroy('faulting');
  p.system('close', (id) => b.calls.close(id.faultFd));
  p.destroy('fault');
};

export const buildVfio: Build = (b, p) => {
  const user = touched(b, LENGTH);
  p.call('IOAS_ALLOC', undefined, { out_ioas_id: 'ioas' });
  p.call('VFIO_IOAS', (id) => ({ op: 'SET', ioas_id: id.ioas }));
  p.call('VFIO_SET_IOMMU', () => ({ arg: 1 }));
  p.mock('device', 'ioas');
  const map = { flags: 'READ|WRITE', vaddr: user, size: LENGTH, iova: A };
  p.call('VFIO_IOMMU_MAP_DMA', () => map);
  p.call('VFIO_IOMMU_GET_INFO');
  const cut = { leavesDone: 'the cut at one end stays when the cut at the other fails' };
  const unmap = (start: bigint, size: bigint): void => {
    p.call('VFIO_IOMMU_UNMAP_DMA', () => ({ iova: A + start, size }), {}, cut);
  };
  unmap(4n * P, 4n * P);
  unmap(0n, P);
  unmap(0n, LENGTH);
  p.call('VFIO_IOMMU_MAP_DMA', () => map);
  p.call('VFIO_IOMMU_UNMAP_DMA', () => ({ flags: 'ALL' }));
  p.call('VFIO_IOAS', () => ({ op: 'CLEAR' }));
};

export const buildChangeProcess: Build = (b, p) => {
  b.calls.process.capabilities.ipcLock = false;
  const fd = touchedFile(b, LENGTH);
  const child = b.fork();
  child.warmUp();
  p.call('IOAS_ALLOC', undefined, { out_ioas_id: 'ioas' });
  p.call('IOAS_MAP_FILE', (id) => fileFields(id.ioas, fd, 0n, LENGTH, A));
  p.call('IOAS_MAP_FILE', (id) => fileFields(id.ioas, fd, P, 2n * P, A + LENGTH));
  p.mock('device', 'ioas');
  p.call('IOAS_CHANGE_PROCESS', undefined, {}, { by: child });
  p.call('IOAS_MAP_FILE', (id) => fileFields(id.ioas, fd, 0n, P, A + 2n * LENGTH));
  p.call('IOAS_CHANGE_PROCESS');
  p.call('IOAS_UNMAP', (id) => ({ ioas_id: id.ioas, iova: A, length: LENGTH }));
  p.destroy('device.stdev');
};
