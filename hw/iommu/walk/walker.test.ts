import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pageNumber, pnHi, pnLo } from '../../address.ts';
import { PhysicalMemory } from '../../memory/physical-memory.ts';
import { ACCESS_EXECUTE, ACCESS_READ, ACCESS_REPORT, ACCESS_WRITE } from '../access.ts';
import { SV32, SV32X4, SV39, SV39X4, SV48, SV48X4, SV57, SV57X4 } from '../riscv/formats.ts';
import { SS3, SS4, SS5 } from '../vtd/formats.ts';
import { WC_REDIRECT } from './context.ts';
import {
  FAULT_ACCESS,
  FAULT_ACCESSED_DIRTY,
  FAULT_INPUT_RANGE,
  FAULT_NOT_PRESENT,
  FAULT_PERMISSION,
  FAULT_POISON,
  LEAF_R,
  LEAF_W,
  STAGE_HW_AD,
  STAGE_INPUT_BITS_SHIFT,
} from './format.ts';
import { walkFunctional } from './functional.ts';
import type { Redirect } from './redirect.ts';
import { GUEST_BASE, Scene } from './scene.ts';
import { ORDER_BARE, REF_REDIRECT, REF_STAGE1, REF_STAGE2, STEP_DONE, STEP_FAULT } from './walk.ts';
import { Walker } from './walker.ts';

const VA = 0x12345;
const GPA = 0x7654;
const SPA = 0x9abcdef;

/** A scene with VA -> GPA -> SPA mapped by 4 KiB pages. */
function mapped(options: ConstructorParameters<typeof Scene>[0]): Scene {
  const scene = new Scene(options);
  scene.first?.map(VA, GPA);
  scene.second?.map(scene.first === null ? VA : GPA, SPA);
  return scene;
}

test('n and m levels take (n + 1)(m + 1) - 1 references, with n or m 0 for bare', () => {
  for (const first of [null, SV32, SV39, SV48, SV57]) {
    for (const second of [null, SV32X4, SV39X4, SV48X4, SV57X4, SS3, SS4, SS5]) {
      if (second === SV32X4 && first !== null && first !== SV32) continue;
      const name = `${first?.name ?? 'bare'} over ${second?.name ?? 'bare'}`;
      const scene = mapped({ first, second });
      assert.is(scene.walk(VA), STEP_DONE, name);
      const n = first?.levels ?? 0;
      const m = second?.levels ?? 0;
      assert.is(scene.result.refs1 + scene.result.refs2, (n + 1) * (m + 1) - 1, name);
      const guest = first === null ? VA : GPA;
      assert.is(
        scene.out,
        second === null ? guest : second === SV32X4 ? SPA & 0x3fffff : SPA,
        name,
      );
    }
  }
});

test('the observer sees every reference in order, with stage, level and guest address', () => {
  const scene = mapped({ first: SV39, second: SV39X4 });
  const seen: string[] = [];
  scene.walk(VA, ACCESS_READ, {
    read: (walk) => {
      const stage = walk.refKind === REF_STAGE1 ? 'S' : 'G';
      seen.push(
        `${stage}${walk.refLevel}${walk.refKind === REF_STAGE2 && walk.implicit ? 'i' : ''}`,
      );
    },
    update: () => seen.push('update'),
  });
  assert.is(seen.join(' '), 'G2i G1i G0i S2 G2i G1i G0i S1 G2i G1i G0i S0 G2 G1 G0');
});

test('superpages of both stages: the smaller size holds for the whole translation', () => {
  const scene = new Scene({ first: SV48, second: SV48X4 });
  scene.first?.map(0x40000, 0x80000, 2);
  scene.second?.map(0x80000, 0x3000200, 1);
  assert.is(scene.walk(0x40123), STEP_DONE);
  assert.is(scene.out, 0x3000323);
  assert.equal([scene.result.order1, scene.result.order2, scene.result.order], [18, 9, 9]);
});

