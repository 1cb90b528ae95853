/** Registers of the VT-d unit: masks, latching, register-based invalidation. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bench, DEVICE, ROOT, request } from './fixture.ts';
import * as R from './layout.ts';

test('reset leaves both event interrupts masked and everything else clear', () => {
  const bench = new Bench();
  assert.is(bench.read(R.FECTL), 0x80000000n);
  assert.is(bench.read(R.IECTL), 0x80000000n);
  for (const offset of [R.GSTS, R.FSTS, R.ICS, R.PMEN]) assert.is(bench.read(offset), 0n);
  for (const offset of [R.RTADDR, R.IQH, R.IQT, R.IQA]) assert.is(bench.read(offset, 8), 0n);
});

test('capability registers are read-only', () => {
  const bench = new Bench();
  const cap = bench.read(R.CAP, 8);
  bench.write(R.CAP, 0n, 8);
  bench.write(R.VER, 0xff);
  bench.write(R.GSTS, 0xffffffff);
  assert.is(bench.read(R.CAP, 8), cap);
  assert.is(bench.read(R.VER), 0x10n);
  assert.is(bench.read(R.GSTS), 0n);
});

test('capability registers tell the parameters', () => {
  const bench = new Bench({
    levels: '4',
    fault_records: 3,
    domain_id_bits: '8',
    large_pages: '2MiB',
  });
  const { features } = bench.unit.state;
  assert.is(features.sagaw, 0b110);
  assert.is(features.guestBits, 48);
  assert.is(features.faultRecords, 3);
  assert.is(features.domainBits, 8);
  assert.is(features.superpages, 1);
});

test('addresses have no bits at or above the host address width', () => {
  const bench = new Bench({ host_address_bits: 40 });
  bench.write(R.RTADDR, 0xffff_ffff_ffff_ffffn, 8);
  assert.is(bench.read(R.RTADDR, 8), 0xff_ffff_f000n);
});

test('the global command register reads as zero, its levels show in the status', () => {
  const bench = new Bench().enable();
  assert.is(bench.read(R.GCMD), 0n);
  assert.is(bench.read(R.GSTS), 0xc4000000n);
  bench.write(R.GCMD, R.GCMD_QIE);
  assert.is(bench.read(R.GSTS), 0x44000000n);
});

test('the root table address takes effect at "set root table pointer", not before', () => {
  const bench = new Bench().enable().attach(DEVICE, 1n);
  bench.write(R.RTADDR, 0x20_0000n, 8);
  assert.is(bench.fetch(request(0n)).faultCode, 0);
  bench.write(R.GCMD, R.GCMD_SRTP + R.GCMD_QIE + R.GCMD_TE);
  assert.is(bench.fetch(request(0n)).faultCode, R.REASON_ROOT_NOT_PRESENT);
});

test('"set root table pointer" drops cached entries only with CAP.ESRTPS', () => {
  const bench = new Bench();
  bench.write(R.GCMD, R.GCMD_SRTP);
  assert.is(bench.flushes, 1);
  const cap = bench.read(R.CAP, 8) & ~(1n << 63n);
  const plain = new Bench({}, { cap });
  plain.write(R.GCMD, R.GCMD_SRTP);
  assert.is(plain.flushes, 0);
  assert.is(plain.read(R.GSTS), 0x40000000n);
});

test('switching translation drops cached entries', () => {
  const bench = new Bench();
  bench.write(R.GCMD, R.GCMD_TE);
  assert.is(bench.flushes, 1);
  bench.write(R.GCMD, R.GCMD_TE);
  assert.is(bench.flushes, 1);
  bench.write(R.GCMD, 0);
  assert.is(bench.flushes, 2);
});

test('disabling the queue returns its head to zero', () => {
  const bench = new Bench().enable();
  bench.submit([0x45n, 0n]);
  assert.is(bench.read(R.IQH, 8), 0x10n);
  bench.write(R.GCMD, R.GCMD_TE);
  assert.is(bench.read(R.IQH, 8), 0n);
});

test('the tail register keeps bits 18:4 only', () => {
  const bench = new Bench();
  bench.write(R.IQT, -1n & 0xffff_ffff_ffff_ffffn, 8);
  assert.is(bench.read(R.IQT, 8), 0x7fff0n);
});

test('register-based invalidation is served as a global one and says so', () => {
  const bench = new Bench();
  const iotlb = bench.unit.state.features.iotlbOffset + 8;
  bench.write(R.CCMD, (1n << 63n) | (3n << 61n) | 0x100005n, 8);
  assert.is(bench.flushes, 1);
  assert.is(bench.read(R.CCMD, 8), (3n << 61n) | (1n << 59n) | 0x100005n);
  bench.write(iotlb, (1n << 63n) | (2n << 60n) | (5n << 32n), 8);
  assert.is(bench.flushes, 2);
  assert.is(bench.read(iotlb, 8), (2n << 60n) | (1n << 57n) | (5n << 32n));
});

test('register-based invalidation is not served while the queue is enabled', () => {
  const bench = new Bench().enable();
  const before = bench.flushes;
  bench.write(R.CCMD, (1n << 63n) | (1n << 61n), 8);
  assert.is(bench.flushes, before);
  assert.is(bench.read(R.CCMD, 8), 1n << 61n);
});

test('interrupt remapping registers exist only with ECAP.IR', () => {
  const bench = new Bench();
  bench.write(R.IRTA, 0x58_0000fn, 8);
  bench.write(R.GCMD, R.GCMD_SIRTP + R.GCMD_IRE);
  assert.is(bench.read(R.IRTA, 8), 0x58_0000fn);
  assert.is(bench.read(R.GSTS), 0x03000000n);
  const plain = new Bench({}, { ecap: bench.read(R.ECAP, 8) & ~8n });
  plain.write(R.IRTA, 0x58_0000fn, 8);
  plain.write(R.GCMD, R.GCMD_SIRTP + R.GCMD_IRE);
  assert.is(plain.read(R.IRTA, 8), 0n);
  assert.is(plain.read(R.GSTS), 0n);
});

test('protected regions follow PMEN.EPM where the capability has them', () => {
  const plain = new Bench();
  plain.write(R.PMEN, R.PMEN_EPM);
  assert.is(plain.read(R.PMEN), 0n);
  const bench = new Bench({}, { cap: plain.read(R.CAP, 8) | (3n << 5n) });
  bench.write(R.PLMBASE, 0x20_0000);
  bench.write(R.PLMLIMIT, 0x3f_ffff);
  bench.write(R.PMEN, R.PMEN_EPM);
  assert.is(bench.read(R.PMEN), 0x80000001n);
  const blocked = (address: bigint): boolean => {
    const { result } = bench.fetch(request(address));
    return bench.unit.checkRequest(request(address), result!) !== 0;
  };
  assert.is(blocked(0x1f_ffffn), false);
  assert.is(blocked(0x20_0000n), true);
  assert.is(blocked(0x3f_ffffn), true);
  assert.is(blocked(0x40_0000n), false);
});

test('restoring words puts state in place without ringing or flushing', () => {
  const bench = new Bench().attach(DEVICE, 1n);
  const words = new Map([
    [R.GSTS, 0xc4000000 | 0],
    [R.RTADDR, Number(ROOT)],
    [R.IQH, 0x20],
    [R.IQT, 0x20],
  ]);
  bench.unit.registers.restore(words);
  assert.is(bench.doorbells + bench.flushes, 0);
  assert.is(bench.fetch(request(0n)).faultCode, 0);
  assert.is(bench.unit.commands.pending(), false);
});

test('only aligned accesses of 4 and 8 bytes are taken', () => {
  const bench = new Bench();
  assert.throws(() => bench.unit.registers.read(R.GSTS, 2), /aligned 4 or 8 byte/);
  assert.throws(() => bench.unit.registers.read(R.GSTS, 8), /aligned 4 or 8 byte/);
  assert.is(bench.read(0x10000), 0n);
});

test.run();
