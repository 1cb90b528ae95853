/** A guest's memory and tables, and the calls that its VMM makes for it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pageNumber, pnHi, pnLo } from '../../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import { testKernel } from '../kernel/testbench.ts';
import type { MappingObserver } from '../observer.ts';
import { Guest, type GuestTable } from './guest.ts';
import { NestedTranslation, ShadowTranslation } from './guest-translation.ts';

const PAGES = 64;
const RW = ACCESS_READ | ACCESS_WRITE;

function setUp(tables: GuestTable = 'SV48') {
  const { process, alloc } = testKernel();
  const base = alloc(PAGES * 4096);
  // Guest memory that no DMA can reach is not present either.
  for (let page = 0; page < PAGES; page++) process.space.resolve(base + BigInt(page) * 4096n, true);
  const told: string[] = [];
  const frame = (page: number): number => process.space.frameAt(base + BigInt(page) * 4096n);
  const observer: MappingObserver = {
    linear: () => {},
    mapped: (domain, hi, lo, pages, frameHi, frameLo, access) => {
      const to = pageNumber(frameHi, frameLo);
      told.push(`map ${domain} ${pageNumber(hi, lo)}+${pages} ${to} ${access}`);
    },
    unmapped: (domain, hi, lo, pages) => {
      told.push(`unmap ${domain} ${pageNumber(hi, lo)}+${pages}`);
    },
    acknowledged: (domain, hi, lo, pages) => {
      told.push(`free ${domain} ${pageNumber(hi, lo)}+${pages}`);
    },
  };
  const guest = new Guest(process.space, base, PAGES * 4096, tables, observer, () => 7);
  return { guest, base, frame, told };
}

test('what is mapped is told with frames of the host, from when a nested table is there', () => {
  const { guest, frame, told } = setUp();
  guest.map(0x100, 40, 1, ACCESS_READ);
  guest.map(0x200, 41, 1, ACCESS_WRITE);
  assert.equal(told, []);
  guest.nestedAs(5);
  // Entries that permit writing permit reading.
  assert.equal(told, [`map 5 256+1 ${frame(40)} ${ACCESS_READ}`, `map 5 512+1 ${frame(41)} ${RW}`]);
  told.length = 0;
  assert.is(guest.unmap(0x100, 1), 1);
  guest.free(0x100, 1);
  assert.equal(told, ['unmap 5 256+1', 'free 5 256+1']);
});

test('guest pages are known by the frames that they stand on', () => {
  const { guest, frame } = setUp();
  assert.equal(guest.guestPages(new Set([frame(9), frame(3), 1])), [3, 9]);
});

test('a guest without tables maps nothing itself; its memory is its own until the process ends', () => {
  const { guest, base } = setUp('none');
  assert.is(guest.root, 0);
  assert.throws(() => guest.map(1, 1, 1), /tables: none/);
  assert.is(guest.userAddress(3), base + 0x3000n);
  const page = guest.frames.alloc();
  guest.memory.write32(pnHi(page), pnLo(page), 8, 0x1234);
  assert.is(guest.memory.read32(pnHi(page), pnLo(page), 8), 0x1234);
  guest.end();
  assert.is(guest.memory.read32(pnHi(page), pnLo(page), 8), 0);
});

test('nested: the guest maps alone; an invalidation is an entry of HWPT_INVALIDATE', () => {
  const { guest } = setUp();
  const nested = new NestedTranslation(guest, 9n, true);
  assert.is(nested.map(0x100, 40, 2, RW), null);
  assert.is(nested.unmap(0x100, 2), 2);
  const entry = { addr: 0x100000n, npages: 2, flags: 'LEAF' };
  const fields = { hwpt_id: 9n, data_type: 'RISCV_S1', data: [entry] };
  assert.equal(nested.invalidate(0x100, 2), { ioctl: 'HWPT_INVALIDATE', fields });
  const whole = nested.invalidate(0, -1);
  assert.equal(whole?.fields.data, [{ addr: 0, npages: 2n ** 64n - 1n, flags: 'LEAF' }]);
  assert.is(new NestedTranslation(guest, 9n, false).invalidate(0x100, 2), null);
});

test('shadowed: a map is an IOAS_MAP of user memory, an invalidation an IOAS_UNMAP', () => {
  const { guest, base } = setUp('none');
  const shadow = new ShadowTranslation(guest, 4n, true);
  assert.equal(shadow.map(0x100, 3, 2, ACCESS_WRITE), {
    ioctl: 'IOAS_MAP',
    fields: {
      ioas_id: 4n,
      flags: ['FIXED_IOVA', 'WRITEABLE'],
      iova: 0x100000n,
      user_va: base + 0x3000n,
      length: 0x2000n,
    },
  });
  const range = { ioas_id: 4n, iova: 0x100000n, length: 0x2000n };
  assert.equal(shadow.invalidate(0x100, 2), { ioctl: 'IOAS_UNMAP', fields: range });
  assert.is(shadow.invalidate(0, -1).fields.length, 2n ** 64n - 1n);
  assert.is(shadow.dropsInvalidations, false);
  assert.is(new ShadowTranslation(guest, 4n, false).dropsInvalidations, true);
});

test.run();
