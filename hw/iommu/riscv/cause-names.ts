/** Names of the fault causes, as the IOMMU specification's table of CAUSE encodings gives them. */
import * as C from './causes.ts';

const NAMES: ReadonlyMap<number, string> = new Map([
  [C.CAUSE_INSTRUCTION_ACCESS, 'instruction access fault'],
  [C.CAUSE_READ_ACCESS, 'read access fault'],
  [C.CAUSE_WRITE_ACCESS, 'write/AMO access fault'],
  [C.CAUSE_INSTRUCTION_PAGE, 'instruction page fault'],
  [C.CAUSE_READ_PAGE, 'read page fault'],
  [C.CAUSE_WRITE_PAGE, 'write/AMO page fault'],
  [C.CAUSE_INSTRUCTION_GUEST_PAGE, 'instruction guest-page fault'],
  [C.CAUSE_READ_GUEST_PAGE, 'read guest-page fault'],
  [C.CAUSE_WRITE_GUEST_PAGE, 'write/AMO guest-page fault'],
  [C.CAUSE_ALL_DISALLOWED, 'all inbound transactions disallowed'],
  [C.CAUSE_DDT_ACCESS, 'DDT entry load access fault'],
  [C.CAUSE_DDT_INVALID, 'DDT entry not valid'],
  [C.CAUSE_DDT_MISCONFIGURED, 'DDT entry misconfigured'],
  [C.CAUSE_DISALLOWED, 'transaction type disallowed'],
  [C.CAUSE_MSI_PTE_ACCESS, 'MSI PTE load access fault'],
  [C.CAUSE_MSI_PTE_INVALID, 'MSI PTE not valid'],
  [C.CAUSE_MSI_PTE_MISCONFIGURED, 'MSI PTE misconfigured'],
  [C.CAUSE_PDT_ACCESS, 'PDT entry load access fault'],
  [C.CAUSE_PDT_INVALID, 'PDT entry not valid'],
  [C.CAUSE_PDT_MISCONFIGURED, 'PDT entry misconfigured'],
  [C.CAUSE_DDT_CORRUPT, 'DDT data corruption'],
  [C.CAUSE_PDT_CORRUPT, 'PDT data corruption'],
  [C.CAUSE_MSI_PT_CORRUPT, 'MSI PT data corruption'],
  [C.CAUSE_INTERNAL, 'internal data path error'],
  [C.CAUSE_MSI_WRITE_ACCESS, 'IOMMU MSI write access fault'],
  [C.CAUSE_PT_CORRUPT, 'first/second-stage PT data corruption'],
]);

export function causeName(cause: number): string {
  return NAMES.get(cause) ?? 'unknown cause';
}
