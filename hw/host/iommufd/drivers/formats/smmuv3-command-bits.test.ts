import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { refused } from '../paper/testbench.ts';
import { type CommandSupport, checkCommandBits } from './smmuv3-command-bits.ts';

const ALL: CommandSupport = {
  rangeInvalidation: true,
  largeAddresses: true,
  ats: true,
  substreams: true,
  wideAsid: true,
};

const VMID = 3n << 32n;
const ASID = 0x1234n << 48n;
const SID = 5n << 32n;
const SSID = 7n << 12n;
const NUM = 3n << 12n;
const SCALE = 1n << 20n;
const SCALE_TOP = 1n << 25n;
const TG_4K = 1n << 10n;
const TG_16K = 2n << 10n;
const TTL_1 = 1n << 8n;

function fine(word0: bigint, word1: bigint, support: Partial<CommandSupport> = {}): void {
  assert.not.throws(() => checkCommandBits([word0, word1], { ...ALL, ...support }));
}

function bad(word0: bigint, word1: bigint, support: Partial<CommandSupport> = {}): void {
  refused('EIO', () => checkCommandBits([word0, word1], { ...ALL, ...support }));
}

test('commands without address: each takes its own fields and no other', () => {
  fine(0x30n, 0n);
  bad(0x30n | VMID, 0n);
  fine(0x10n | VMID, 0n);
  bad(0x10n | VMID | ASID, 0n);
  bad(0x10n, 1n);
  fine(0x11n | VMID | ASID, 0n);
  bad(0x11n | ASID, 0n, { wideAsid: false });
  fine(0x11n | (0x34n << 48n), 0n, { wideAsid: false });
});

test('by address: the ASID belongs to NH_VA alone', () => {
  fine(0x13n | VMID, 0x1001n);
  bad(0x13n | ASID, 0n);
  fine(0x12n | VMID | ASID, 0x1001n);
  bad(0x12n, 2n);
});

test('ranges need the feature, a granule, and a granule needs a range', () => {
  fine(0x12n | NUM | SCALE, TG_4K);
  bad(0x12n | NUM, TG_4K, { rangeInvalidation: false });
  bad(0x12n | NUM, 0n);
  bad(0x12n, TTL_1);
  bad(0x12n, TG_4K);
  fine(0x12n, TG_16K | TTL_1);
  bad(0x12n, TG_16K | TTL_1, { largeAddresses: false });
  fine(0x12n | SCALE_TOP, TG_4K);
  bad(0x12n | SCALE_TOP, TG_4K, { largeAddresses: false });
});

test('ATC_INV: ATS, size up to 52, substreams', () => {
  const fields = (1n << 11n) | SSID | (1n << 9n);
  fine(0x40n | SID | fields, 0x1000n | 52n);
  bad(0x40n | SID, 53n);
  bad(0x40n | SID | fields, 0n, { substreams: false });
  bad(0x40n | SID, 0n, { ats: false });
});

test('context descriptors', () => {
  fine(0x05n | SID | SSID, 1n);
  bad(0x05n | SID | SSID, 1n, { substreams: false });
  bad(0x05n | SID, 2n);
  fine(0x06n | SID, 0n);
  bad(0x06n | SID | SSID, 0n);
  bad(0x03n | SID, 0n);
});

test.run();
