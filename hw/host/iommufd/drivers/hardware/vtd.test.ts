import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_READ, ACCESS_WRITE } from '../../../../iommu/access.ts';
import { HardwareBench } from './testbench.ts';
import { VtdIommufdDriver } from './vtd.ts';

const RW = ACCESS_READ | ACCESS_WRITE;
const DEVICE = 0x0318;
const MAP = ['READABLE', 'WRITEABLE', 'FIXED_IOVA'];

test('IOAS_MAP makes the unit translate, IOAS_UNMAP takes it away', () => {
  const bench = new HardwareBench();
  const unit = bench.vtd();
  const driver = new VtdIommufdDriver(bench.ports());
  const device = driver.addDevice(driver.addUnit(unit.driver), 'nic', DEVICE);
  assert.is(unit.translate(DEVICE, 0x1000, RW), -1);
  const bound = bench.bind(device);
  assert.is(bound.error, '');
  const ioas = bench.ok('IOAS_ALLOC', {}, 'out_ioas_id');
  const memory = bench.alloc(16 * 4096);
  const map = { ioas_id: ioas, flags: MAP, user_va: memory, length: 16 * 4096, iova: 0x1000000n };
  bench.ok('IOAS_MAP', map);
  bench.okOn(bound.fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: ioas });
  for (let i = 0; i < 16; i++) {
    const frame = bench.frameAt(memory + BigInt(i * 4096));
    assert.is(unit.translate(DEVICE, 0x1000 + i, RW), frame);
  }
  bench.ok('IOAS_UNMAP', { ioas_id: ioas, iova: 0x1000000n, length: 16 * 4096 });
  for (let i = 0; i < 16; i++) assert.is(unit.translate(DEVICE, 0x1000 + i, RW), -1);
});

test.run();
