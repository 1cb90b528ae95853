import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ERRNO, type ErrnoName, fail } from '../../kernel/errno.ts';
import { PROT_READ } from '../../kernel/vma.ts';
import { createPaperDriver } from '../drivers/paper/create.ts';
import { paperBench, pathOf } from '../drivers/paper/testbench.ts';
import { VfioDeviceFile } from './cdev.ts';
import { EmulatedBackend, VfioDevice, VfioGroup } from './device.ts';
import { VfioGroupFile } from './group-file.ts';

const BIND = 0x3b76;
const ATTACH = 0x3b77;
const DETACH = 0x3b78;
const GROUP_SET_CONTAINER = 0x3b68;
const GROUP_UNSET_CONTAINER = 0x3b69;
const GROUP_GET_DEVICE_FD = 0x3b6a;

function bench() {
  const base = paperBench();
  const { test: own, client } = base;
  const { kernel, calls } = own;
  const driver = createPaperDriver('vtd', { memory: kernel.memory });
  const device = driver.addDevice('nic', driver.addUnit(), { maxPasids: 1 << 20 });
  const vfio = base.add(device);
  const page = own.alloc(4096);
  const open = (path = pathOf('nic')): number => calls.open(path).value;
  const struct = (fd: number, command: number, ...words: number[]) => {
    own.poke(page, new Uint8Array(64));
    own.poke(page, new Uint8Array(Int32Array.from(words).buffer));
    return calls.ioctl(fd, command, page);
  };
  const word = (at: number): number => new DataView(own.peek(page, 64).buffer).getUint32(at, true);
  return { ...base, kernel, calls, driver, device, vfio, page, open, struct, word, client };
}

function is(answer: { readonly errno: number; readonly rule: string }, code: ErrnoName | 0): void {
  assert.is(answer.errno, code === 0 ? 0 : ERRNO[code], answer.rule);
}

test('BIND: size, tail, flags, descriptor, in this order (5.6)', () => {
  const { open, struct, calls, client, word, end } = bench();
  const fd = open();
  is(calls.ioctl(fd, BIND, 0n), 'EFAULT');
  is(struct(fd, BIND, 15, 0, client.fd), 'EINVAL');
  is(struct(fd, BIND, 28, 4, -1, 0, 0, 0, 1), 'E2BIG');
  is(struct(fd, BIND, 16, 0, -1), 'EINVAL');
  is(struct(fd, BIND, 16, 2, client.fd), 'EINVAL');
  is(struct(fd, BIND, 24, 1, client.fd), 'EINVAL');
  is(struct(fd, BIND, 16, 0, 99), 'EBADF');
  is(struct(fd, BIND, 16, 0, fd), 'EBADFD');
  is(struct(fd, ATTACH, 12, 0, 1), 'EINVAL');
  is(struct(fd, BIND, 28, 0, client.fd, 0, 0, 0, 0), 0);
  assert.is(word(12), 1, 'out_devid');
  is(struct(fd, BIND, 16, 0, client.fd), 'EINVAL');
  is(struct(open(), BIND, 16, 0, client.fd), 'EINVAL');
  is(struct(fd, 0x3b6b), 'ENOTTY');
  calls.close(fd);
  end();
});

test('BIND: an answer that cannot be written binds nothing', () => {
  const { open, calls, client, kernel, test: own, vfio, end } = bench();
  const fd = open();
  const memory = kernel.memory.bytes;
  const page = own.alloc(4096);
  own.poke(page, new Uint8Array(Int32Array.from([16, 0, client.fd]).buffer));
  is(calls.mprotect(Number(page), 4096, PROT_READ), 0);
  is(calls.ioctl(fd, BIND, page), 'EFAULT');
  assert.is(vfio.openCount, 0);
  assert.is(kernel.memory.bytes, memory);
  calls.close(fd);
  end();
});

test('a token is asked for by the device and by nobody else', () => {
  const { driver, device, kernel, open, struct, client, page, test: own, end, vfio } = bench();
  const check = (uuid: Uint8Array | null): void => {
    if (uuid?.[0] !== 7) fail('EACCES', 'the token is not the one of the physical function');
  };
  const guarded = new VfioDevice('vf', vfio.backend, { matchToken: check });
  kernel.registerNode('/dev/vfio/devices/vf', () => new VfioDeviceFile(kernel, guarded));
  const fd = open('/dev/vfio/devices/vf');
  const token = page + 1024n;
  const pointer = [Number(token & 0xffff_ffffn) | 0, Number(token >> 32n)];
  is(struct(fd, BIND, 16, 0, client.fd), 'EACCES');
  is(struct(fd, BIND, 24, 1, client.fd, 0, 0, 0), 'EFAULT');
  own.poke(token, [8]);
  is(struct(fd, BIND, 24, 1, client.fd, 0, ...pointer), 'EACCES');
  own.poke(token, [7]);
  is(struct(fd, BIND, 24, 1, client.fd, 0, ...pointer), 0);
  assert.is(driver.blocked, device.domain);
  own.calls.close(fd);
  end();
});

