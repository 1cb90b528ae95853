/**
 * Calls of the guest-PASID interface of 2020 (hw/host/iommufd/legacy) as steps of programs: the
 * structures by their fields, machines and PASIDs by name.
 */

import type { Scratch, SyscallAnswer } from '../iommufd/client/process.ts';
import type { IommuDevice } from '../iommufd/driver.ts';
import type { LegacyUapi, LegacyVm } from '../iommufd/legacy/uapi.ts';
import { encode, type Inputs, type Integer } from '../iommufd/uapi/codec.ts';
import { array, type Fields, type Layout, layout, u8, u32, u64 } from '../iommufd/uapi/layout.ts';
import { LEGACY_GPASID_BIND, LEGACY_PAGE_RESPONSE } from '../iommufd/uapi/legacy-structs.ts';
import { Errno } from '../kernel/errno.ts';
import type { UserProcess } from '../kernel/process.ts';
import type { FieldValues } from './step.ts';

/** With the larger member of its union, of which the other is the beginning. */
const INVALIDATE = layout('iommu_cache_invalidate_info', 56, 16, {
  argsz: u32(0),
  version: u32(4),
  cache: u8(8),
  granularity: u8(9),
  padding: array(6, u8(10)),
  flags: u32(16),
  archid: u32(20),
  pasid: u64(24),
  addr: u64(32),
  granule_size: u64(40),
  nb_granules: u64(48),
});

/** A request as the device makes it. */
const REQUEST = layout('iommu_fault_page_request', 24, 24, {
  flags: u32(0),
  pasid: u32(4),
  grpid: u32(8),
  perm: u32(12),
  addr: u64(16),
});

/** By name: the structure that a call is given; null: none. */
export const LEGACY_CALLS: Readonly<Record<string, Layout | null>> = {
  alloc_pasid: null,
  free_pasid: null,
  destroy_vm: null,
  handle_faults: null,
  bind: LEGACY_GPASID_BIND as Layout,
  unbind: LEGACY_GPASID_BIND as Layout,
  invalidate: INVALIDATE as Layout,
  page_request: REQUEST as Layout,
  respond: LEGACY_PAGE_RESPONSE as Layout,
};

export interface LegacyCaller {
  readonly process: UserProcess;
  readonly scratch: Scratch;
  value(written: string | number): bigint;
}

/** The interface of a machine, and the virtual machines that use it. */
export class LegacyCalls {
  private readonly uapi: LegacyUapi;
  private readonly machines: Map<string, LegacyVm> = new Map();

  constructor(uapi: LegacyUapi) {
    this.uapi = uapi;
  }

  run(caller: LegacyCaller, given: FieldValues, device: IommuDevice | null): SyscallAnswer {
    try {
      return { value: this.call(caller, given, device), errno: 0, rule: '' };
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      return { value: -1, errno: error.errno, rule: error.rule };
    }
  }

  private call(caller: LegacyCaller, given: FieldValues, device: IommuDevice | null): number {
    const { uapi } = this;
    const vm = this.machine(String(given.vm ?? ''));
    const of = device ?? { name: 'no device', maxPasids: 0 };
    const { process } = caller;
    switch (given.call) {
      case 'alloc_pasid':
        return uapi.allocPasid(vm);
      case 'free_pasid':
        uapi.freePasid(vm, Number(caller.value(given.pasid as string)));
        return 0;
      case 'destroy_vm':
        uapi.destroyVm(vm);
        return 0;
      case 'handle_faults':
        uapi.handleFaults(of, () => {});
        return 0;
      case 'bind':
        uapi.bind(vm, process, of, place(caller, given));
        return 0;
      case 'unbind':
        uapi.unbind(vm, process, of, place(caller, given));
        return 0;
      case 'invalidate':
        uapi.invalidate(vm, process, of, place(caller, given));
        return 0;
      case 'respond':
        uapi.respond(process, of, place(caller, given));
        return 0;
      default: {
        const { addr = 0n, ...request } = structure(caller, given);
        const number = (name: string): number => Number(request[name] ?? 0);
        uapi.reportPageRequest(of, {
          flags: number('flags'),
          pasid: number('pasid'),
          grpid: number('grpid'),
          perm: number('perm'),
          address: BigInt(addr),
        });
        return 0;
      }
    }
  }

  private machine(name: string): LegacyVm {
    const known = this.machines.get(name);
    if (known !== undefined) return known;
    const made = this.uapi.createVm(name);
    this.machines.set(name, made);
    return made;
  }
}

function structure(caller: LegacyCaller, given: FieldValues): Record<string, Integer> {
  const fields = (given.with ?? {}) as Readonly<Record<string, string | number>>;
  const values: Record<string, Integer> = {};
  for (const [field, value] of Object.entries(fields)) values[field] = caller.value(value);
  return values;
}

/** The structure in user memory, with its size and version where the program does not say. */
function place(caller: LegacyCaller, given: FieldValues): bigint {
  const form = LEGACY_CALLS[String(given.call)] as Layout;
  const values: Record<string, Integer> = { argsz: form.size, version: 1 };
  Object.assign(values, structure(caller, given));
  caller.scratch.reset();
  return caller.scratch.place(encode<Fields>(form, values as unknown as Inputs<Fields>));
}
