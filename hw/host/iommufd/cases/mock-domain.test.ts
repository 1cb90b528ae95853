/** Reference 10.11: what page tables of the mock hold, and how pages are pinned for them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MAP_PRIVATE } from '../../kernel/mmap.ts';
import { PROT_READ, PROT_WRITE } from '../../kernel/vma.ts';
import {
  A,
  type Bench,
  BUFFER,
  HUGE,
  M,
  type MockDevice,
  P,
  ruleIn,
  WITH_PASID,
} from './fixture.ts';

const VARIANTS = ['D', '2D', 'DL'] as const;

/** Memory of the variants: anonymous, of a memfd, a huge page. */
type Memory = 'anonymous' | 'memfd' | 'huge';
const MEMORIES: readonly Memory[] = ['anonymous', 'memfd', 'huge'];

interface Source {
  readonly userVa: bigint;
  map(ioas: number, start: bigint, length: bigint, iova: bigint): void;
}

const MFD_HUGETLB = 4;

function source(b: Bench, memory: Memory, bytes: bigint): Source {
  if (memory === 'anonymous') {
    const userVa = b.memory(bytes);
    const map: Source['map'] = (ioas, start, length, iova) => {
      b.map(ioas, userVa + start, length, iova);
    };
    return { userVa, map };
  }
  const fd = memory === 'memfd' ? b.memfd(bytes) : b.calls.memfdCreate(MFD_HUGETLB).value;
  const length = Number(memory === 'huge' ? HUGE : bytes);
  assert.is(b.calls.ftruncate(fd, length).errno, 0);
  const userVa = fileMemory(b, fd, length, false);
  return { userVa, map: (ioas, start, bytes, iova) => b.mapFile(ioas, fd, start, bytes, iova) };
}

function fileMemory(b: Bench, fd: number, length: number, isPrivate: boolean): bigint {
  const flags = isPrivate ? MAP_PRIVATE : 1;
  const { value, errno } = b.calls.mmap({ length, prot: PROT_READ | PROT_WRITE, flags, fd });
  assert.is(errno, 0);
  return BigInt(value);
}

ruleIn(VARIANTS, '144: every page table of the IOAS shows the page', (b, { ioas, devices }) => {
  const pasid = b.mock(ioas, WITH_PASID);
  b.map(ioas, BUFFER, P, A);
  for (const { hwpt } of [...devices, pasid]) b.checkMap(hwpt, A, BUFFER, P);
  b.unmap(ioas, A, P);
  b.map(ioas, BUFFER, P, A + P);
  for (const { hwpt } of [...devices, pasid]) b.checkMap(hwpt, A + P, BUFFER, P);
});

ruleIn(VARIANTS, '145: half of the user range is not mapped: EFAULT', (b, { ioas }) => {
  const userVa = b.memory(4n * P);
  b.calls.munmap(Number(userVa + 2n * P), Number(2n * P));
  b.refuseMap('EFAULT', ioas, userVa, 4n * P, A);
  b.checkPins(userVa, 2n * P, 0);
  b.refuseUnmap('ENOENT', ioas, A, 4n * P);
});

ruleIn(VARIANTS, '146: nothing of the user range is mapped: EFAULT', (b, { ioas }) => {
  const userVa = b.memory(4n * P);
  b.calls.munmap(Number(userVa), Number(4n * P));
  b.refuseMap('EFAULT', ioas, userVa, 4n * P, A);
  b.refuseUnmap('ENOENT', ioas, A, 4n * P);
});

ruleIn(VARIANTS, '147: a file that ends a byte too early is EINVAL', (b, { ioas }) => {
  const fd = b.memfd(4n * P);
  b.refuseMapFile('EINVAL', ioas, fd, 0n, 4n * P + M, A);
});

ruleIn(VARIANTS, '148: a file that was cut to nothing is EINVAL', (b, { ioas }) => {
  const fd = b.memfd(4n * P);
  assert.is(b.calls.ftruncate(fd, 0).errno, 0);
  b.refuseMapFile('EINVAL', ioas, fd, 0n, 4n * P, A);
});