test('ATTACH and DETACH: the short form, the PASID form, and a second attach is a replace', () => {
  const { open, struct, word, client, device, calls, end } = bench();
  const fd = open();
  is(struct(fd, BIND, 16, 0, client.fd), 0);
  const ioas = client.ioasAlloc().id;
  const other = client.ioasAlloc().id;
  is(struct(fd, ATTACH, 11, 0, ioas), 'EINVAL');
  is(struct(fd, ATTACH, 12, 2, ioas), 'EINVAL');
  is(struct(fd, ATTACH, 12, 1, ioas), 'EINVAL');
  is(struct(fd, ATTACH, 12, 0, 77), 'ENOENT');
  is(struct(fd, DETACH, 7, 0), 'EINVAL');
  is(struct(fd, DETACH, 8, 2), 'EINVAL');
  is(struct(fd, DETACH, 8, 1), 'EINVAL');
  is(struct(fd, DETACH, 8, 0), 0);
  is(struct(fd, ATTACH, 12, 0, ioas), 0);
  const hwpt = word(8);
  assert.is.not(hwpt, ioas, 'pt_id is the page table really used');
  is(struct(fd, ATTACH, 12, 0, other), 0);
  is(struct(fd, ATTACH, 12, 0, hwpt + 1000), 'ENOENT');
  assert.is(device.domain.kind, 'paging');
  is(struct(fd, DETACH, 8, 0), 0);
  assert.is(device.domain.kind, 'blocked');
  calls.close(fd);
  end();
});

/** A page table that PASIDs may use, and a descriptor of the device on it. */
function withPasid() {
  const made = bench();
  const fd = made.open();
  made.struct(fd, BIND, 16, 0, made.client.fd);
  const device = { id: made.word(12) };
  const table = made.client.hwptAlloc({ device, on: made.client.ioasAlloc(), pasid: true });
  return { ...made, fd, table };
}

test('PASIDs: attach, replace, detach of what is not attached, and closing detaches all', () => {
  const { fd, struct, table, device, calls, client, end } = withPasid();
  is(struct(fd, ATTACH, 16, 1, table.id, 5), 0);
  is(struct(fd, ATTACH, 16, 1, table.id, 5), 0);
  is(struct(fd, ATTACH, 16, 1, client.ioasAlloc().id, 6), 'EINVAL');
  is(struct(fd, ATTACH, 16, 1, table.id, 1 << 20), 'EINVAL');
  is(struct(fd, ATTACH, 16, 1, table.id, -1), 'ENOSPC');
  is(struct(fd, ATTACH, 16, 1, table.id, 9), 0);
  assert.equal([...device.pasids.keys()], [5, 9]);
  is(struct(fd, DETACH, 12, 1, 6), 0);
  is(struct(fd, DETACH, 12, 1, 5), 0);
  assert.equal([...device.pasids.keys()], [9]);
  calls.close(fd);
  assert.is(device.pasids.size, 0);
  end();
});

test('quirk 18: a PASID attach whose answer cannot be written detaches the device itself', () => {
  const { fd, struct, table, device, calls, test: own, end } = withPasid();
  is(struct(fd, ATTACH, 12, 0, table.id), 0);
  const page = own.alloc(4096);
  own.poke(page, new Uint8Array(Int32Array.from([16, 1, table.id, 5]).buffer));
  is(calls.mprotect(Number(page), 4096, PROT_READ), 0);
  is(calls.ioctl(fd, ATTACH, page), 'EFAULT');
  assert.is(device.domain.kind, 'blocked', 'not the PASID, but the RID');
  assert.equal([...device.pasids.keys()], [5]);
  calls.close(fd);
  end();
});

test('a device outlives the descriptor of its context', () => {
  const { fd, struct, table, device, calls, client, kernel } = withPasid();
  is(struct(fd, ATTACH, 12, 0, table.id), 0);
  calls.close(client.fd);
  assert.is(device.domain.kind, 'paging');
  calls.close(fd);
  assert.is(device.domain.kind, 'blocked');
  assert.is(kernel.memory.bytes, 0);
});

