/**
 * Layouts and constants against the reference that was compiled from the kernel's headers (when it
 * is there), and against cases of our own.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as C from './constants.ts';
import { IOCTLS, PLAIN_IOCTLS, TEST_FORMS } from './ioctls.ts';
import { elementBytes, type Layout, layout, u32 } from './layout.ts';
import * as LC from './legacy-constants.ts';
import * as LS from './legacy-structs.ts';
import * as S from './structs.ts';
import { SYMBOLS, TEST_OPS } from './symbols.ts';

interface JsonField {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly type: string;
  readonly members?: readonly JsonField[];
}

interface JsonStruct {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly JsonField[];
}

interface JsonIoctl extends JsonStruct {
  readonly cmd: number;
  readonly struct: string;
  readonly minSize: number | null;
}

interface Reference {
  readonly constants: Readonly<Record<string, number>>;
  readonly anonymousEnums: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly ioctls: readonly JsonIoctl[];
  readonly newerIoctls: readonly JsonIoctl[];
  readonly vfioIoctls: readonly JsonIoctl[];
  readonly structs: readonly JsonStruct[];
  readonly driverConstants: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const PATH = join(process.cwd(), '../shared/reference/iommufd-uapi.json');
const LAYOUTS: ReadonlyMap<string, Layout> = new Map(
  [...Object.values(S), ...Object.values(LS)].map((one) => [one.name, one as Layout]),
);
/** Fields of the union whose names would hide a common field. */
const RENAMED: Readonly<Record<string, string>> = {
  'iommu_test_cmd.check_iotlb.id': 'iotlb_id',
  'iommu_test_cmd.check_dev_cache.id': 'cache_id',
};

function reference(): Reference | null {
  if (existsSync(PATH)) return JSON.parse(readFileSync(PATH, 'utf8'));
  console.log('SKIPPED: ../shared/reference/iommufd-uapi.json is not there');
  return null;
}

function layoutNamed(name: string): Layout {
  const found = LAYOUTS.get(name);
  assert.ok(found, `no layout for ${name}`);
  return found as Layout;
}

function checkField(one: Layout, field: JsonField): void {
  const where = `${one.name}.${field.name}`;
  const declared = one.fields[RENAMED[where] ?? field.name];
  assert.ok(declared, `${where} is not declared`);
  const { kind, offset, count } = declared as NonNullable<typeof declared>;
  assert.is(offset, field.offset, `${where}: offset`);
  assert.is(elementBytes(kind) * count, field.size, `${where}: bytes`);
  const type = field.type.replace(/^le/, 'u').replace(/\[\d+\]$/, '');
  assert.is(kind, type, `${where}: type`);
}

/** Fields of a structure; those of a union are checked on the layout that has them. */
function checkFields(one: Layout, fields: readonly JsonField[], whole: Reference): void {
  for (const field of fields) {
    if (field.type === 'union') checkUnion(one, field);
    else if (field.type === 'struct vfio_info_cap_header') {
      const header = whole.structs.find(({ name }) => name === 'vfio_info_cap_header');
      checkFields(one, header?.fields ?? [], whole);
    } else if (field.size > 0) checkField(one, field);
  }
}

function checkUnion(one: Layout, union: JsonField): void {
  for (const member of union.members ?? []) {
    const form = LAYOUTS.get(`${one.name}.${member.name}`);
    if (form !== undefined) for (const field of member.members ?? []) checkField(form, field);
    else if (one.name === 'iommu_hw_info') checkField(one, member);
    else assert.ok(one.name.startsWith('legacy_'), `${one.name}.${member.name} has no layout`);
  }
}

test('every structure has the size, the offsets and the widths of the kernel headers', () => {
  const whole = reference();
  if (whole === null) return;
  for (const struct of whole.structs) {
    const one = layoutNamed(struct.name);
    assert.is(one.size, struct.size, struct.name);
    checkFields(one, struct.fields, whole);
  }
  assert.ok(whole.structs.length > 60);
});

test('no structure has a field that the headers do not have', () => {
  const whole = reference();
  if (whole === null) return;
  for (const { name, fields, size } of whole.structs) {
    if (fields.some(({ type }) => type === 'union' || type.startsWith('struct'))) continue;
    const known = new Set(fields.map((field) => field.name));
    for (const field of Object.keys(layoutNamed(name).fields)) assert.ok(known.has(field), field);
    assert.ok(size >= 0);
  }
});

