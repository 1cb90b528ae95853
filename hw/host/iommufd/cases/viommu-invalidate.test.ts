/** Reference 10.15, second part: HWPT_INVALIDATE on a vIOMMU clears caches of its devices. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrnoName } from '../../kernel/errno.ts';
import type { CallFields } from '../client/request.ts';
import { type Bench, type MockDevice, NEST_PARENT, number, rule } from './fixture.ts';

const UNTOUCHED = 0xbaddad;
const ALL = 1;
const BAD_FLAGS = 0xffffffff;
const VDEV = 0x99;

interface Entry {
  readonly flags?: number;
  readonly vdev_id?: number;
  readonly cache_id?: number;
}

function sceneRule(
  name: string,
  run: (b: Bench, viommu: number, device: MockDevice) => void,
): void {
  rule(name, (b) => {
    const ioas = b.ioas();
    const device = b.mock(ioas);
    const hwpt_id = b.hwpt(device, ioas, NEST_PARENT);
    const made = b.ok('VIOMMU_ALLOC', { type: 'SELFTEST', dev_id: device.idev, hwpt_id });
    const viommu = number(made, 'out_viommu_id');
    b.ok('VDEVICE_ALLOC', { viommu_id: viommu, dev_id: device.idev, virt_id: VDEV });
    run(b, viommu, device);
  });
}

function fields(viommu: number, data: readonly Entry[], more: CallFields): CallFields {
  return { hwpt_id: viommu, data_type: 'VIOMMU_SELFTEST', data: data as never, ...more };
}

function refuse(
  b: Bench,
  code: ErrnoName,
  done: number,
  viommu: number,
  data: readonly Entry[],
  more: CallFields = {},
): void {
  const report = b.refuse(code, 'HWPT_INVALIDATE', fields(viommu, data, more));
  assert.is(report.out.entry_num, done, 'entries done');
}

function invalidate(b: Bench, viommu: number, data: readonly Entry[], more: CallFields = {}): void {
  const report = b.ok('HWPT_INVALIDATE', fields(viommu, data, more));
  assert.is(report.out.entry_num, data.length, 'entries done');
}

function checkCache(b: Bench, { idev }: MockDevice, words: readonly number[]): void {
  for (const [i, word] of words.entries()) {
    b.op('DEV_CHECK_CACHE', { id: idev, cache_id: i, cache: word });
  }
}

const ENTRY: Entry = { vdev_id: VDEV };

sceneRule('224: an array with a bad entry, length or type is refused', (b, viommu, device) => {
  invalidate(b, viommu, [], { entry_len: 12 });
  const data_uptr = b.place(new Uint8Array(16));
  const other = { data_type: 0xbad, data_uptr, entry_len: 12, entry_num: 1 };
  refuse(b, 'EINVAL', 0, viommu, [], other);
  // Other lengths are zero-extended or cut: it is the virtual id 0 that nobody has.
  for (const entry_len of [13, 1]) {
    refuse(b, 'EINVAL', 0, viommu, [], { data_uptr, entry_len, entry_num: 1 });
  }
  refuse(b, 'EOPNOTSUPP', 0, viommu, [{ ...ENTRY, flags: BAD_FLAGS }]);
  refuse(b, 'EINVAL', 0, viommu, [ENTRY], { data_uptr: 0, entry_len: 12, entry_num: 1 });
  refuse(b, 'EINVAL', 0, viommu, [ENTRY], { data_uptr, entry_len: 0, entry_num: 1 });
  refuse(b, 'EINVAL', 0, viommu, [{ ...ENTRY, cache_id: 4 }]);
  refuse(b, 'EINVAL', 0, viommu, [{ vdev_id: VDEV + 1 }]);
  checkCache(b, device, [UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED]);
});

const FIRST_GONE = [0, UNTOUCHED, UNTOUCHED, UNTOUCHED];

sceneRule('225: bad flags in the second entry leave the first one done', (b, viommu, device) => {
  refuse(b, 'EOPNOTSUPP', 1, viommu, [ENTRY, { ...ENTRY, flags: BAD_FLAGS, cache_id: 1 }]);
  checkCache(b, device, FIRST_GONE);
});

sceneRule('226: a bad word in the second entry leaves the first one done', (b, viommu, device) => {
  refuse(b, 'EINVAL', 1, viommu, [ENTRY, { ...ENTRY, cache_id: 4 }]);
  checkCache(b, device, FIRST_GONE);
});

sceneRule('227: one entry, two entries, ALL: exactly what they name', (b, viommu, device) => {
  invalidate(b, viommu, [{ ...ENTRY, cache_id: 1 }]);
  checkCache(b, device, [UNTOUCHED, 0, UNTOUCHED, UNTOUCHED]);
  invalidate(b, viommu, [
    { ...ENTRY, cache_id: 2 },
    { ...ENTRY, cache_id: 3 },
  ]);
  checkCache(b, device, [UNTOUCHED, 0, 0, 0]);
  invalidate(b, viommu, [{ ...ENTRY, flags: ALL }]);
  checkCache(b, device, [0, 0, 0, 0]);
});

test.run();
