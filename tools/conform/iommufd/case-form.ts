/**
 * Whether a line is a case that can be replayed: which operations there are and what each must
 * tell. Everything else is said of the case, and the run goes on.
 */

type Fields = Readonly<Record<string, unknown>>;
type Form = Readonly<Record<string, 'number' | 'string' | 'array'>>;

const RETURNED: Form = { ret: 'number', err: 'number' };
const CALL: Form = { fd: 'number', ...RETURNED };

/** What operations must tell, by kind. */
const FORMS: Readonly<Record<string, Form>> = {
  open: { path: 'string', flags: 'number', ...RETURNED },
  close: CALL,
  ioctl: { cmd: 'string', name: 'string', ...CALL },
  read: { n: 'number', ...CALL },
  write: { n: 'number', ...CALL },
  poll: { fds: 'array', ret: 'number' },
  mmap: { len: 'number', prot: 'number', flags: 'number', fd: 'number', err: 'number' },
  munmap: { len: 'number', ...RETURNED },
  memfd: { flags: 'number', ...RETURNED },
  ftruncate: { len: 'number', ...CALL },
  fork: { proc: 'number' },
  exit: {},
  phys: { va: 'string', runs: 'array' },
  mem: { va: 'string', h: 'string' },
  truncated: {},
};

const POINTER: Form = { at: 'number', va: 'string', len: 'number' };
const POINTER_OPTIONAL: Form = { in: 'string', out: 'string', vma: 'array' };

/** What operations of any kind may tell. */
const OPTIONAL: Form = {
  ...{ proc: 'number', parent: 'number', a: 'string', va: 'string', arg: 'string' },
  ...{ in: 'string', out: 'string', w: 'number', null: 'number', ptr: 'array', mw: 'array' },
  ...{ off: 'number', word0: 'number', file: 'number', foff: 'number' },
};

/** What keeps a line from being replayed; null: nothing. */
export function formProblem(line: unknown): string | null {
  if (typeof line !== 'object' || line === null) return 'not an object';
  const { id, src, caps, ops } = line as Fields;
  if (typeof id !== 'string') return 'no "id"';
  if (src !== 'selftest' && src !== 'fuzz') return `${id}: "src" is neither selftest nor fuzz`;
  if (caps !== 'all' && caps !== 'no_ipc_lock' && caps !== 'none') {
    return `${id}: "caps" is not all, no_ipc_lock or none`;
  }
  if (!Array.isArray(ops)) return `${id}: no "ops"`;
  for (const [i, op] of ops.entries()) {
    const problem = opProblem(op);
    if (problem !== null) return `${id} op ${i}: ${problem}`;
  }
  return null;
}

function opProblem(op: unknown): string | null {
  if (typeof op !== 'object' || op === null) return 'not an object';
  const fields = op as Fields;
  const form = Object.hasOwn(FORMS, String(fields.op)) ? FORMS[String(fields.op)] : undefined;
  if (form === undefined) return `${JSON.stringify(fields.op)} is not a known kind of operation`;
  const kind = String(fields.op);
  const problem = formOf(kind, fields, form) ?? formOf(kind, fields, OPTIONAL, true);
  if (problem !== null || fields.ptr === undefined) return problem;
  for (const pointer of fields.ptr as readonly unknown[]) {
    if (typeof pointer !== 'object' || pointer === null)
      return `${kind} with a pointer that is none`;
    const wrong =
      formOf(`pointer of ${kind}`, pointer as Fields, POINTER) ??
      formOf(`pointer of ${kind}`, pointer as Fields, POINTER_OPTIONAL, true);
    if (wrong !== null) return wrong;
  }
  return null;
}

/** The first field that is not of its type, or not there where it must be. */
function formOf(what: string, fields: Fields, form: Form, optional = false): string | null {
  for (const [name, type] of Object.entries(form)) {
    const value = fields[name];
    if (optional && (value === undefined || value === null)) continue;
    const fits = type === 'array' ? Array.isArray(value) : typeof value === type;
    if (!fits) return `${what} without ${type === 'array' ? 'a list' : `a ${type}`} "${name}"`;
  }
  return null;
}
