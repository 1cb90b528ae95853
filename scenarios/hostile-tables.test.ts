/** Tables that software has spoilt: the unit answers with the architected fault and goes on. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PN_LO_BITS, pageNumber, pnHi, pnLo } from '../hw/address.ts';
import type { PageTables } from '../hw/host/tables.ts';
import { runMachine } from './machine/bench.ts';
import type { Machine } from './machine/machine.ts';
import { resolveText } from './memory-files.ts';

const ENTRIES = 512;
/** Beyond the physical address width of the machines here, and beyond all memory. */
const NOWHERE: number = 2 ** 30;

type Encode = (page: number) => bigint;
/** An entry that points to the next table, by RISC-V (V alone) and by VT-d (R and W). */
const RISCV_TABLE: Encode = (page) => (BigInt(page) << 10n) | 1n;
const VTD_TABLE: Encode = (page) => (BigInt(page) << 12n) | 3n;

function fill(machine: Machine, page: number, entry: bigint): void {
  const { direct } = machine.memory;
  for (let i = 0; i < ENTRIES; i++) {
    direct.write32(pnHi(page), pnLo(page), 8 * i, Number(BigInt.asIntN(32, entry)));
    direct.write32(pnHi(page), pnLo(page), 8 * i + 4, Number(BigInt.asIntN(32, entry >> 32n)));
  }
}

const rootOf = ({ rootHi, rootLo }: PageTables): number => pageNumber(rootHi, rootLo);

interface Case {
  readonly arch: string;
  readonly translation: string;
  readonly spoil: (machine: Machine) => void;
  /** The architecture's fault code; null where the translation succeeds nonetheless. */
  readonly fault: number | null;
}

function tablesOf(machine: Machine, stage: 'tables' | 'stage2'): PageTables {
  const [{ domain }] = machine.software.domains.values();
  return domain[stage] as PageTables;
}

function loops(stage: 'tables' | 'stage2', encode: Encode): Case['spoil'] {
  return (machine) => {
    const root = rootOf(tablesOf(machine, stage));
    fill(machine, root, encode(root));
  };
}

function pointsNowhere(stage: 'tables' | 'stage2', encode: Encode): Case['spoil'] {
  return (machine) => fill(machine, rootOf(tablesOf(machine, stage)), encode(NOWHERE));
}

/** Clears the context entries of bus 1 (VT-d 9.1, 9.3). */
function forgetContexts(machine: Machine): void {
  const { direct } = machine.memory;
  const root = Number(machine.iommu.unit.registers.read(0x20, 8) >> 12n);
  const [hi, lo] = [pnHi(root), pnLo(root)];
  const contexts = direct.read32(hi, lo, 16) >>> 12;
  fill(machine, contexts + (direct.read32(hi, lo, 20) << (PN_LO_BITS - 7)), 0n);
}

const CASES: Readonly<Record<string, Case>> = {
  'a first-stage table that points to itself': {
    arch: 'riscv',
    translation: 'stage1',
    spoil: loops('tables', RISCV_TABLE),
    fault: 13, // load page fault: no leaf at the last level
  },
  'a second-stage table that points to itself': {
    arch: 'riscv',
    translation: 'stage2',
    spoil: loops('tables', RISCV_TABLE),
    fault: 21, // load guest-page fault
  },
  'a second-stage table under a first stage that points to itself': {
    arch: 'riscv',
    translation: 'nested',
    spoil: loops('stage2', RISCV_TABLE),
    fault: 21,
  },
  'a first-stage table outside memory': {
    arch: 'riscv',
    translation: 'stage1',
    spoil: pointsNowhere('tables', RISCV_TABLE),
    fault: 5, // load access fault
  },
  'a second-stage table outside memory': {
    arch: 'riscv',
    translation: 'nested',
    spoil: pointsNowhere('stage2', RISCV_TABLE),
    fault: 5,
  },
  // An entry at the last level of VT-d is a leaf, whatever it is elsewhere: it maps the table.
  'a VT-d table that points to itself': {
    arch: 'vtd',
    translation: 'stage2',
    spoil: loops('tables', VTD_TABLE),
    fault: null,
  },
  'a VT-d table outside memory': {
    arch: 'vtd',
    translation: 'stage2',
    spoil: pointsNowhere('tables', VTD_TABLE),
    fault: 0xc, // reserved bits: the address width ends below
  },
  'a VT-d device without a context entry': {
    arch: 'vtd',
    translation: 'stage2',
    spoil: forgetContexts,
    fault: 0x2, // context entry not present
  },
};

for (const [name, { arch, translation, spoil, fault }] of Object.entries(CASES)) {
  test(`${name}: ${fault === null ? 'no fault' : `fault ${fault}`}, and the run ends`, async () => {
    const scenario = resolveText(
      JSON.stringify({
        run: { for: '20us' },
        iommu: { arch, riscv: { address_bits: 40 }, vtd: { host_address_bits: 40 } },
        domains: [{ name: 'd', translation }],
        devices: [
          {
            name: 'reader',
            domain: 'd',
            master: { kind: 'pattern', window: '64KiB', outstanding: 4, requests: 40 },
          },
        ],
      }),
    );
    const machine = await runMachine(scenario, spoil);
    assert.ok(machine.finished, machine.dump());
    assert.is(machine.accounting.total().faults, fault === null ? 0 : 40);
    assert.equal([...machine.iommu.frontEnd.faults.codes], fault === null ? [] : [[fault, 40]]);
    assert.is(machine.software.safety.violations > 0, fault === null);
  });
}

test.run();
