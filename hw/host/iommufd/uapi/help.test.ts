import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ioctlHelp, ioctlList } from './help.ts';
import { IOCTLS } from './ioctls.ts';

test('the list names every ioctl with its purpose', () => {
  const lines = ioctlList();
  assert.is(lines.length, Object.keys(IOCTLS).length + 3);
  assert.ok(lines.every((line) => /^[A-Z0-9_]+ +[a-z]/.test(line)));
});

test('help of an ioctl tells offsets, directions and names of flags', () => {
  const lines = ioctlHelp(IOCTLS.IOAS_MAP);
  assert.is(lines[1], 'struct iommu_ioas_map, 40 bytes, at least 40');
  assert.ok(lines.includes('    4 u32    in     flags  (FIXED_IOVA | WRITEABLE | READABLE)'));
  assert.ok(lines.includes('   32 u64    in/out iova'));
});

test('help of an ioctl with driver data lists the structures by type', () => {
  const lines = ioctlHelp(IOCTLS.HWPT_ALLOC);
  assert.ok(lines.includes('data of type VTD_S1: struct iommu_hwpt_vtd_s1'));
  assert.ok(lines.includes('    0 u64[2] in     ste'));
  assert.ok(ioctlHelp(IOCTLS.TEST_CMD).includes('op MOCK_DOMAIN_REPLACE: pt_id'));
});

test.run();
