/** Reference 10.12: memory of another device, mapped through its dma-buf, which can be revoked. */
import { test } from 'uvu';
import { A, type Bench, P, ruleIn, type Setup } from './fixture.ts';

const BYTES = 4n * P;

function dmaBuf(b: Bench): number {
  return b.op('DMABUF_GET', { length: BYTES, open_flags: 2 }).value;
}

function revoke(b: Bench, fd: number, revoked: boolean): void {
  b.op('DMABUF_REVOKE', { dmabuf_fd: fd, revoked });
}

/** A dma-buf that is mapped at A. */
function mapped(b: Bench, { ioas }: Setup): number {
  const fd = dmaBuf(b);
  b.mapFile(ioas, fd, 0n, BYTES, A);
  return fd;
}

ruleIn(['D'], '156: MAP_FILE of a dma-buf with length 0 is EINVAL', (b, { ioas }) => {
  b.refuseMapFile('EINVAL', ioas, dmaBuf(b), 0n, 0n, A);
});

ruleIn(['D'], '157: MAP_FILE from the end of a dma-buf is EINVAL', (b, { ioas }) => {
  b.refuseMapFile('EINVAL', ioas, dmaBuf(b), BYTES, P, A);
});

ruleIn(['D'], '158: MAP_FILE of more than the dma-buf has is EINVAL', (b, { ioas }) => {
  b.refuseMapFile('EINVAL', ioas, dmaBuf(b), 0n, BYTES + 1n, A);
});

ruleIn(['D'], '159: MAP_FILE of a whole dma-buf', (b, setup) => {
  mapped(b, setup);
});

ruleIn(['D'], '160: a page table is made while a mapped dma-buf is revoked', (b, setup) => {
  const { ioas, devices } = setup;
  revoke(b, mapped(b, setup), true);
  b.hwpt(devices[0], ioas);
});

ruleIn(['D'], '161: MAP_FILE of a revoked dma-buf is ENODEV', (b, setup) => {
  const fd = mapped(b, setup);
  revoke(b, fd, true);
  b.refuseMapFile('ENODEV', setup.ioas, fd, 0n, BYTES, A + BYTES);
});

ruleIn(['D'], '162: MAP_FILE of a dma-buf that was given back', (b, setup) => {
  const fd = mapped(b, setup);
  revoke(b, fd, true);
  revoke(b, fd, false);
  b.mapFile(setup.ioas, fd, 0n, BYTES, A + BYTES);
});

ruleIn(['D'], '163: the area of a revoked dma-buf is unmapped and mapped anew', (b, setup) => {
  const { ioas } = setup;
  const fd = mapped(b, setup);
  revoke(b, fd, true);
  b.hwpt(setup.devices[0], ioas);
  revoke(b, fd, false);
  b.unmap(ioas, A, BYTES);
  b.mapFile(ioas, fd, 0n, BYTES, A);
});

test.run();
