import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pnHi, pnLo } from '../../address.ts';
import {
  encodeFence,
  encodeInvalDdt,
  encodeInvalGvma,
  encodeInvalVma,
  restrictToPage,
} from './riscv-commands.ts';
import {
  coveringOrder,
  encodeContextInvalidate,
  encodeIotlbInvalidate,
  encodePageInvalidate,
  encodeWait,
} from './vtd-commands.ts';

const words = new Int32Array(4);

function doublewords(): string {
  const at = (i: number): bigint =>
    (BigInt((words[i + 1] as number) >>> 0) << 32n) | BigInt((words[i] as number) >>> 0);
  return `${at(0).toString(16)} ${at(2).toString(16)}`;
}

// Commands that Linux 7.2 posted to emulated hardware (recordings riscv-s, x86-legacy-strict).

test('riscv: all translations of a process are those recorded from Linux', () => {
  encodeInvalVma(words, 1, -1);
  assert.is(doublewords(), '100001001 0');
});

test('riscv: one page of a process is that recorded from Linux', () => {
  encodeInvalVma(words, 7, -1);
  restrictToPage(words, pnHi(0xff49f), pnLo(0xff49f));
  assert.is(doublewords(), '100007401 3fd27c00');
});

test('riscv: the context of one device, and of all, are those recorded from Linux', () => {
  encodeInvalDdt(words, 0);
  assert.is(doublewords(), '200000003 0');
  encodeInvalDdt(words, -1);
  assert.is(doublewords(), '3 0');
});

// By hand from the specification, "Command-Queue": PSCID 31:12, PSCV 32, GV 33, GSCID 59:44.
test('riscv: a guest process has GV and GSCID beside PSCV and PSCID', () => {
  encodeInvalVma(words, 0xabcde, 0x1234);
  assert.is(doublewords(), '1234003abcde001 0');
});

test('riscv: a guest page goes to func3 1 with the address at bits 61:10', () => {
  encodeInvalGvma(words, 5);
  restrictToPage(words, pnHi(0xfffffffffffff), pnLo(0xfffffffffffff));
  assert.is(doublewords(), '500200000481 3ffffffffffffc00');
});

test('riscv: a fence stores DATA 63:32 at ADDR, held shifted right by two', () => {
  encodeFence(words, 0x7654321, pnHi(0x123456789), pnLo(0x123456789), 0x104);
  assert.is(doublewords(), `765432100003402 ${(0x123456789104n >> 2n).toString(16)}`);
});

test('riscv: DID stands at bits 63:40', () => {
  encodeInvalDdt(words, 0xabcdef);
  assert.is(doublewords(), 'abcdef0200000003 0');
});

test('vtd: one page of a domain is that recorded from Linux', () => {
  encodePageInvalidate(words, 9, 0xc0, pnHi(0xffffd), pnLo(0xffffd), 0, true);
  assert.is(doublewords(), '900f2 ffffd040');
});

test('vtd: 32 pages are one aligned command, as recorded from Linux', () => {
  encodePageInvalidate(words, 9, 0xc0, pnHi(0xffc23), pnLo(0xffc23), 5, true);
  assert.is(doublewords(), '900f2 ffc20045');
});

test('vtd: a wait writes its status, as recorded from Linux', () => {
  encodeWait(words, 2, 0, 0x5371, 0xc04);
  assert.is(doublewords(), '200000025 5371c04');
});

// By hand from the specification, "Context-cache Invalidate" and "IOTLB Invalidate" descriptors.
test('vtd: device and domain granularity have their fields', () => {
  encodeContextInvalidate(words, 3, 0x11, 0x0108);
  assert.is(doublewords(), '10800110031 0');
  encodeIotlbInvalidate(words, 2, 0x11, 0);
  assert.is(doublewords(), '110022 0');
});

test('vtd: a mask covers a range that straddles its alignment', () => {
  assert.is(coveringOrder(8, 1), 0);
  assert.is(coveringOrder(8, 8), 3);
  assert.is(coveringOrder(8, 9), 5);
  assert.is(coveringOrder(7, 2), 4);
});

test.run();