test('the largest superpages take the input bits from both halves of the page number', () => {
  const scene = new Scene({ first: SV57, second: null });
  const page = 3 * 2 ** 36 + 5 * 2 ** 27 + 7;
  scene.first?.map(page, 9 * 2 ** 36, 4);
  assert.is(scene.walk(page), STEP_DONE);
  assert.is(scene.out, 9 * 2 ** 36 + 5 * 2 ** 27 + 7);
  assert.is(scene.result.order, 36);
});

test('a NAPOT leaf maps 16 pages', () => {
  const scene = new Scene({ first: SV39, second: null });
  scene.first?.map(0x20, 0x1238);
  const entry = scene.first!.entryAddress(0x25, 0, true);
  const [lo, hi] = scene.first!.load(scene.first!.entryAddress(0x20, 0));
  scene.first!.store(entry, lo, hi | (1 << 31));
  assert.is(scene.walk(0x25), STEP_DONE);
  assert.is(scene.out, 0x1235);
  assert.is(scene.result.order, 4);
});

test('the two extra bits of an x4 form select one of four root pages', () => {
  for (const [format, bits] of [
    [SV32X4, 20],
    [SV39X4, 27],
    [SV48X4, 36],
    [SV57X4, 45],
  ] as const) {
    const scene = new Scene({ first: null, second: format });
    for (let i = 0; i < 4; i++) scene.second?.map(i * 2 ** bits + 5, 0x100 + i);
    for (let i = 0; i < 4; i++) {
      assert.is(scene.walk(i * 2 ** bits + 5), STEP_DONE, format.name);
      assert.is(scene.out, 0x100 + i, format.name);
    }
    assert.is(scene.walk(4 * 2 ** bits + 5), STEP_FAULT, format.name);
    assert.is(scene.result.fault, FAULT_INPUT_RANGE, format.name);
  }
});

test('the first stage takes canonical addresses only, Sv32 only 32 bits', () => {
  for (const [format, bits] of [
    [SV39, 27],
    [SV48, 36],
    [SV57, 45],
  ] as const) {
    const scene = new Scene({ first: format, second: null });
    const top = 2 ** 52 - 1;
    scene.first?.map(top, 0x77);
    scene.first?.map(2 ** (bits - 1) - 1, 0x78);
    assert.is(scene.walk(top), STEP_DONE, format.name);
    assert.is(scene.walk(2 ** (bits - 1) - 1), STEP_DONE, format.name);
    for (const bad of [2 ** (bits - 1), 2 ** bits - 1, top - 2 ** (bits - 1), 2 ** 51]) {
      assert.is(scene.walk(bad), STEP_FAULT, `${format.name} ${bad}`);
      assert.equal([scene.result.fault, scene.result.faultKind], [FAULT_INPUT_RANGE, REF_STAGE1]);
    }
  }
  const narrow = new Scene({ first: SV32, second: null });
  assert.is(narrow.walk(2 ** 20), STEP_FAULT);
  assert.is(narrow.result.fault, FAULT_INPUT_RANGE);
});

test('a guest address too wide for stage 2 faults there; the context may narrow it further', () => {
  const scene = new Scene({ first: SV48, second: SV39X4 });
  scene.first?.map(VA, 2 ** 29);
  assert.is(scene.walk(VA), STEP_FAULT);
  assert.equal([scene.result.fault, scene.result.faultKind], [FAULT_INPUT_RANGE, REF_STAGE2]);
  assert.is(scene.result.faultImplicit, 0);
  assert.is(pageNumber(scene.result.gpnHi, scene.result.gpnLo), 2 ** 29);
  const limited = mapped({ first: null, second: SV48X4, flags2: 28 << STAGE_INPUT_BITS_SHIFT });
  limited.second?.map(2 ** 16, 5);
  assert.is(limited.walk(2 ** 16), STEP_FAULT);
  assert.is(limited.walk(2 ** 16 - 1), STEP_FAULT);
  assert.is(limited.result.fault, FAULT_NOT_PRESENT);
});

