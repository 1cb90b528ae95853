/**
 * What the steps of a program do, at one instant: system calls of its process, with arguments made
 * from names and values. Time is added by the caller.
 */
import { InternalError } from '../../../sim/errors.ts';
import { callByName } from '../iommufd/client/call.ts';
import { KernelProcess } from '../iommufd/client/kernel-process.ts';
import { Scratch, type SyscallAnswer } from '../iommufd/client/process.ts';
import { decode, encode } from '../iommufd/uapi/codec.ts';
import { HWPT_PAGE_RESPONSE, HWPT_PGFAULT, VEVENT_HEADER } from '../iommufd/uapi/structs.ts';
import { describe } from '../iommufd/uapi/symbolic.ts';
import { ERRNO, errnoName } from '../kernel/errno.ts';
import { MAP_ANONYMOUS, MAP_HUGETLB, MAP_POPULATE, MAP_SHARED } from '../kernel/mmap.ts';
import type { UserProcess } from '../kernel/process.ts';
import { Syscalls } from '../kernel/syscalls.ts';
import { PROT_READ, PROT_WRITE } from '../kernel/vma.ts';
import { type Answer, ofReport } from './answer.ts';
import type { Actual } from './comparison.ts';
import type { Environment, ProgramDevice } from './environment.ts';
import { GuestActions } from './guest-actions.ts';
import type { CallRecorder } from './guest-iommu.ts';
import { wantedPage } from './page-requests.ts';
import type { FieldValue, Step } from './step.ts';
import { callFields, evaluate, type Names } from './values.ts';
import { VERBS } from './verbs.ts';

const HUGE_BYTES = 2 ** 21;
/** Whole messages of a fault queue. */
const READ_BYTES = 102 * HWPT_PGFAULT.size;
const WRITABLE = PROT_READ | PROT_WRITE;

type Values = Readonly<Record<string, Actual>>;

export class Actions {
  readonly process: UserProcess;
  private readonly environment: Environment;
  private readonly names: Names;
  private readonly caller: KernelProcess;
  private readonly scratch: Scratch;
  readonly guests: GuestActions;
  /** Dirty bits were cleared by the call under way. */
  private beginsLog = false;

  constructor(environment: Environment, process: UserProcess, names: Names, record: CallRecorder) {
    this.environment = environment;
    this.process = process;
    this.names = names;
    this.caller = new KernelProcess(new Syscalls(environment.kernel, process));
    this.scratch = new Scratch(this.caller);
    const value = (written: FieldValue): bigint => this.value(written);
    this.guests = new GuestActions(environment, process, value, record);
  }

  /** Whether a step takes time as calls do: the set-up of a driver does. */
  isCall(step: Step): boolean {
    if (step.verb === 'ioctl' || VERBS[step.verb]?.call === true) return true;
    return step.verb === 'start' && step.given.through !== undefined;
  }

