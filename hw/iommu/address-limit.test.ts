import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pnHiOf, pnLoOf } from '../address.ts';
import { PhysicalMemory } from '../memory/physical-memory.ts';
import { MEM_ACCESS_FAULT, MEM_OK } from '../memory/port.ts';
import { AddressLimit } from './address-limit.ts';

for (const bits of [34, 38, 39, 40, 46, 52, 56]) {
  test(`with ${bits} address bits the last page is in reach and the next is not`, () => {
    const limit = new AddressLimit(PhysicalMemory.create({ bytes: 1 << 16 }), bits);
    const end = 1n << BigInt(bits);
    const last = end - 4096n;
    assert.is(limit.checkRead(pnHiOf(last), pnLoOf(last), 0, 8), MEM_OK);
    assert.is(limit.checkWrite(pnHiOf(last), pnLoOf(last), 0, 8), MEM_OK);
    assert.is(limit.checkRead(pnHiOf(end), pnLoOf(end), 0, 8), MEM_ACCESS_FAULT);
    assert.is(limit.checkWrite(pnHiOf(end), pnLoOf(end), 0, 8), MEM_ACCESS_FAULT);
  });
}

test.run();