test('big-endian tables, 8 and 4 byte entries, are read and updated in their byte order', () => {
  for (const [first, second] of [
    [SV48, SV48X4],
    [SV32, SV32X4],
  ] as const) {
    const scene = mapped({
      first,
      second,
      bigEndian: true,
      flags1: STAGE_HW_AD,
      flags2: STAGE_HW_AD,
    });
    scene.clear('first', VA, 0xc0);
    scene.clear('second', GPA, 0xc0);
    assert.is(scene.walk(VA, ACCESS_WRITE), STEP_DONE, first.name);
    assert.is(scene.bits('first', VA) & 0xc0, 0xc0, first.name);
    assert.is(scene.bits('second', GPA) & 0xc0, 0xc0, first.name);
  }
});

test('a stage 1 update needs write permission in the second stage, and sets its dirty bit', () => {
  const scene = mapped({ first: SV39, second: SV39X4, flags1: STAGE_HW_AD, flags2: STAGE_HW_AD });
  const table = Number(scene.first!.entryAddress(VA, 0) >> 12n) - GUEST_BASE;
  scene.clear('first', VA, 0x40);
  scene.clear('second', table, 0x80);
  assert.is(scene.walk(VA, ACCESS_READ), STEP_DONE);
  assert.is(scene.bits('second', table) & 0x80, 0x80);
  assert.is(scene.bits('first', VA) & 0x40, 0x40);

  scene.clear('first', VA, 0x40);
  scene.clear('second', table, 0x04);
  assert.is(scene.walk(VA, ACCESS_READ), STEP_FAULT);
  const { fault, faultKind, faultImplicit, faultImplicitWrite, gpnLo } = scene.result;
  assert.equal([fault, faultKind], [FAULT_PERMISSION, REF_STAGE2]);
  assert.equal([faultImplicit, faultImplicitWrite, gpnLo], [1, 1, table]);
  assert.is(scene.bits('first', VA) & 0x40, 0);
});

test('reading stage 1 entries leaves the dirty bit of their page alone', () => {
  const scene = mapped({ first: SV39, second: SV39X4, flags1: STAGE_HW_AD });
  const table = Number(scene.first!.entryAddress(VA, 0) >> 12n) - GUEST_BASE;
  scene.clear('second', table, 0x80);
  assert.is(scene.walk(VA, ACCESS_WRITE), STEP_DONE);
  scene.clear('first', VA, 0x80);
  assert.is(scene.walk(VA, ACCESS_WRITE), STEP_FAULT);
  assert.equal([scene.result.fault, scene.result.faultImplicitWrite], [FAULT_ACCESSED_DIRTY, 1]);
});

test('stage 1 is updated before the final second-stage walk finds its fault', () => {
  const scene = mapped({ first: SV39, second: SV39X4, flags1: STAGE_HW_AD });
  scene.clear('first', VA, 0xc0);
  scene.clear('second', GPA, 0x04);
  assert.is(scene.walk(VA, ACCESS_WRITE), STEP_FAULT);
  assert.equal([scene.result.faultKind, scene.result.faultImplicit], [REF_STAGE2, 0]);
  assert.is(scene.bits('first', VA) & 0xc0, 0xc0);
});

test('without hardware update a clear accessed bit faults in its own stage', () => {
  const scene = mapped({ first: SV39, second: SV39X4 });
  scene.clear('first', VA, 0x40);
  assert.is(scene.walk(VA), STEP_FAULT);
  assert.equal([scene.result.fault, scene.result.faultKind], [FAULT_ACCESSED_DIRTY, REF_STAGE1]);
  const second = mapped({ first: SV39, second: SV39X4 });
  second.clear('second', GPA, 0x40);
  assert.is(second.walk(VA), STEP_FAULT);
  assert.equal([second.result.fault, second.result.faultKind], [FAULT_ACCESSED_DIRTY, REF_STAGE2]);
});

test('a report gives permissions, not a fault, and does not dirty what it cannot grant', () => {
  const scene = mapped({ first: SV39, second: SV39X4, flags2: STAGE_HW_AD });
  scene.clear('first', VA, 0x04);
  scene.clear('second', GPA, 0x80);
  assert.is(scene.walk(VA, ACCESS_WRITE), STEP_FAULT);
  assert.is(scene.walk(VA, ACCESS_READ | ACCESS_WRITE | ACCESS_REPORT), STEP_DONE);
  assert.is(scene.result.leaf1 & (LEAF_R | LEAF_W), LEAF_R);
  assert.is(scene.result.leaf2 & (LEAF_R | LEAF_W), LEAF_R | LEAF_W);
  assert.is(scene.bits('second', GPA) & 0x80, 0);
});