  /** Makes the system call of a step. */
  run(step: Step): Answer {
    switch (step.verb) {
      case 'ioctl':
        return this.ioctl(step);
      case 'open':
        return this.one('open', this.calls.open(this.text(step, 'path')), 'fd');
      case 'close':
        return this.one('close', this.caller.close(this.number(step, 'fd')));
      case 'bind':
        return this.bind(step);
      case 'unbind':
        return this.unbind(step);
      case 'attach':
        return this.attach(step, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT');
      case 'detach':
        return this.attach(step, 'VFIO_DEVICE_DETACH_IOMMUFD_PT');
      case 'memory':
        return this.memory(step);
      case 'memfd':
        return this.memfd(step);
      case 'mmap':
        return this.mmap(step);
      case 'munmap': {
        const place = this.number(step, 'address');
        return this.one('munmap', this.calls.munmap(place, this.number(step, 'length')));
      }
      case 'read':
        return this.read(step);
      case 'respond':
        return this.respond(step);
      case 'write':
        return this.write(step);
      case 'page_request':
        return this.pageRequest(step);
      case 'page_response':
        return this.pageResponse(step);
      case 'guest':
        return this.given('guest', { root: this.guests.create(step) });
      case 'guest_map':
      case 'guest_unmap':
      case 'guest_free':
        this.guests.change(step);
        return this.given(step.verb, {});
      case 'start':
        return { ...this.given('start', {}), cycles: this.guests.start(step, this.device(step)) };
      case 'legacy':
        return this.legacy(step);
      default:
        throw new InternalError('program', `${step.verb} is no system call`);
    }
  }

  /**
   * The call is over, its invalidations too. What devices wrote before is in no dirty log to come:
   * the bits of it were cleared, and translations with the bits set were dropped.
   */
  completed(): void {
    if (!this.beginsLog) return;
    this.beginsLog = false;
    for (const { traffic } of this.environment.devices.values()) traffic?.takeWritten();
  }

  /** The process ends: its memory goes, then its files. */
  exit(): Answer {
    this.guests.end();
    return this.one('exit', this.calls.exit());
  }

  value(written: FieldValue): bigint {
    return evaluate(written as string | number, this.names);
  }

  device(step: Step): ProgramDevice {
    const name = String(step.given.device);
    const device = this.environment.devices.get(name);
    if (device === undefined) throw new InternalError('program', `no device ${name}`);
    return device;
  }

  // -------------------------------------------------------------------------------------------

  private get calls(): Syscalls {
    return this.caller.calls;
  }

  private text(step: Step, argument: string): string {
    return String(step.given[argument]);
  }

  private number(step: Step, argument: string, otherwise = 0): number {
    const written = step.given[argument];
    return written === undefined ? otherwise : Number(this.value(written));
  }

  private one(call: string, answer: SyscallAnswer, field = ''): Answer {
    return this.told(call, 1, answer, field === '' ? {} : { [field]: answer.value });
  }

  /** No system call. */
  private given(call: string, out: Values): Answer {
    return { call, word: 0, entries: 0, cycles: 0, errno: '', rule: '', out };
  }

  private told(call: string, entries: number, answer: SyscallAnswer, out: Values): Answer {
    const errno = answer.errno === 0 ? '' : errnoName(answer.errno);
    const answered = errno === '' ? out : {};
    return { call, word: 0, entries, cycles: 0, errno, rule: answer.rule, out: answered };
  }

  private ioctl(step: Step): Answer {
    const fd = Number(this.value(step.on === '' ? '$iommu' : step.on));
    const options = {
      ...(step.pointer !== '' && { address: this.value(step.pointer) }),
      ...(step.tail.length > 0 && { tail: Uint8Array.from(step.tail) }),
    };
    const fields = callFields(step.given, this.names);
    const report = callByName(this.caller, this.scratch, fd, step.ioctl, fields, options);
    const out: Record<string, Actual> = { ...report.out, value: report.value };
    if (report.data !== null) out.data = report.data as Actual;
    this.beginsLog = step.ioctl === 'HWPT_SET_DIRTY_TRACKING' || isClearing(step);
    if (step.ioctl === 'HWPT_ALLOC' && report.errno === 0) {
      this.guests.nested(fd, Number(report.out.out_hwpt_id));
    }
    return { ...ofReport(step.ioctl, 1, report), out };
  }

  private bind(step: Step): Answer {
    const device = this.text(step, 'device');
    const opened = this.calls.open(devicePath(device));
    const call = 'VFIO_DEVICE_BIND_IOMMUFD';
    if (opened.errno !== 0) return this.told(call, 1, opened, {});
    const iommufd = this.value(step.given.iommu ?? '$iommu');
    const report = callByName(this.caller, this.scratch, opened.value, call, { iommufd });
    if (report.errno === 0) this.names.set(fileName(device), BigInt(opened.value));
    else this.caller.close(opened.value);
    return ofReport(call, 2, report);
  }

  private unbind(step: Step): Answer {
    const name = fileName(this.text(step, 'device'));
    const answer = this.one('unbind', this.caller.close(Number(this.value(`$${name}`))));
    this.names.delete(name);
    return answer;
  }

  private attach(step: Step, call: string): Answer {
    const fd = Number(this.value(`$${fileName(this.text(step, 'device'))}`));
    const { to, pasid } = step.given;
    const fields = {
      ...(to !== undefined && { pt_id: this.value(to) }),
      ...(pasid !== undefined && { flags: 'PASID', pasid: this.value(pasid) }),
    };
    const report = callByName(this.caller, this.scratch, fd, call, fields);
    return ofReport(call, 1, report);
  }

  private memory(step: Step): Answer {
    const bytes = step.given.size as number;
    const huge = step.given.contiguous === true;
    const length = huge ? Math.ceil(bytes / HUGE_BYTES) * HUGE_BYTES : bytes;
    const flags = MAP_SHARED | MAP_ANONYMOUS | (huge ? MAP_HUGETLB | MAP_POPULATE : 0);
    const answer = this.calls.mmap({ length, prot: WRITABLE, flags });
    return this.one('mmap', answer, 'address');
  }

  private memfd(step: Step): Answer {
    const made = this.calls.memfdCreate();
    if (made.errno !== 0) return this.told('memfd_create', 1, made, {});
    const sized = this.calls.ftruncate(made.value, step.given.size as number);
    return this.told('memfd_create', 2, sized, { fd: made.value });
  }

  private mmap(step: Step): Answer {
    const answer = this.calls.mmap({
      length: this.number(step, 'length'),
      prot: WRITABLE,
      flags: MAP_SHARED,
      fd: this.number(step, 'fd'),
      offset: this.number(step, 'offset'),
    });
    return this.one('mmap', answer, 'address');
  }

  private read(step: Step): Answer {
    const fd = this.number(step, 'fd');
    const room = (step.given.bytes ?? READ_BYTES) as number;
    this.scratch.reset();
    const address = this.scratch.place(new Uint8Array(room));
    const answer = this.calls.read(fd, address, room);
    if (answer.errno !== 0) return this.told('read', 1, answer, {});
    const bytes = new Uint8Array(answer.value);
    this.caller.peek(address, bytes);
    const kind = this.process.file(fd)?.kind;
    const message = kind === 'fault' ? pageRequestFields(bytes) : eventFields(bytes);
    return this.told('read', 1, answer, { bytes: answer.value, ...message });
  }

  private respond(step: Step): Answer {
    const cookie = this.number(step, 'cookie');
    const bytes = encode(HWPT_PAGE_RESPONSE, { cookie, code: flagWord(step, 'code', 0) });
    this.scratch.reset();
    const address = this.scratch.place(bytes);
    const answer = this.calls.write(this.number(step, 'fd'), address, bytes.length);
    return this.one('write', answer, 'bytes');
  }

  private legacy(step: Step): Answer {
    const { legacy, devices } = this.environment;
    if (legacy === null) throw new InternalError('program', 'no interface of 2020');
    const { given } = step;
    const caller = {
      process: this.process,
      scratch: this.scratch,
      value: (written: string | number) => this.value(written),
    };
    const answer = legacy.run(caller, given, devices.get(String(given.device))?.iommu ?? null);
    return this.one(`legacy_${String(given.call)}`, answer, 'value');
  }

  /** Bytes as they are, or from an address that is given. */
  private write(step: Step): Answer {
    const { words = [], address } = step.given;
    const values = (words as readonly FieldValue[]).map((word) => Number(this.value(word)));
    const bytes = new Uint8Array(Uint32Array.from(values).buffer);
    const count = (step.given.bytes ?? bytes.length) as number;
    this.scratch.reset();
    const from = address === undefined ? this.scratch.place(bytes) : this.value(address);
    return this.one('write', this.calls.write(this.number(step, 'fd'), from, count), 'bytes');
  }

  /** No call of the program: the device does it. */
  private pageRequest(step: Step): Answer {
    const { pasid, last, address } = step.given;
    const perm = flagWord(step, 'perm', VERBS.page_request.args.perm.names?.READ ?? 0);
    const page = wantedPage(perm, {
      address: this.value(address),
      pasid: pasid === undefined ? -1 : this.number(step, 'pasid'),
      group: this.number(step, 'group'),
      last: last !== false,
    });
    this.device(step).pages?.ask(page);
    return this.given('page_request', {});
  }

  private pageResponse(step: Step): Answer {
    const response = this.device(step).pages?.takeResponse() ?? null;
    if (response !== null) return this.given('page_response', { ...response });
    const none = { value: -1, errno: ERRNO.EAGAIN, rule: 'the device has got no response' };
    return this.told('page_response', 0, none, {});
  }
}

/** A read of dirty bits that clears them. */
function isClearing({ ioctl, given }: Step): boolean {
  return ioctl === 'HWPT_GET_DIRTY_BITMAP' && !String(given.flags ?? '').includes('NO_CLEAR');
}

export function devicePath(device: string): string {
  return `/dev/vfio/devices/${device}`;
}

/** What a program calls the VFIO file of a device. */
export function fileName(device: string): string {
  return `${device}.fd`;
}

/** A flag word as its names, checked when the scenario was read. */
function flagWord(step: Step, argument: string, otherwise: number): number {
  const written = step.given[argument];
  if (written === undefined) return otherwise;
  if (typeof written === 'number') return written;
  const names = VERBS[step.verb].args[argument].names ?? {};
  const list = typeof written === 'string' ? written.split('|') : (written as readonly string[]);
  return list.reduce((word, name) => word | (names[name.trim()] ?? 0), 0);
}

function pageRequestFields(bytes: Uint8Array): Values {
  if (bytes.length < HWPT_PGFAULT.size) return {};
  const message = decode(HWPT_PGFAULT, bytes);
  const { flags, perm } = message;
  return {
    ...message,
    flags: describe(HWPT_PGFAULT.name, 'flags', flags) as Actual,
    perm: describe(HWPT_PGFAULT.name, 'perm', perm) as Actual,
  };
}

/** The first event: its header, and the words that follow. */
function eventFields(bytes: Uint8Array): Values {
  if (bytes.length < VEVENT_HEADER.size) return {};
  const { flags, sequence } = decode(VEVENT_HEADER, bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words = (bytes.length - VEVENT_HEADER.size) >> 2;
  return {
    flags: describe(VEVENT_HEADER.name, 'flags', flags) as Actual,
    sequence,
    event: Array.from({ length: words }, (_, i) =>
      view.getUint32(VEVENT_HEADER.size + i * 4, true),
    ),
  };
}
