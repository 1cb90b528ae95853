import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  OP_INVALIDATE_CONTEXT,
  OP_INVALIDATE_TRANSLATIONS,
  Operation,
  TAG_NONE,
} from '../architecture.ts';
import { DEFAULT_RISCV_SPEC, decodeCapabilities } from './capabilities.ts';
import {
  type CommandRules,
  commandLegal,
  commandName,
  decodeDirectoryInvalidation,
  decodeTranslationInvalidation,
} from './command-format.ts';

const CAPS = decodeCapabilities(DEFAULT_RISCV_SPEC.capabilities);
const RULES: CommandRules = { caps: CAPS, wired: false, deviceIdBits: 15 };

function words(low: bigint, high = 0n): Int32Array {
  return new Int32Array(new BigInt64Array([low, high].map((v) => BigInt.asIntN(64, v))).buffer);
}

const legal = (low: bigint, high = 0n, rules: CommandRules = RULES): boolean =>
  commandLegal(words(low, high), rules);
const bit = (position: number): bigint => 1n << BigInt(position);

const VMA = 0x001n;
const GVMA = 0x081n;
const FENCE = 0x002n;
const INVAL_DDT = 0x003n;
const INVAL_PDT = 0x083n;
const ATS_INVAL = 0x004n;

test('each command is known by opcode and function', () => {
  const names = [0x001, 0x081, 0x002, 0x003, 0x083, 0x004, 0x084].map(commandName);
  assert.equal(names, [
    'IOTINVAL.VMA',
    'IOTINVAL.GVMA',
    'IOFENCE.C',
    'IODIR.INVAL_DDT',
    'IODIR.INVAL_PDT',
    'ATS.INVAL',
    'ATS.PRGR',
  ]);
  for (const code of [0x000, 0x101, 0x082, 0x103, 0x104, 0x005, 0x07f]) {
    assert.is(commandName(code), null);
    assert.is(legal(BigInt(code)), false);
  }
});

test('reserved bits make a command illegal', () => {
  for (const position of [11, 35, 43, 60, 63]) assert.is(legal(VMA | bit(position)), false);
  for (const position of [0, 8, 62, 63]) assert.is(legal(VMA, bit(position)), false);
  assert.is(legal(VMA, (bit(62) - 1n) & ~0x1ffn), true);
  for (const position of [14, 31]) assert.is(legal(FENCE | bit(position)), false);
  assert.is(legal(FENCE | (0xffffffffn << 32n), bit(62) - 1n), true);
  assert.is(legal(FENCE, bit(62)), false);
  for (const position of [10, 12, 32, 34]) assert.is(legal(INVAL_DDT | bit(position)), false);
  assert.is(legal(INVAL_DDT, 1n), false);
  for (const position of [10, 34, 39]) assert.is(legal(ATS_INVAL | bit(position)), false);
});

test('PSCV belongs to IOTINVAL.VMA only', () => {
  assert.is(legal(VMA | bit(32)), true);
  assert.is(legal(GVMA | bit(32)), false);
});

test('NL and S are legal with their extensions, ATS commands with ATS', () => {
  const bare = { ...RULES, caps: { ...CAPS, nl: false, s: false, ats: false } };
  assert.is(legal(VMA | bit(34), bit(9)), true);
  assert.is(legal(VMA | bit(34), 0n, bare), false);
  assert.is(legal(VMA, bit(9), bare), false);
  assert.is(legal(ATS_INVAL, 0n), true);
  assert.is(legal(ATS_INVAL, 0n, bare), false);
});

test('the WSI bit of a fence needs wired interrupts', () => {
  assert.is(legal(FENCE | bit(11)), false);
  assert.is(legal(FENCE | bit(11), 0n, { ...RULES, wired: true }), true);
});

test('INVAL_PDT needs a device; ids are bounded by the directory and the supported width', () => {
  assert.is(legal(INVAL_PDT), false);
  assert.is(legal(INVAL_PDT | bit(33)), true);
  assert.is(legal(INVAL_DDT | bit(33) | (0x7fffn << 40n)), true);
  assert.is(legal(INVAL_DDT | bit(33) | (0x8000n << 40n)), false);
  assert.is(legal(INVAL_DDT | (0x8000n << 40n)), true, 'DID is ignored without DV');
  const narrow = { ...RULES, caps: { ...CAPS, pd20: false } };
  assert.is(legal(INVAL_PDT | bit(33) | (0x1ffffn << 12n), 0n, narrow), true);
  assert.is(legal(INVAL_PDT | bit(33) | (0x20000n << 12n), 0n, narrow), false);
});

function decode(low: bigint, high = 0n): Operation {
  const operation = new Operation();
  operation.code = Number(low & 0x3ffn);
  const decoder =
    (low & 0x7fn) === 1n ? decodeTranslationInvalidation : decodeDirectoryInvalidation;
  decoder(words(low, high), operation);
  return operation;
}

test('IOTINVAL.VMA without GV is about entries that have no second stage', () => {
  const operation = decode(VMA | bit(32) | (0x12345n << 12n));
  assert.is(operation.kind, OP_INVALIDATE_TRANSLATIONS);
  assert.is(operation.tag1, 0x12345);
  assert.is(operation.tag2, TAG_NONE);
  assert.is(operation.stage, 1);
  assert.is(operation.includeGlobal, 0, 'with PSCV global entries stay');
  assert.is(operation.hasAddress, 0);
});

test('IOTINVAL.GVMA is about guests: all of them, one, or an address of one', () => {
  assert.is(decode(GVMA).tag2, -1);
  assert.is(decode(GVMA | bit(33) | (0xabcdn << 44n)).tag2, 0xabcd);
  assert.is(decode(GVMA | bit(10), 0x400n).hasAddress, 0, 'AV is ignored without GV');
  const operation = decode(GVMA | bit(10) | bit(33), 0x12345n << 10n);
  assert.equal([operation.hasAddress, operation.hi, operation.lo], [1, 0, 0x12345]);
  assert.is(operation.guestAddress, 1);
});

test('NL decides whether pointers to lower tables go too', () => {
  assert.is(decode(VMA | bit(10)).leafOnly, 1);
  assert.is(decode(VMA | bit(10) | bit(34)).leafOnly, 0);
  assert.is(decode(VMA).leafOnly, 0);
});

test('with S the address is a NAPOT range', () => {
  const range = (page: bigint): number[] => {
    const { hi, lo, order } = decode(VMA | bit(10), (page << 10n) | bit(9));
    return [hi, lo, order];
  };
  assert.equal(range(0x100n), [0, 0x100, 1]);
  assert.equal(range(0x107n), [0, 0x100, 4]);
  assert.equal(range((6n << 27n) | 0x7ffffffn), [6, 0, 28]);
  assert.equal(range(bit(51) - 1n), [0, 0, 52], 'the whole address space');
});

test('IODIR drops one process, one device, or everything', () => {
  const one = decode(INVAL_PDT | bit(33) | (7n << 40n) | (0x55n << 12n));
  assert.is(one.kind, OP_INVALIDATE_CONTEXT);
  assert.equal([one.deviceId, one.pasid], [7, 0x55]);
  assert.equal([decode(INVAL_DDT).deviceId, decode(INVAL_DDT).pasid], [-1, -1]);
  const zero = decode(INVAL_PDT | bit(33) | (7n << 40n));
  assert.is(zero.pasid, -1, 'process 0 may serve requests without a process id');
});

test.run();
