/**
 * Programs of system calls that remember what was answered, so that any step of them can be made to
 * fail (the sequences of tools/testing/selftests/iommu/iommufd_fail_nth.c, and more).
 */
import type { ErrnoName } from '../../kernel/errno.ts';
import type { CallFields } from '../client/request.ts';
import type { Caller } from './fixture.ts';

export interface Answer {
  readonly value: number;
  readonly errno: number;
  readonly rule: string;
  /** What the kernel answered, to be compared between runs. */
  readonly out: unknown;
}

export type Ids = Readonly<Record<string, number>>;
/** Fields of a call, from the ids that earlier calls answered. */
export type Given = (id: Ids) => CallFields;

export interface StepOptions {
  /** The step is refused when nothing fails. */
  readonly refused?: ErrnoName;
  /** What a failed lookup of an object answers, where that is not ENOENT. */
  readonly lookupFails?: ErrnoName;
  /** What a refused call leaves done, where it leaves anything. */
  readonly leavesDone?: string;
  /** Why a failure inside may go unnoticed by the caller. */
  readonly mayAbsorb?: string;
}

export interface Step extends StepOptions {
  readonly name: string;
  run(): Answer;
}

const NOTHING: Given = () => ({});

export class Program {
  readonly steps: Step[] = [];
  /** By the names that steps give to what was answered. */
  readonly id: Record<string, number> = {};
  private readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /** An ioctl; `keep` names answer fields to remember, and under what. */
  call(
    name: string,
    given: Given = NOTHING,
    keep: Readonly<Record<string, string>> = {},
    options: StepOptions & { readonly by?: Caller } = {},
  ): void {
    const { by = this.caller, ...rest } = options;
    const run = (): Answer => {
      const { value, errno, rule, out } = by.call(name, given(this.id));
      if (errno === 0) {
        for (const [field, as] of Object.entries(keep)) this.id[as] = Number(out[field]);
      }
      return { value, errno, rule, out };
    };
    this.steps.push({ name, run, ...rest });
  }

  /** An operation of IOMMU_TEST_CMD. */
  op(
    op: string,
    given: Given = NOTHING,
    keep: Readonly<Record<string, string>> = {},
    options: StepOptions = {},
  ): void {
    this.call('TEST_CMD', (id) => ({ op, ...given(id) }), keep, options);
    const last = this.steps.pop() as Step;
    this.steps.push({ ...last, name: op });
  }

  /** Another system call; its value can be remembered. */
  system(
    name: string,
    make: (id: Ids) => { readonly value: number; readonly errno: number; readonly rule: string },
    keep?: string,
    options: StepOptions = {},
  ): void {
    const run = (): Answer => {
      const { value, errno, rule } = make(this.id);
      if (errno === 0 && keep !== undefined) this.id[keep] = value;
      return { value, errno, rule, out: null };
    };
    this.steps.push({ name, run, ...options });
  }

  /** A mock device, under the names `<as>.stdev`, `<as>.idev` and `<as>.hwpt`. */
  mock(as: string, on: string, flags = 0, options: StepOptions = {}): void {
    this.op(
      'MOCK_DOMAIN_FLAGS',
      (id) => ({ id: id[on], dev_flags: flags }),
      { out_stdev_id: `${as}.stdev`, out_idev_id: `${as}.idev`, out_hwpt_id: `${as}.hwpt` },
      options,
    );
  }

  destroy(as: string): void {
    this.call('DESTROY', (id) => ({ id: id[as] }));
  }
}
