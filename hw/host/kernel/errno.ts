/**
 * Error numbers of the kernel interface (asm-generic/errno-base.h, errno.h), and the exception that
 * carries one from the rule that refused a call up to the system call, as ERR_PTR does: nothing on
 * the way changes it.
 */

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  ESPIPE: 29,
  ERANGE: 34,
  EDEADLOCK: 35,
  EBADE: 52,
  EOVERFLOW: 75,
  EBADFD: 77,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
} as const;

export type ErrnoName = keyof typeof ERRNO;

const NAMES: ReadonlyMap<number, ErrnoName> = new Map(
  (Object.keys(ERRNO) as ErrnoName[]).map((name) => [ERRNO[name], name]),
);

/** Name of a positive error number; the number itself where it is not one of the interface's. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? String(errno);
}

/** A call is refused. Not a failure of the simulator: the simulated program gets the number. */
export class Errno extends Error {
  override readonly name: string = 'Errno';
  readonly errno: number;
  /** What was tested and what was found, for a person: "pt_id 7: no such object". */
  readonly rule: string;

  constructor(code: ErrnoName, rule: string) {
    super(`${code}: ${rule}`);
    this.errno = ERRNO[code];
    this.rule = rule;
  }

  get code(): ErrnoName {
    return NAMES.get(this.errno) as ErrnoName;
  }
}

/** Refuses the call under way. */
export function fail(code: ErrnoName, rule: string): never {
  throw new Errno(code, rule);
}

/** Whether something thrown is the refusal with this error number. */
export function isErrno(error: unknown, code: ErrnoName): boolean {
  return error instanceof Errno && error.errno === ERRNO[code];
}
