/**
 * Fault causes (IOMMU spec, table of CAUSE encodings) and transaction types, and what follows from
 * them: whether DC.tc.DTF hides a cause and how an ATS translation request is answered.
 */
import { ACCESS_EXECUTE, ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import {
  REQUEST_ATS,
  REQUEST_PAGE,
  REQUEST_TRANSLATED,
  REQUEST_UNTRANSLATED,
} from '../architecture.ts';

export const CAUSE_INSTRUCTION_ACCESS = 1;
export const CAUSE_READ_ACCESS = 5;
export const CAUSE_WRITE_ACCESS = 7;
export const CAUSE_INSTRUCTION_PAGE = 12;
export const CAUSE_READ_PAGE = 13;
export const CAUSE_WRITE_PAGE = 15;
export const CAUSE_INSTRUCTION_GUEST_PAGE = 20;
export const CAUSE_READ_GUEST_PAGE = 21;
export const CAUSE_WRITE_GUEST_PAGE = 23;
export const CAUSE_ALL_DISALLOWED = 256;
export const CAUSE_DDT_ACCESS = 257;
export const CAUSE_DDT_INVALID = 258;
export const CAUSE_DDT_MISCONFIGURED = 259;
export const CAUSE_DISALLOWED = 260;
export const CAUSE_MSI_PTE_ACCESS = 261;
export const CAUSE_MSI_PTE_INVALID = 262;
export const CAUSE_MSI_PTE_MISCONFIGURED = 263;
export const CAUSE_PDT_ACCESS = 265;
export const CAUSE_PDT_INVALID = 266;
export const CAUSE_PDT_MISCONFIGURED = 267;
export const CAUSE_DDT_CORRUPT = 268;
export const CAUSE_PDT_CORRUPT = 269;
export const CAUSE_MSI_PT_CORRUPT = 270;
export const CAUSE_INTERNAL = 272;
export const CAUSE_MSI_WRITE_ACCESS = 273;
export const CAUSE_PT_CORRUPT = 274;

/** Causes reported although DC.tc.DTF is 1. */
const REPORTED_WITH_DTF: ReadonlySet<number> = new Set([
  CAUSE_ALL_DISALLOWED,
  CAUSE_DDT_ACCESS,
  CAUSE_DDT_INVALID,
  CAUSE_DDT_MISCONFIGURED,
  CAUSE_DDT_CORRUPT,
  CAUSE_INTERNAL,
  CAUSE_MSI_WRITE_ACCESS,
]);

export function hiddenByDtf(cause: number): boolean {
  return !REPORTED_WITH_DTF.has(cause);
}

/** Answers to an ATS translation request that met a fault. */
export const ATS_SUCCESS = 0;
export const ATS_UNSUPPORTED = 1;
export const ATS_ABORT = 2;

/** Faults that an ATS request is told as "success, nothing permitted", without a record. */
const NO_PERMISSION: ReadonlySet<number> = new Set([
  CAUSE_INSTRUCTION_PAGE,
  CAUSE_READ_PAGE,
  CAUSE_WRITE_PAGE,
  CAUSE_INSTRUCTION_GUEST_PAGE,
  CAUSE_READ_GUEST_PAGE,
  CAUSE_WRITE_GUEST_PAGE,
  CAUSE_MSI_PTE_INVALID,
  CAUSE_PDT_INVALID,
]);

const UNSUPPORTED: ReadonlySet<number> = new Set([
  CAUSE_ALL_DISALLOWED,
  CAUSE_DDT_ACCESS,
  CAUSE_DDT_INVALID,
  CAUSE_DDT_MISCONFIGURED,
  CAUSE_DISALLOWED,
]);

/** Spec "PCIe ATS translation request handling"; corrupt data aborts (hardware guidelines, RAS). */
export function atsAnswerTo(cause: number): number {
  if (NO_PERMISSION.has(cause)) return ATS_SUCCESS;
  return UNSUPPORTED.has(cause) ? ATS_UNSUPPORTED : ATS_ABORT;
}

/** The cause of a family {execute, read, write} that fits the original access. */
export function causeForAccess(
  access: number,
  execute: number,
  read: number,
  write: number,
): number {
  if ((access & ACCESS_EXECUTE) !== 0) return execute;
  return (access & ACCESS_READ) !== 0 ? read : write;
}

export function guestPageFault(access: number): number {
  return causeForAccess(
    access,
    CAUSE_INSTRUCTION_GUEST_PAGE,
    CAUSE_READ_GUEST_PAGE,
    CAUSE_WRITE_GUEST_PAGE,
  );
}

/** TTYP of a fault record that no transaction caused. */
export const TTYP_NONE = 0;
const TTYP_ATS = 8;
const TTYP_MESSAGE = 9;

/** TTYP of a record for a request: execute, read or write, untranslated (1..3) or not (5..7). */
export function transactionType(kind: number, access: number): number {
  if (kind === REQUEST_ATS) return TTYP_ATS;
  if (kind === REQUEST_PAGE) return TTYP_MESSAGE;
  const direction = (access & ACCESS_WRITE) !== 0 ? 3 : (access & ACCESS_EXECUTE) !== 0 ? 1 : 2;
  return kind === REQUEST_TRANSLATED ? 4 + direction : direction;
}

/** Requests that carry an address (a message does not). */
export function hasAddress(kind: number): boolean {
  return kind === REQUEST_UNTRANSLATED || kind === REQUEST_TRANSLATED || kind === REQUEST_ATS;
}