test('memory errors end the walk where they were met', () => {
  const plain = mapped({ first: SV39, second: SV39X4 });
  const entry = plain.first!.entryAddress(VA, 0);
  for (const [kind, reason] of [
    ['access', FAULT_ACCESS],
    ['poison', FAULT_POISON],
  ] as const) {
    const scene = mapped({
      first: SV39,
      second: SV39X4,
      faults: [{ start: entry, end: entry + 8n, kind }],
    });
    assert.is(scene.walk(VA), STEP_FAULT);
    const { fault, faultKind, faultLevel, faultImplicit } = scene.result;
    assert.equal([fault, faultKind, faultLevel, faultImplicit], [reason, REF_STAGE1, 0, 0]);
  }
  const faults = [{ start: entry, end: entry + 8n, kind: 'ro' as const }];
  const scene = mapped({ first: SV39, second: SV39X4, flags1: STAGE_HW_AD, faults });
  scene.clear('first', VA, 0x40);
  assert.is(scene.walk(VA), STEP_FAULT);
  assert.equal([scene.result.fault, scene.result.faultKind], [FAULT_ACCESS, REF_STAGE1]);
});

test('VT-d: upper entries restrict what is beneath, and a report says so', () => {
  const scene = mapped({ first: null, second: SS4 });
  const entry = scene.second!.entryAddress(VA, 2);
  const [lo, hi] = scene.second!.load(entry);
  scene.second!.store(entry, lo & ~2, hi);
  assert.is(scene.walk(VA, ACCESS_READ), STEP_DONE);
  assert.is(scene.result.leaf2 & (LEAF_R | LEAF_W), LEAF_R);
  assert.is(scene.walk(VA, ACCESS_WRITE), STEP_FAULT);
  assert.equal([scene.result.fault, scene.result.faultLevel], [FAULT_PERMISSION, 2]);
});

test('both stages bare: the address is the answer, for any size', () => {
  const scene = new Scene({ first: null, second: null });
  assert.is(scene.walk(VA, ACCESS_EXECUTE), STEP_DONE);
  assert.equal([scene.out, scene.result.order, scene.result.refs1], [VA, ORDER_BARE, 0]);
});

test('a redirected final address is asked of the redirect before its width is looked at', () => {
  const scene = new Scene({ first: SV48, second: SV39X4 });
  const wide = 2 ** 29 + 1;
  scene.first?.map(VA, wide);
  scene.context[WC_REDIRECT] = 1;
  const redirect: Redirect = {
    matches: (walk) => {
      if (pageNumber(walk.guestHi, walk.guestLo) !== wide) return false;
      walk.readHi = 0;
      walk.readLo = 0x77;
      walk.readOffset = 0x10;
      walk.readBytes = 16;
      return true;
    },
    decode: (walk, w0, _w1, w2, w3) => {
      assert.equal([walk.refKind, w0, w2, w3], [REF_REDIRECT, 11, 13, 14]);
      walk.outHi = 0;
      walk.outLo = 0x4242;
      walk.redirected = 1;
      return STEP_DONE;
    },
  };
  for (let i = 0; i < 4; i++) scene.memory.write32(0, 0x77, 0x10 + 4 * i, 11 + i);
  const walker = new Walker({ caches: null, redirect });
  scene.prepare(VA, ACCESS_WRITE);
  assert.is(walkFunctional(walker, scene.result, scene.memory), STEP_DONE);
  assert.equal([scene.out, scene.result.order, scene.result.redirected], [0x4242, 0, 1]);
});

test('page number halves survive the walk as small integers', () => {
  const scene = new Scene({ first: null, second: null });
  const page = 2 ** 52 - 2;
  assert.is(scene.walk(page), STEP_DONE);
  assert.equal([scene.result.outHi, scene.result.outLo], [pnHi(page), pnLo(page)]);
  assert.ok(scene.memory instanceof PhysicalMemory);
});

test.run();