test('an emulated device binds an access, attaches IOASes only, and has no PASIDs', () => {
  const { kernel, open, struct, client, word, calls, test: own, end } = bench();
  const pinned: bigint[] = [];
  const backend = new EmulatedBackend(() => {
    for (const iova of pinned.splice(0)) backend.access?.unpinPages(iova, 4096n);
  });
  const mdev = new VfioDevice('mdev', backend);
  kernel.registerNode('/dev/vfio/devices/mdev', () => new VfioDeviceFile(kernel, mdev));
  const fd = open('/dev/vfio/devices/mdev');
  is(struct(fd, BIND, 16, 0, client.fd), 0);
  assert.is(word(12), 1);
  const ioas = client.ioasAlloc();
  const userVa = own.alloc(4096);
  const iova = ioas.map({ userVa, length: 4096n });
  is(struct(fd, ATTACH, 12, 0, 1), 'ENOENT');
  is(struct(fd, ATTACH, 16, 1, ioas.id, 5), 'EOPNOTSUPP');
  is(struct(fd, ATTACH, 12, 0, ioas.id), 0);
  assert.is(word(8), ioas.id);
  assert.is(backend.access?.pinPages(iova, 4096n, true).length, 1);
  pinned.push(iova);
  ioas.unmap(iova, 4096n);
  assert.is(kernel.pins.total, 0, 'the driver was asked to let go');
  is(struct(fd, ATTACH, 12, 0, client.ioasAlloc().id), 0);
  is(struct(fd, DETACH, 8, 0), 0);
  is(struct(fd, DETACH, 8, 0), 0);
  calls.close(fd);
  end();
});

function grouped() {
  const made = bench();
  const group = new VfioGroup();
  group.add(made.vfio);
  made.kernel.registerNode('/dev/vfio/1', () => new VfioGroupFile(made.kernel, group));
  /** The group's SET_CONTAINER takes a pointer to the descriptor. */
  const set = (fd: number, container: number) => made.struct(fd, GROUP_SET_CONTAINER, container);
  const getFd = (fd: number, name: string) => {
    made.test.poke(made.page, new TextEncoder().encode(`${name}\0`));
    return made.calls.ioctl(fd, GROUP_GET_DEVICE_FD, made.page);
  };
  return { ...made, group, set, getFd };
}

test('a group and the devices of their own names exclude each other: EBUSY', () => {
  const { open, struct, calls, client, end } = grouped();
  const group = open('/dev/vfio/1');
  is(calls.open('/dev/vfio/1'), 'EBUSY');
  const fd = open();
  is(struct(fd, BIND, 16, 0, client.fd), 'EBUSY');
  calls.close(group);
  is(struct(fd, BIND, 16, 0, client.fd), 0);
  is(calls.open('/dev/vfio/1'), 'EBUSY');
  calls.close(fd);
  calls.close(open('/dev/vfio/1'));
  end();
});

test('a group makes the compatibility IOAS, and its devices are attached to it at once', () => {
  const { open, set, getFd, struct, calls, client, device, end } = grouped();
  const group = open('/dev/vfio/1');
  is(getFd(group, 'nic'), 'EINVAL');
  is(set(group, 99), 'EBADF');
  is(set(group, group), 'EBADFD');
  is(set(group, client.fd), 0);
  is(set(group, client.fd), 'EINVAL');
  assert.is(client.vfioIoas.id, 1);
  is(getFd(group, 'none'), 'ENODEV');
  const fd = getFd(group, 'nic');
  is(fd, 0);
  assert.is(device.domain.kind, 'paging');
  is(struct(fd.value, BIND, 16, 0, client.fd), 'EINVAL');
  is(struct(fd.value, ATTACH, 12, 0, 1), 'ENOTTY');
  calls.close(group);
  assert.is(device.domain.kind, 'paging', 'the device file holds the group');
  calls.close(fd.value);
  assert.is(device.domain.kind, 'blocked');
  end();
});

test('a group whose devices have no IOMMU excludes the compatibility IOAS', () => {
  const { open, set, struct, calls, client, group, vfio, end } = grouped();
  group.devices.splice(0, 1, new VfioDevice('raw', vfio.backend, { noIommu: true }));
  const fd = open('/dev/vfio/1');
  client.setVfioIoas(client.ioasAlloc());
  is(set(fd, client.fd), 'EINVAL');
  client.setVfioIoas(null);
  is(set(fd, client.fd), 0);
  assert.is(calls.ioctl(client.fd, 0x3b65, 1n).value, 0);
  is(calls.ioctl(client.fd, 0x3b66, 1n), 'EINVAL');
  is(calls.ioctl(client.fd, 0x3b66, 8n), 0);
  is(struct(fd, GROUP_UNSET_CONTAINER), 0);
  is(struct(fd, GROUP_UNSET_CONTAINER), 'EINVAL');
  calls.close(fd);
  end();
});

test.run();
