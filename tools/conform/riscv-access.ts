/** Answer of the RISC-V IOMMU to a device's access, compared with what a vector expects. */
import { addressOf } from '../../hw/address.ts';
import { REQUEST_ATS } from '../../hw/iommu/architecture.ts';
import { OUTCOME_BYPASS, OUTCOME_FAULT, OUTCOME_HIT } from '../../hw/iommu/functional.ts';
import {
  ATS_SUCCESS,
  ATS_UNSUPPORTED,
  type AtsCompletion,
  atsCompletion,
  atsRefusal,
  memoryType,
  napotPage,
  type Translated,
} from '../../hw/iommu/riscv/ats.ts';
import {
  MRIF_HI,
  MRIF_LO,
  MRIF_NOTICE_ID,
  MRIF_OFFSET,
  REDIRECT_MRIF,
} from '../../hw/iommu/riscv/msi.ts';
import { expectEqual } from './mismatch.ts';
import { type AccessOperands, type RiscvMachine, requestOf } from './riscv-machine.ts';
import { hexValue } from './vectors.ts';

const MRIF_MODEL_MASK = (1n << 47n) - 1n;
const PHYSICAL_MASK = (1n << 56n) - 1n;

type Values = Readonly<Record<string, unknown>>;

/** What is compared of a device's access, as plain values. */
interface Answer {
  readonly status: string;
  /** Fault code, 0 if none. */
  readonly cause: number;
  readonly ats: AtsCompletion | null;
  readonly offset: number;
  /** Served by the IOTLB, whose entries may be smaller than the page. */
  readonly hit: boolean;
  /** Both stages are bare. */
  readonly bypass: boolean;
  readonly result: (Translated & { readonly redirectData: Int32Array }) | null;
}

/** Makes the access; returns a function that compares its answer with an expectation. */
export function compareAccess(
  machine: RiscvMachine,
  operands: AccessOperands & { readonly cxl: number },
): (expected: Values, ignore: readonly string[]) => void {
  const answer = perform(machine, operands);
  return (expected, ignore) => compare(answer, expected, new Set(ignore));
}

function perform(
  machine: RiscvMachine,
  operands: AccessOperands & { readonly cxl: number },
): Answer {
  const request = requestOf(operands);
  const outcome = machine.iommu.translate(request);
  const fault = outcome.kind === OUTCOME_FAULT;
  const { offset } = request;
  const hit = outcome.kind === OUTCOME_HIT;
  const bypass = outcome.kind === OUTCOME_BYPASS;
  const result = fault ? null : { ...outcome, redirectData: outcome.redirectData.slice() };
  const cause = fault ? outcome.code : 0;
  if (request.kind !== REQUEST_ATS) {
    return { status: fault ? 'UR' : 'ok', cause, ats: null, offset, hit, bypass, result };
  }
  const ats =
    fault || outcome.context === null
      ? atsRefusal(request, outcome.code)
      : atsCompletion(request, outcome.context, outcome, operands.cxl !== 0);
  const status = ats.status === ATS_SUCCESS ? 'ok' : ats.status === ATS_UNSUPPORTED ? 'UR' : 'CA';
  return { status, cause, ats, offset, hit, bypass, result };
}

function compare(answer: Answer, expected: Values, ignore: ReadonlySet<string>): void {
  const { ats } = answer;
  if (!ignore.has('status')) expectEqual('status', expected.status, answer.status);
  // For ATS requests the cause shows in fault records only.
  if (ats === null && !ignore.has('cause')) {
    expectEqual('cause', expected.cause ?? 0, answer.cause);
  }
  if (answer.status !== 'ok') return;
  if (ats !== null) compareCompletion(ats, expected, ignore);
  // An ATS success without permission leaves everything else open.
  if (expected.cause !== undefined || answer.result === null) return;
  compareTarget(answer, answer.result, expected, ignore);
}

function compareCompletion(
  ats: AtsCompletion,
  expected: Values,
  ignore: ReadonlySet<string>,
): void {
  const refused = expected.cause !== undefined;
  const fields: readonly (readonly [string, boolean])[] = [
    ['R', ats.read],
    ['W', ats.write],
    ['Priv', ats.privileged],
    ['N', ats.noSnoop],
    ['X', ats.execute],
    ['U', ats.untranslatedOnly],
    ['G', ats.global],
    ['CXL_IO', ats.cxlIo],
  ];
  for (const [name, value] of fields.slice(0, refused ? 4 : fields.length)) {
    if (!ignore.has(name)) expectEqual(name, expected[name], value ? 1 : 0);
  }
  expectEqual('AMA', expected.AMA, ats.ama);
}

function compareTarget(
  answer: Answer,
  result: NonNullable<Answer['result']>,
  expected: Values,
  ignore: ReadonlySet<string>,
): void {
  expectEqual('msi', expected.msi, result.redirected !== 0 ? 1 : 0);
  expectEqual('mrif', expected.mrif ?? 0, result.redirected === REDIRECT_MRIF ? 1 : 0);
  if (result.redirected === REDIRECT_MRIF) {
    const data = result.redirectData;
    const mrif = addressOf(data[MRIF_HI], data[MRIF_LO], data[MRIF_OFFSET]);
    // Bits 55:47 are lost in the model: it shifts a 47-bit C bit-field left by 9. By the
    // specification ("Process to translate addresses of MSIs") they belong to the address.
    const held = MRIF_MODEL_MASK;
    expectEqual('mrif_addr', hexValue(expected.mrif_addr as string) & held, mrif & held);
    expectEqual('nid', expected.nid, data[MRIF_NOTICE_ID]);
    const notice = addressOf(result.outHi, result.outLo, 0);
    expectEqual('notice_pa', hexValue(expected.notice_pa as string), notice);
    return;
  }
  if (ignore.has('pa')) return;
  expectEqual('pbmt', expected.pbmt, memoryType(result));
  const page = answer.ats ?? { hi: result.outHi, lo: result.outLo, order: result.order };
  // Through bare stages any address passes; the model keeps the 56 bits of a physical address.
  const held = answer.bypass ? PHYSICAL_MASK : -1n;
  const address = addressOf(page.hi, page.lo, answer.offset);
  expectEqual('pa', hexValue(expected.pa as string) & held, address & held);
  if (expected.size_cls === 'impl') return;
  if (!answer.hit)
    expectEqual('size', hexValue(expected.size as string), 4096n << BigInt(page.order));
  if (answer.ats === null) return;
  expectEqual('S', expected.S, page.order > 0 ? 1 : 0);
  expectEqual('ppn', hexValue(expected.ppn as string), napotPage(page.hi, page.lo, page.order));
}
