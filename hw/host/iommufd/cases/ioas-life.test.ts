/** Reference 10.2 and 10.3: CHANGE_PROCESS, and how an IOAS ends. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { A, type Bench, BUFFER, type Caller, P, rule, ruleIn } from './fixture.ts';

type Accounting = 'none' | 'user' | 'mm';

/** An IOAS with a device, in a context that accounts pinned pages in one of the ways. */
function account(b: Bench, accounting: Accounting): number {
  if (accounting === 'mm') b.ok('OPTION', { option_id: 'RLIMIT_MODE', op: 'SET', val64: 1 });
  b.calls.process.capabilities.ipcLock = accounting === 'none';
  const ioas = b.ioas();
  b.mock(ioas);
  return ioas;
}

function changeRule(name: string, accounting: Accounting, run: (b: Bench, ioas: number) => void) {
  rule(`${name} [${accounting}]`, (b) => run(b, account(b, accounting)));
}

/** VmPin and VmLck of a process, in pages. */
function counters({ calls }: Caller): { readonly pinned: number; readonly locked: number } {
  const { pinnedVm, lockedVm } = calls.process.space;
  return { pinned: pinnedVm, locked: lockedVm };
}

function changeFromChild(b: Bench, ioas: number): { before: object[]; after: object[] } {
  b.mapFile(ioas, b.memfd(P), 0n, P);
  const child = b.fork();
  const before = [counters(b), counters(child)];
  child.ok('IOAS_CHANGE_PROCESS');
  b.check();
  return { before, after: [counters(b), counters(child)] };
}

for (const accounting of ['none', 'user', 'mm'] as const) {
  changeRule('32: CHANGE_PROCESS is EINVAL while user memory is mapped', accounting, (b, ioas) => {
    b.map(ioas, BUFFER, P);
    b.refuse('EINVAL', 'IOAS_CHANGE_PROCESS');
  });

  changeRule('33: CHANGE_PROCESS with a memfd page mapped succeeds', accounting, (b, ioas) => {
    b.unmap(ioas, b.map(ioas, BUFFER, P), P);
    b.mapFile(ioas, b.memfd(P), 0n, P);
    const before = counters(b);
    b.ok('IOAS_CHANGE_PROCESS');
    assert.equal(counters(b), before);
  });

  changeRule('34: CHANGE_PROCESS in a child moves VmPin there', accounting, (b, ioas) => {
    const { before, after } = changeFromChild(b, ioas);
    assert.equal(
      [...before, ...after].map((counted) => (counted as { pinned: number }).pinned),
      [1, 0, 0, 1],
    );
  });
}

changeRule('35: CHANGE_PROCESS moves VmLck with VmPin', 'mm', (b, ioas) => {
  const one = { pinned: 1, locked: 1 };
  const none = { pinned: 0, locked: 0 };
  assert.equal(changeFromChild(b, ioas), { before: [one, none], after: [none, one] });
});

for (const accounting of ['none', 'user'] as const) {
  changeRule('36: CHANGE_PROCESS moves VmPin alone', accounting, (b, ioas) => {
    const one = { pinned: 1, locked: 0 };
    const none = { pinned: 0, locked: 0 };
    assert.equal(changeFromChild(b, ioas), { before: [one, none], after: [none, one] });
    assert.is(b.calls.process.user.lockedPages, accounting === 'user' ? 1 : 0);
  });
}

ruleIn(['N', 'D', '2D'], '37: a context closes cleanly with an IOAS open', (b) => {
  assert.is(b.calls.close(b.fd).errno, 0);
});

ruleIn(['N'], '38: DESTROY of an IOAS that nothing uses', (b, { ioas }) => {
  b.destroy(ioas);
});

ruleIn(['D', '2D'], '39: DESTROY of an IOAS with devices is EBUSY', (b, { ioas }) => {
  b.refuse('EBUSY', 'DESTROY', { id: ioas });
});

ruleIn(['N', 'D', '2D'], '40: a mapping does not keep an IOAS', (b, { ioas, variant, base }) => {
  b.map(ioas, BUFFER, P, base);
  if (variant === 'N') b.destroy(ioas);
  else b.refuse('EBUSY', 'DESTROY', { id: ioas });
});

ruleIn(['N', 'D', '2D'], '41: a context closes cleanly with ten mappings', (b, { ioas, base }) => {
  for (let i = 0n; i < 10n; i++) b.map(ioas, BUFFER + i * P, P, base + i * P);
  assert.is(b.calls.close(b.fd).errno, 0);
  assert.is(b.machine.kernel.pins.total, 0);
});

ruleIn(['D', '2D'], '42: a device attaches to the id of an automatic HWPT', (b, { devices }) => {
  const { hwpt } = devices[0];
  assert.is(b.mock(hwpt).hwpt, hwpt);
});

ruleIn(['N'], '43: a device is not attached to the id 0: ENOENT', (b) => {
  b.refuseOp('ENOENT', 'MOCK_DOMAIN', { id: 0 });
  b.map(b.ioas(), BUFFER, P, A);
});

test.run();
