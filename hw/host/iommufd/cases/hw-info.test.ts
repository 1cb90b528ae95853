/** Reference 10.7: GET_HW_INFO of mock devices. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bench, type MockDevice, NO_DIRTY, number, rule, WITH_PASID } from './fixture.ts';

const TYPE = 0xfeedbeef;
const FILL: readonly number[] = new Array(8).fill(0xff);
const INFO = [0, 0, 0, 0, 0xef, 0xbe, 0xad, 0xde];

function infoRule(name: string, run: (b: Bench, device: MockDevice) => void, flags = 0): void {
  rule(name, (b) => run(b, b.mock(b.ioas(), flags)));
}

/** What a buffer that was full of 0xff holds after the call. */
function bufferAfter(b: Bench, device: MockDevice, length: number): number[] {
  const data_uptr = b.place(new Uint8Array(length + 8).fill(0xff));
  const answer = b.ok('GET_HW_INFO', { dev_id: device.idev, data_len: length, data_uptr });
  assert.is(number(answer, 'data_len'), 8);
  return [...b.peek(data_uptr, length + 8)];
}

infoRule('83: data_len 0 tells type and length', (b, { idev }) => {
  const { out, returned } = b.ok('GET_HW_INFO', { dev_id: idev, data_len: 0, data_uptr: 0 });
  assert.is(out.data_len, 8);
  assert.is(new DataView(returned.buffer).getUint32(24, true), TYPE);
});

infoRule('84: a buffer of the right length is filled', (b, device) => {
  assert.equal(bufferAfter(b, device, 8), [...INFO, ...FILL]);
});

infoRule('85: a requested type that the driver does not have is EOPNOTSUPP', (b, { idev }) => {
  const fields = { dev_id: idev, flags: 'INPUT_TYPE', in_data_type: TYPE + 1 };
  b.refuse('EOPNOTSUPP', 'GET_HW_INFO', fields);
});

infoRule('86: the requested type that the driver has is answered', (b, { idev }) => {
  b.ok('GET_HW_INFO', { dev_id: idev, flags: 'INPUT_TYPE', in_data_type: TYPE });
});

infoRule('87: what a longer buffer has more is zeroed', (b, device) => {
  assert.equal(bufferAfter(b, device, 16), [...INFO, ...new Array(8).fill(0), ...FILL]);
});

infoRule('88: a shorter buffer gets what fits, and the whole length is told', (b, device) => {
  assert.equal(bufferAfter(b, device, 4), [0, 0, 0, 0, ...FILL]);
});

infoRule('89: an ordinary mock device has no PASIDs', (b, { idev }) => {
  assert.is(b.ok('GET_HW_INFO', { dev_id: idev }).out.out_max_pasid_log2, 0);
});

infoRule(
  '90: a mock device with PASIDs has 2^20 of them',
  (b, { idev }) => {
    assert.is(b.ok('GET_HW_INFO', { dev_id: idev }).out.out_max_pasid_log2, 20);
  },
  WITH_PASID,
);

rule('91: an unknown device is ENOENT', (b) => {
  b.refuse('ENOENT', 'GET_HW_INFO', { dev_id: 0 });
  b.refuse('ENOENT', 'GET_HW_INFO', { dev_id: b.ioas() });
});

infoRule('92: an ordinary mock device can track dirty pages', (b, { idev }) => {
  const capabilities = (id: number): bigint => {
    const { returned } = b.ok('GET_HW_INFO', { dev_id: id });
    return new DataView(returned.buffer).getBigUint64(32, true);
  };
  assert.is(capabilities(idev) & 1n, 1n);
  assert.is(capabilities(b.mock(b.ioas(), NO_DIRTY).idev) & 1n, 0n);
});

test.run();
