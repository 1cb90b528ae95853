import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { KernelMemory } from '../../kernel/kernel-memory.ts';
import type { AttachHandle } from '../graph.ts';
import { FAULT_COMMANDS, Fault } from './fault.ts';
import { type AttachedGroup, reportPageRequest } from './fault-routing.ts';
import { attachment, faultDevice, queueBench, request } from './queue-testbench.ts';

const test = suite('fault routing');
const PASID_VALID = 1;
const LAST = 2;

function group(...handles: AttachHandle[]): AttachedGroup {
  return {
    handleOf: (_device, pasid) => handles.find((handle) => handle.pasid === pasid) ?? null,
  };
}

function newFault(): { fault: Fault; memory: KernelMemory } {
  const { context, kernel } = queueBench(FAULT_COMMANDS);
  return { fault: new Fault(context), memory: kernel.memory };
}

test('a request that nobody handles is answered INVALID at once, last or not', () => {
  const { device, answers } = faultDevice();
  assert.not(reportPageRequest(group(), device, request(1)));
  assert.not(reportPageRequest(group(attachment(device, 1, null)), device, request(2, 0)));
  assert.equal(answers, [
    { grpid: 1, code: 'invalid' },
    { grpid: 2, code: 'invalid' },
  ]);
});

test('the last request closes its group: parked ones come first, in order of arrival', () => {
  const { fault, memory } = newFault();
  const { device, answers } = faultDevice();
  const handle = attachment(device, 1, fault);
  const { bytes } = memory;
  for (const [grpid, flags] of [
    [1, 0],
    [2, 0],
    [1, 8],
    [1, LAST],
  ] as const) {
    assert.ok(reportPageRequest(group(handle), device, request(grpid, flags)));
  }
  assert.equal(fault.pending, { waiting: 1, unanswered: 0 });
  fault.dropAttachment(handle);
  assert.equal(answers, [{ grpid: 1, code: 'invalid' }]);
  assert.is(memory.bytes, bytes, 'the parked request of group 2 went with the attachment');
});

test('without memory for the group the hardware is told FAILURE and parked requests go', () => {
  const { fault, memory } = newFault();
  const { device, answers } = faultDevice();
  const attached = group(attachment(device, 1, fault));
  const { bytes } = memory;
  reportPageRequest(attached, device, request(4, 0));
  memory.arm(1);
  assert.not(reportPageRequest(attached, device, request(4)));
  assert.equal(answers, [{ grpid: 4, code: 'failure' }]);
  assert.is(memory.bytes, bytes);
  memory.arm(1);
  assert.not(reportPageRequest(attached, device, request(4, 0)), 'a lost request has no answer');
  assert.is(answers.length, 1);
});

test('a PASID goes to its own attachment, else to the nested table of a user PASID table', () => {
  const { fault } = newFault();
  const { fault: other } = newFault();
  const { device, answers } = faultDevice(true);
  const nested = attachment(device, 1, fault, 0, 'nested');
  const own = attachment(device, 1, other, 5);
  const withPasid = (pasid: number) => request(pasid, PASID_VALID | LAST, pasid);
  reportPageRequest(group(nested, own), device, withPasid(5));
  assert.equal([fault.pending.waiting, other.pending.waiting], [0, 1]);
  reportPageRequest(group(nested, own), device, withPasid(6));
  assert.equal([fault.pending.waiting, other.pending.waiting], [1, 1]);
  reportPageRequest(group(attachment(device, 1, fault)), device, withPasid(6));
  assert.equal(answers, [{ grpid: 6, code: 'invalid' }], 'a paging table has no PASID table');
});

test('without user PASID tables a PASID that nobody attached is INVALID', () => {
  const { fault } = newFault();
  const { device, answers } = faultDevice(false);
  const nested = attachment(device, 1, fault, 0, 'nested');
  reportPageRequest(group(nested), device, request(9, PASID_VALID | LAST, 9));
  assert.equal(answers, [{ grpid: 9, code: 'invalid' }]);
});

test.run();
