/**
 * A program of system calls as it stands in a scenario: steps of one process on one core. Plain
 * data, with every default filled in; `verbs.ts` says what each kind of step takes and gives.
 */

/** A number, an address ("0x1000"), a size ("64MiB"), "$name + 4KiB", or the name of a flag. */
export type Value = number | string | boolean;

export type FieldValue =
  | Value
  | null
  | readonly FieldValue[]
  | { readonly [field: string]: FieldValue };

export type FieldValues = Readonly<Record<string, FieldValue>>;

/** What a step must come to. */
export interface Expected {
  /** Name of the error number; empty: success. */
  readonly errno: string;
  /** Fields of the answer, and what they must be. */
  readonly values: FieldValues;
}

export interface Step {
  /** What is done: a key of VERBS; 'ioctl' for all ioctls. */
  readonly verb: string;
  /** Name of the ioctl, without IOMMU_. */
  readonly ioctl: string;
  /** Fields of an ioctl, or arguments of the verb. */
  readonly given: FieldValues;
  /** Descriptor that an ioctl goes to; empty: the context, `$iommu`. */
  readonly on: string;
  /** Bytes after the ioctl's structure. */
  readonly tail: readonly number[];
  /** Where the ioctl's argument is, instead of in memory that the program has; empty: there. */
  readonly pointer: string;
  /** Names that the step defines, and the fields of the answer that they stand for. */
  readonly as: Readonly<Record<string, string>>;
  readonly expect: Expected;
  readonly steps: readonly Step[];
  /** Left out where this is 0; empty: never. */
  readonly when: string;
  /** File and line. */
  readonly at: string;
}

export interface ProgramSpec {
  readonly name: string;
  readonly core: number;
  /** Processes of one user share its limit of locked memory. */
  readonly uid: number;
  readonly ipc_lock: boolean;
  readonly sys_resource: boolean;
  readonly sys_rawio: boolean;
  /** RLIMIT_MEMLOCK in bytes; 0: no limit. */
  readonly memlock: number;
  /** Names that steps know from the start. */
  readonly values: Readonly<Record<string, number | string>>;
  readonly steps: readonly Step[];
}
