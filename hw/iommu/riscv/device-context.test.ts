import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DEFAULT_RISCV_SPEC, encodeCapabilities, FCTL_GXL, IGS_MSI } from './capabilities.ts';
import {
  decodeDevice,
  deviceMisconfigured,
  type Instance,
  instanceOf,
  PROCESS_ID_BITS,
} from './device-context.ts';
import { processMisconfigured } from './process-context.ts';

const FULL = instanceOf(DEFAULT_RISCV_SPEC, 0);

/** Doublewords to words. */
function words(...doublewords: readonly bigint[]): Int32Array {
  const out = new Int32Array(16);
  doublewords.forEach((value, index) => {
    out[2 * index] = Number(BigInt.asIntN(32, value));
    out[2 * index + 1] = Number(BigInt.asIntN(32, value >> 32n));
  });
  return out;
}

const tc = (...bits: readonly number[]): bigint =>
  bits.reduce((sum, b) => sum | (1n << BigInt(b)), 1n);
const mode = (value: number): bigint => BigInt(value) << 60n;

/** Instance with some features taken away. */
function without(...features: string[]): Instance {
  const caps = { ...FULL.caps };
  for (const name of features) (caps as unknown as Record<string, boolean>)[name] = false;
  return { ...FULL, caps };
}

const CASES: readonly (readonly [string, readonly bigint[], Instance, boolean])[] = [
  ['everything bare', [tc()], FULL, false],
  ['custom bits of tc are free', [tc(24, 31)], FULL, false],
  ['reserved bit 12 of tc', [tc(12)], FULL, true],
  ['reserved high half of tc', [tc(40)], FULL, true],
  ['reserved low bits of ta', [tc(), 0n, 1n], FULL, true],
  ['QoS ids without the extension', [tc(), 0n, 1n << 40n], FULL, true],
  ['reserved bits of fsc', [tc(), 0n, 0n, 1n << 44n], FULL, true],
  ['reserved last doubleword', [tc(), 0n, 0n, 0n, 0n, 0n, 0n, 1n], FULL, true],
  ['EN_ATS', [tc(1)], FULL, false],
  ['EN_ATS without ATS', [tc(1)], without('ats'), true],
  ['EN_PRI without EN_ATS', [tc(2)], FULL, true],
  ['PRPR without EN_PRI', [tc(1, 6)], FULL, true],
  ['T2GPA with a bare second stage', [tc(1, 3)], FULL, true],
  ['T2GPA', [tc(1, 3), mode(8)], FULL, false],
  ['T2GPA without the capability', [tc(1, 3), mode(8)], without('t2gpa'), true],
  ['DPE without PDTV', [tc(9)], FULL, true],
  ['SADE without AMO_HWAD', [tc(8)], without('amoHwad'), true],
  ['SBE without END', [tc(10)], FULL, true],
  ['SXL where GXL is writable', [tc(11), 0n, 0n, mode(8)], FULL, false],
  ['SXL where GXL is fixed to 0', [tc(11)], { ...FULL, gxlWritable: false }, true],
  ['SXL = 0 with GXL = 1', [tc()], { ...FULL, gxl: true }, true],
  ['Sv48', [tc(), 0n, 0n, mode(9)], FULL, false],
  ['Sv57 without the capability', [tc(), 0n, 0n, mode(10)], without('sv57'), true],
  ['reserved first-stage mode', [tc(), 0n, 0n, mode(11)], FULL, true],
  ['PD20', [tc(5), 0n, 0n, mode(3)], FULL, false],
  ['PD17 without the capability', [tc(5), 0n, 0n, mode(2)], without('pd17'), true],
  ['reserved process directory mode', [tc(5), 0n, 0n, mode(4)], FULL, true],
  ['Sv39x4', [tc(), mode(8) | 4n], FULL, false],
  ['root not aligned to 16 KiB', [tc(), mode(8) | 2n], FULL, true],
  ['Sv57x4 without the capability', [tc(), mode(10)], without('sv57x4'), true],
  ['flat MSI table', [tc(), mode(8), 0n, 0n, mode(1)], FULL, false],
  ['MSI table with a bare second stage', [tc(), 0n, 0n, 0n, mode(1)], FULL, true],
  ['reserved MSI table mode', [tc(), mode(8), 0n, 0n, mode(2)], FULL, true],
  ['MSI mask wider than guest addresses', [tc(), 0n, 0n, 0n, 0n, 1n << 47n], FULL, true],
  ['MSI mask as wide as guest addresses', [tc(), 0n, 0n, 0n, 0n, 1n << 46n], FULL, false],
];

for (const [name, doublewords, instance, misconfigured] of CASES) {
  test(`device context: ${name} is ${misconfigured ? 'misconfigured' : 'legal'}`, () => {
    assert.is(deviceMisconfigured(words(...doublewords), instance), misconfigured);
  });
}

test('with GXL = 1 the second stage is Sv32x4 or bare', () => {
  const instance = instanceOf(DEFAULT_RISCV_SPEC, FCTL_GXL);
  assert.is(deviceMisconfigured(words(tc(11), mode(8)), instance), false);
  assert.is(deviceMisconfigured(words(tc(11), mode(9)), instance), true);
});

test('the base format has no MSI fields', () => {
  const spec = { ...DEFAULT_RISCV_SPEC, capabilities: encodeCapabilities(['sv39'], IGS_MSI, 46) };
  const instance = instanceOf(spec, 0);
  const context = words(tc(), 0n, 0n, 0n, -1n, -1n, -1n, -1n);
  assert.is(deviceMisconfigured(context, instance), false);
  assert.is(decodeDevice(context, instance.caps).msi, false);
});

test('fields are found where the layout has them', () => {
  const iohgatp = mode(9) | (0x1234n << 44n) | 0xabcdef12344n;
  const fsc = mode(8) | 0x80000000001n;
  const device = decodeDevice(words(tc(4), iohgatp, 0x56789n << 12n, fsc), FULL.caps);
  assert.is(device.dtf, true);
  assert.is(device.gscid, 0x1234);
  assert.is(device.pscid, 0x56789);
  assert.is(device.iohgatpMode, 9);
  assert.is((BigInt(device.iohgatpHi) << 27n) | BigInt(device.iohgatpLo), 0xabcdef12344n);
  assert.is((BigInt(device.fscHi) << 27n) | BigInt(device.fscLo), 0x80000000001n);
});

test('process contexts: reserved bits and unsupported modes are misconfigured', () => {
  assert.is(processMisconfigured(words(7n, mode(8)), false, FULL), false);
  assert.is(processMisconfigured(words(1n | (1n << 3n)), false, FULL), true);
  assert.is(processMisconfigured(words(1n | (1n << 32n)), false, FULL), true);
  assert.is(processMisconfigured(words(1n, 1n << 50n), false, FULL), true);
  assert.is(processMisconfigured(words(1n, mode(9)), false, FULL), false);
  assert.is(processMisconfigured(words(1n, mode(9)), true, FULL), true);
  assert.is(processMisconfigured(words(1n, mode(10)), false, without('sv57')), true);
});

test('process directories of 1, 2 and 3 levels take 8, 17 and 20 bits', () => {
  assert.equal(PROCESS_ID_BITS, [0, 8, 17, 20]);
});

test.run();