ruleIn(VARIANTS, '149: a page that is read stays when its process writes it', (b, setup) => {
  const { ioas, devices } = setup;
  const userVa = fileMemory(b, b.memfd(P), Number(P), true);
  b.peek(userVa, 1);
  b.ok('IOAS_MAP', {
    flags: 'FIXED_IOVA|READABLE',
    ioas_id: ioas,
    user_va: userVa,
    length: P,
    iova: A,
  });
  b.checkMap(devices[0].hwpt, A, userVa, P);
  b.poke(userVa, Uint8Array.of(1, 2, 3));
  b.checkMap(devices[0].hwpt, A, userVa, P);
});

/** All starts and ends in steps of the mock's page over 8 pages. */
function sweep(limit: bigint, step: bigint, use: (start: bigint, length: bigint) => void): void {
  for (let start = 0n; start < limit; start += step) {
    for (let end = start + step; end <= limit; end += step) use(start, end - start);
  }
}

/** Whole pages that a range touches. */
function wholePages(start: bigint, length: bigint): readonly [bigint, bigint] {
  const first = start - (start % P);
  const end = start + length;
  return [first, ((end + P - 1n) / P) * P - first];
}

for (const memory of MEMORIES) {
  ruleIn(VARIANTS, `150: all starts and ends in 8 pages, ${memory}`, (b, { ioas, devices }) => {
    const { userVa, map } = source(b, memory, 8n * P);
    sweep(8n * P, M, (start, length) => {
      map(ioas, start, length, A);
      for (const { hwpt } of devices) b.checkMap(hwpt, A, userVa + start, length);
      const [first, bytes] = wholePages(start, length);
      b.checkPins(userVa + first, bytes, 1);
      assert.is(b.unmap(ioas, A, length), length);
      b.checkPins(userVa, 8n * P, 0);
    });
  });

  ruleIn(VARIANTS, `151: a device comes and goes while mapped, ${memory}`, (b, setup) => {
    const { ioas, devices } = setup;
    const { userVa, map } = source(b, memory, 8n * P);
    sweep(8n * P, P + M, (start, length) => {
      map(ioas, start, length, A);
      const other = b.mock(ioas);
      const manual = b.hwpt(other, ioas);
      for (const hwpt of [devices[0].hwpt, other.hwpt, manual]) {
        b.checkMap(hwpt, A, userVa + start, length);
      }
      const [first, bytes] = wholePages(start, length);
      b.checkPins(userVa + first, bytes, 1);
      b.destroy(manual);
      b.destroy(other.stdev);
      b.checkPins(userVa + first, bytes, 1);
      b.checkMap(devices[0].hwpt, A, userVa + start, length);
      b.unmap(ioas, A, length);
      b.checkPins(userVa, 8n * P, 0);
    });
  });
}

function onFreshIoas(b: Bench, device: MockDevice): { hwpt: number; ioas: number } {
  const ioas = b.ioas();
  return { ioas, hwpt: b.replace(device, ioas) };
}

ruleIn(['D', 'DL'], '152: the automatic HWPT goes with its only device', (b, { devices }) => {
  const [device] = devices;
  onFreshIoas(b, device);
  b.refuseOp('ENOENT', 'MOCK_DOMAIN_REPLACE', { id: device.stdev, pt_id: device.hwpt });
});

ruleIn(VARIANTS, '153: a replace to the IOAS where the device is changes nothing', (b, setup) => {
  const [device] = setup.devices;
  const { ioas, hwpt } = onFreshIoas(b, device);
  assert.is(b.replace(device, ioas), hwpt);
});

ruleIn(['2D'], '154: a shared HWPT lives on, and takes the device back', (b, { devices }) => {
  const [device] = devices;
  onFreshIoas(b, device);
  assert.is(b.replace(device, device.hwpt), device.hwpt);
  assert.is(b.replace(device, device.hwpt), device.hwpt);
});

ruleIn(VARIANTS, '155: HWPTs made by hand go only when no device is on them', (b, setup) => {
  const { ioas, devices } = setup;
  const [device] = devices;
  const hwpts = [b.hwpt(device, ioas), b.hwpt(device, ioas)];
  for (const id of hwpts) {
    assert.is(b.replace(device, id), id);
    b.refuse('EBUSY', 'DESTROY', { id });
  }
  b.replace(device, ioas);
  for (const id of hwpts) b.destroy(id);
  const manual = b.hwpt(device, ioas);
  const other = b.mock(manual);
  assert.is(other.hwpt, manual);
  b.destroy(other.stdev);
  b.destroy(manual);
});

test.run();