test('every command has the word, size and least size of the kernel headers', () => {
  const whole = reference();
  if (whole === null) return;
  const bare = [...whole.ioctls, ...whole.newerIoctls, ...whole.vfioIoctls];
  for (const { name, cmd, struct, size, minSize } of bare) {
    const spec = IOCTLS[name.replace(/^IOMMU_/, '')];
    assert.is(spec.name, name);
    assert.is(spec.layout.word, cmd, name);
    assert.is(spec.layout.name, struct, name);
    assert.is(spec.layout.size, size, name);
    if (minSize !== null) assert.is(spec.layout.minSize, minSize, name);
  }
  // Besides those, IOMMU_TEST_CMD.
  assert.is(Object.keys(IOCTLS).length, bare.length + 1);
});

test('every constant has the value of the kernel headers', () => {
  const whole = reference();
  if (whole === null) return;
  const ours: Readonly<Record<string, unknown>> = { ...C, ...LC };
  const groups = [whole.constants, ...Object.values(whole.anonymousEnums)];
  for (const group of [...groups, ...Object.values(whole.enums)]) {
    for (const [name, value] of Object.entries(group)) {
      if (typeof value === 'number') assert.is(ours[name], value, name);
    }
  }
});

test('masks and opcodes of the drivers are those of the reference', () => {
  const whole = reference();
  if (whole === null) return;
  const smmu = whole.driverConstants.armSmmuV3;
  const amd = whole.driverConstants.amd;
  const pairs: readonly (readonly [unknown, unknown])[] = [
    [C.SMMUV3_STE0, smmu.STE0],
    [C.SMMUV3_STE0_CFG, smmu.STE0_CFG],
    [C.SMMUV3_STE1, smmu.STE1],
    [C.SMMUV3_STE1_EATS, smmu.STE1_EATS],
    [C.SMMUV3_CMD, smmu.CMD],
    [C.SMMUV3_CMD_OP, smmu.CMD_OP],
    [C.SMMUV3_EVT, smmu.EVT],
    [C.AMD_DTE, amd.DTE],
    [C.AMD_GPT_LEVEL, amd.GPT_LEVEL],
  ];
  for (const [ours, theirs] of pairs) {
    const expected = Object.entries(theirs as Record<string, string | number>);
    const actual = ours as Record<string, number | bigint>;
    assert.is(Object.keys(actual).length, expected.length);
    for (const [name, value] of expected) assert.is(BigInt(actual[name]), BigInt(value), name);
  }
  assert.is(C.SMMUV3_NESTED_STE0, BigInt(smmu.nestedAllowedSTE0 as string));
  assert.is(C.SMMUV3_NESTED_STE1, BigInt(smmu.nestedAllowedSTE1 as string));
  assert.equal(C.SMMUV3_USER_OPS, smmu.acceptedUserInvalidateOps);
  assert.equal(C.SMMUV3_VEVENT_IDS, smmu.veventIds);
});

test('the least sizes are those of the first published versions', () => {
  assert.is(S.HWPT_ALLOC.minSize, 24);
  assert.is(S.HWPT_ALLOC.size, 48);
  assert.is(S.HWPT_ALLOC.at.data_uptr, 32);
  assert.is(S.GET_HW_INFO.minSize, 32);
  assert.is(S.GET_HW_INFO.at.in_data_type, S.GET_HW_INFO.at.out_data_type);
  assert.is(S.VIOMMU_ALLOC.minSize, 24);
  assert.is(S.VEVENTQ_ALLOC.minSize, 28);
  assert.is(S.TEST_CMD.minSize, 68);
  assert.is(LS.LEGACY_GPASID_BIND.at.vtd_flags, 56);
});

test('fields of a structure do not overlap, but for the unions', () => {
  for (const one of LAYOUTS.values()) {
    const taken = new Set<number>();
    for (const [name, { kind, offset, count }] of Object.entries(one.fields)) {
      if (name === 'out_data_type') continue;
      for (let byte = offset; byte < offset + elementBytes(kind) * count; byte++) {
        assert.not.ok(taken.has(byte), `${one.name}.${name}`);
        taken.add(byte);
      }
    }
  }
});

test('tables of names speak of structures and fields that exist', () => {
  for (const [struct, fields] of Object.entries(SYMBOLS)) {
    for (const field of Object.keys(fields)) {
      assert.ok(field in layoutNamed(struct).fields, `${struct}.${field}`);
    }
  }
  assert.equal(Object.keys(TEST_FORMS), Object.keys(TEST_OPS.names));
  for (const { layout: one, answers, data } of Object.values(IOCTLS)) {
    if (one === S.TEST_CMD) continue;
    for (const name of answers) assert.ok(name in one.fields, `${one.name}.${name}`);
    if (data !== null) assert.ok(data.pointer in one.fields);
  }
  assert.is(Object.keys(PLAIN_IOCTLS).length, 3);
});

test('a field past the end of its structure is refused when it is declared', () => {
  layout('four', 4, 4, { last: u32(0) });
  assert.throws(() => layout('four', 4, 4, { last: u32(1) }), /four\.last does not fit 4 bytes/);
});

test.run();
