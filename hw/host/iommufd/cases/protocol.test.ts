/** Reference 10.1: dispatch, sizes of structures, options of the context. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { IOCTLS } from '../uapi/ioctls.ts';
import { Bench, rule } from './fixture.ts';

const RLIMIT = { option_id: 'RLIMIT_MODE', op: 'SET' };

rule('1: a context is opened and closed, and nothing else', (b) => {
  assert.ok(b.context.objects.empty);
  assert.is(b.calls.close(b.fd).errno, 0);
});

rule('2: DESTROY of id 0 is ENOENT', (b) => {
  b.refuse('ENOENT', 'DESTROY', { id: 0 });
});

rule('3: DESTROY with a NULL argument is EFAULT', (b) => {
  b.refuse('EFAULT', 'DESTROY', {}, { address: 0n });
});

rule('4: a command number below the table with a valid buffer is ENOTTY', (b) => {
  const address = b.place(Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0));
  assert.is(b.calls.ioctl(b.fd, 0x3b7f, address).errno, 25);
});

/** Too short, too long with something in the tail, too long with nothing in it. */
function sizeRule(name: string, command: string): void {
  rule(name, (b) => {
    const { minSize } = IOCTLS[command].layout;
    b.refuse('EINVAL', command, { size: minSize - 1 });
    b.refuse('E2BIG', command, {}, { tail: Uint8Array.of(0xff) });
    const longer = b.call(command, {}, { tail: Uint8Array.of(0) });
    const other = new Bench({});
    const exact = other.call(command);
    other.end();
    assert.is(longer.error, exact.error);
    assert.equal(longer.out, exact.out);
  });
}

sizeRule('5: the size of DESTROY', 'DESTROY');
sizeRule('6: the size of GET_HW_INFO', 'GET_HW_INFO');
sizeRule('7: the size of HWPT_ALLOC', 'HWPT_ALLOC');
sizeRule('8: the size of HWPT_INVALIDATE', 'HWPT_INVALIDATE');
sizeRule('9: the size of IOAS_ALLOC', 'IOAS_ALLOC');
sizeRule('10: the size of IOAS_IOVA_RANGES', 'IOAS_IOVA_RANGES');
sizeRule('11: the size of IOAS_ALLOW_IOVAS', 'IOAS_ALLOW_IOVAS');
sizeRule('12: the size of IOAS_MAP', 'IOAS_MAP');
sizeRule('13: the size of IOAS_COPY', 'IOAS_COPY');
sizeRule('14: the size of IOAS_UNMAP', 'IOAS_UNMAP');
sizeRule('15: the size of OPTION', 'OPTION');
sizeRule('16: the size of VFIO_IOAS', 'VFIO_IOAS');
sizeRule('17: the size of IOAS_MAP_FILE', 'IOAS_MAP_FILE');
sizeRule('18: the size of VIOMMU_ALLOC', 'VIOMMU_ALLOC');
sizeRule('19: the size of VDEVICE_ALLOC', 'VDEVICE_ALLOC');
sizeRule('20: the size of IOAS_CHANGE_PROCESS', 'IOAS_CHANGE_PROCESS');

rule('21: DESTROY of id 0 with a tail of 8 zero bytes is ENOENT', (b) => {
  b.refuse('ENOENT', 'DESTROY', { id: 0 }, { tail: new Uint8Array(8) });
});

rule('22: DESTROY with a tail that holds 1 is E2BIG', (b) => {
  const tail = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);
  b.refuse('E2BIG', 'DESTROY', { id: 0 }, { tail });
});

rule('23: the tail counts only as far as size goes: with size 8 it is ENOENT', (b) => {
  const tail = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);
  const whole = Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0, ...tail);
  assert.is(b.calls.ioctl(b.fd, 0x3b80, b.place(whole)).errno, 2);
});

rule('24: DESTROY with size 7 is EINVAL', (b) => {
  b.refuse('EINVAL', 'DESTROY', { size: 7 });
});

rule('25: RLIMIT_MODE of a fresh context reads 0, whatever val64 was', (b) => {
  const { out } = b.ok('OPTION', { option_id: 'RLIMIT_MODE', op: 'GET', val64: 1 });
  assert.is(out.val64, 0n);
});

rule('26: RLIMIT_MODE is set to 1 by a privileged process while there are no objects', (b) => {
  b.ok('OPTION', { ...RLIMIT, val64: 1 });
});

rule('27: RLIMIT_MODE 2 is EINVAL', (b) => {
  b.refuse('EINVAL', 'OPTION', { ...RLIMIT, val64: 2 });
});

rule('28: RLIMIT_MODE reads 1 after it was set, also after a refused value', (b) => {
  b.ok('OPTION', { ...RLIMIT, val64: 1 });
  b.refuse('EINVAL', 'OPTION', { ...RLIMIT, val64: 2 });
  assert.is(b.ok('OPTION', { ...RLIMIT, op: 'GET' }).out.val64, 1n);
});

rule('29: RLIMIT_MODE is set back to 0', (b) => {
  b.ok('OPTION', { ...RLIMIT, val64: 1 });
  b.ok('OPTION', { ...RLIMIT, val64: 0 });
  assert.is(b.ok('OPTION', { ...RLIMIT, op: 'GET' }).out.val64, 0n);
});

rule('30: HUGE_PAGES is read of an IOAS: object 0 is ENOENT', (b) => {
  b.refuse('ENOENT', 'OPTION', { option_id: 'HUGE_PAGES', op: 'GET' });
});

rule('31: HUGE_PAGES is set of an IOAS: object 0 is ENOENT', (b) => {
  b.refuse('ENOENT', 'OPTION', { option_id: 'HUGE_PAGES', op: 'SET' });
});

test.run();
