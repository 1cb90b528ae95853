/**
 * The fields of a RISC-V device context that put a domain into force (specification, "Device
 * Context"): translation control, second stage, address space id, first stage.
 */
import { SimError } from '../../../sim/errors.ts';
import { pageNumber } from '../../address.ts';
import type { PageTables } from '../tables.ts';
import type { Domain } from './driver.ts';
import { CAP_AMO_HWAD } from './riscv-setup.ts';

export const TC_V: bigint = 1n;
const TC_EN_ATS = 1n << 1n;
const TC_EN_PRI = 1n << 2n;
/** Responses to page requests with a PASID carry it. */
const TC_PRPR = 1n << 6n;
const TC_GADE = 1n << 7n;
const TC_SADE = 1n << 8n;
const TC_SXL = 1n << 11n;
const MODE_SHIFT = 60n;
export const GSCID_SHIFT: bigint = 44n;
const PSCID_SHIFT = 12n;

/** iosatp and iohgatp modes; the 32-bit and 39-bit forms share a number (SXL and GXL tell). */
const ATP_MODES: Readonly<Record<string, bigint>> = {
  Sv32: 8n,
  Sv39: 8n,
  Sv48: 9n,
  Sv57: 10n,
  Sv32x4: 8n,
  Sv39x4: 8n,
  Sv48x4: 9n,
  Sv57x4: 10n,
};

export interface ContextFields {
  readonly tc: bigint;
  readonly iohgatp: bigint;
  readonly ta: bigint;
  readonly fsc: bigint;
}

/** `requester`: the device may translate by ATS and send page requests. */
export function contextOf(domain: Domain, capabilities: bigint, requester: boolean): ContextFields {
  const { kind, tables, stage2, user } = domain;
  const first = kind === 'stage1' || kind === 'nested' ? tables : null;
  const second = kind === 'nested' ? stage2 : kind === 'stage2' ? tables : null;
  const hardwareAd = (capabilities & CAP_AMO_HWAD) !== 0n;
  let tc = TC_V;
  if (hardwareAd && (user?.accessedDirty ?? true)) tc |= TC_SADE;
  if (hardwareAd && second !== null) tc |= TC_GADE;
  if (requester) tc |= TC_EN_ATS | TC_EN_PRI | TC_PRPR;
  if (first?.format.name === 'Sv32' || second?.format.name === 'Sv32x4') tc |= TC_SXL;
  const gscid = BigInt(Math.max(0, domain.tag2)) << GSCID_SHIFT;
  const pscid = BigInt(Math.max(0, domain.tag1)) << PSCID_SHIFT;
  return {
    tc,
    iohgatp: second === null ? 0n : rootPointer(second) | gscid,
    ta: first === null && user === undefined ? 0n : pscid,
    fsc: user?.root ?? (first === null ? 0n : rootPointer(first)),
  };
}

/** MODE and PPN of a root table, as iosatp and iohgatp hold them. */
function rootPointer(tables: PageTables): bigint {
  const mode = ATP_MODES[tables.format.name];
  if (mode === undefined) {
    throw new SimError('driver', `${tables.format.name} is no format of the RISC-V IOMMU`);
  }
  return (mode << MODE_SHIFT) | BigInt(pageNumber(tables.rootHi, tables.rootLo));
}
