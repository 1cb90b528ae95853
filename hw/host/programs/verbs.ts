/**
 * The kinds of steps besides ioctls: what each takes, what it gives, and a sentence. The scenario
 * schema, its checks and its help come from this table.
 */

import { GUEST_TABLES } from './guest.ts';
import { LEGACY_CALLS } from './legacy.ts';

export type ArgumentKind =
  /** A value, calculated when the step runs. */
  | 'value'
  | 'device'
  | 'program'
  | 'text'
  | 'duration'
  | 'bytes'
  | 'count'
  | 'flag'
  /** Values by name, compared. */
  | 'comparison'
  /** A flag word by names. */
  | 'names'
  /** One of several words. */
  | 'choice'
  /** Fields of a structure. */
  | 'fields'
  /** A list of values. */
  | 'values';

export interface Argument {
  readonly kind: ArgumentKind;
  readonly doc: string;
  readonly needed?: boolean;
  /** Of 'names': bit by name. */
  readonly names?: Readonly<Record<string, number>>;
  /** Of 'choice'. */
  readonly choices?: readonly string[];
}

export interface VerbSpec {
  readonly doc: string;
  /** The argument that may stand alone: `bind: nic0` for `bind: { device: nic0 }`. */
  readonly main: string;
  readonly args: Readonly<Record<string, Argument>>;
  /** Fields of its answer; the first is what `as: name` names. */
  readonly gives: readonly string[];
  /** Name that is defined without `as`: text, or the device's. */
  readonly names?: 'device' | 'iommu';
  /** Has steps of its own. */
  readonly steps?: true;
  /** Is a system call, that can be refused. */
  readonly call?: true;
}

const PERMISSIONS = { READ: 1, WRITE: 2, EXEC: 4, PRIV: 8 };

const device: Argument = { kind: 'device', doc: 'Name of the device.', needed: true };
const pasid: Argument = { kind: 'value', doc: 'Only accesses with this PASID.' };

const guestRange: Readonly<Record<string, Argument>> = {
  guest: { kind: 'text', doc: 'Name of the guest, if there are several.' },
  at: { kind: 'value', doc: 'First input address.', needed: true },
  length: { kind: 'value', doc: 'How much.', needed: true },
};

/** What reading a fault queue or an event queue gives. */
const MESSAGE = [
  'bytes',
  'flags',
  'dev_id',
  'pasid',
  'grpid',
  'perm',
  'addr',
  'length',
  'cookie',
  'sequence',
  'event',
];

export const VERBS: Readonly<Record<string, VerbSpec>> = {
  open: {
    doc: 'Opens a file; /dev/iommu is called $iommu if not named.',
    main: 'path',
    args: { path: { kind: 'text', doc: 'Path of the file.', needed: true } },
    gives: ['fd'],
    names: 'iommu',
    call: true,
  },
  close: {
    doc: 'Closes a descriptor.',
    main: 'fd',
    args: { fd: { kind: 'value', doc: 'The descriptor.', needed: true } },
    gives: [],
    call: true,
  },
  bind: {
    doc: 'Opens the VFIO file of a device and binds it to the context; its id is called as the device.',
    main: 'device',
    args: { device, iommu: { kind: 'value', doc: 'The context; $iommu if not given.' } },
    gives: ['out_devid'],
    names: 'device',
    call: true,
  },
  unbind: {
    doc: 'Closes the VFIO file of a device: detaches and unbinds it.',
    main: 'device',
    args: { device },
    gives: [],
    call: true,
  },
  attach: {
    doc: 'Attaches a bound device, or moves it, to an address space or page table.',
    main: 'device',
    args: {
      device,
      to: { kind: 'value', doc: 'Id of the address space or page table.', needed: true },
      pasid,
    },
    gives: ['pt_id'],
    call: true,
  },
  detach: {
    doc: 'Detaches a device.',
    main: 'device',
    args: { device, pasid },
    gives: [],
    call: true,
  },
  memory: {
    doc: 'Allocates user memory.',
    main: 'size',
    args: {
      size: { kind: 'bytes', doc: 'How much.', needed: true },
      contiguous: { kind: 'flag', doc: 'In huge pages, as the memory of a guest.' },
    },
    gives: ['address'],
    call: true,
  },
  memfd: {
    doc: 'Makes a file of memory.',
    main: 'size',
    args: { size: { kind: 'bytes', doc: 'How large.', needed: true } },
    gives: ['fd'],
    call: true,
  },
  mmap: {
    doc: 'Maps pages of a file, shared.',
    main: 'fd',
    args: {
      fd: { kind: 'value', doc: 'The descriptor.', needed: true },
      offset: { kind: 'value', doc: 'Where in the file.' },
      length: { kind: 'value', doc: 'How much.', needed: true },
    },
    gives: ['address'],
    call: true,
  },
  munmap: {
    doc: 'Unmaps memory of the process.',
    main: 'address',
    args: {
      address: { kind: 'value', doc: 'First byte.', needed: true },
      length: { kind: 'value', doc: 'How much.', needed: true },
    },
    gives: [],
    call: true,
  },
  read: {
    doc: 'Reads a fault queue or an event queue; fields are those of the first message.',
    main: 'fd',
    args: {
      fd: { kind: 'value', doc: 'The descriptor.', needed: true },
      bytes: { kind: 'count', doc: 'Room for the answer; 4080 if not given.' },
    },
    gives: MESSAGE,
    call: true,
  },
  respond: {
    doc: 'Answers a group of page requests by writing to the fault queue.',
    main: 'fd',
    args: {
      fd: { kind: 'value', doc: "The fault queue's descriptor.", needed: true },
      cookie: { kind: 'value', doc: 'Which group.', needed: true },
      code: {
        kind: 'names',
        doc: 'SUCCESS (retry) or INVALID.',
        names: { SUCCESS: 0, INVALID: 1 },
      },
    },
    gives: ['bytes'],
    call: true,
  },
  write: {
    doc: 'Writes to a file: words of 32 bits as they are, whatever they mean to it.',
    main: 'fd',
    args: {
      fd: { kind: 'value', doc: 'The descriptor.', needed: true },
      words: { kind: 'values', doc: 'What is written.' },
      bytes: { kind: 'count', doc: 'How much of it; all if not given.' },
      address: { kind: 'value', doc: 'Where it is read from, instead of words.' },
    },
    gives: ['bytes'],
    call: true,
  },
  page_request: {
    doc: 'A device asks for a page, through PRI where it has a link.',
    main: 'device',
    args: {
      device,
      address: { kind: 'value', doc: 'The page.', needed: true },
      perm: { kind: 'names', doc: 'What for; READ if not given.', names: PERMISSIONS },
      group: { kind: 'value', doc: 'Index of the page request group.' },
      pasid,
      last: { kind: 'flag', doc: 'It closes its group (default).' },
    },
    gives: [],
    call: true,
  },
  page_response: {
    doc: 'Looks at the oldest response to page requests that a device has got; EAGAIN: there is none.',
    main: 'device',
    args: { device },
    gives: ['code', 'group', 'pasid'],
    call: true,
  },
  legacy: {
    doc: 'A call of the guest-PASID interface of 2020 (iommufd.legacy_uapi).',
    main: 'call',
    args: {
      call: {
        kind: 'choice',
        doc: 'Which call.',
        needed: true,
        choices: Object.keys(LEGACY_CALLS),
      },
      vm: { kind: 'text', doc: 'Virtual machine for which it is made.' },
      device: { kind: 'device', doc: 'Name of the device.' },
      pasid: { kind: 'value', doc: 'Which PASID is to be free.' },
      with: { kind: 'fields', doc: 'Fields of its structure.' },
    },
    gives: ['value'],
    call: true,
  },
  guest: {
    doc: 'Makes a guest out of user memory, with first-stage tables that it writes itself; gives the page number of their root.',
    main: 'memory',
    args: {
      memory: { kind: 'value', doc: 'Address of guest page 0.', needed: true },
      size: { kind: 'value', doc: 'How much memory it has.', needed: true },
      tables: {
        kind: 'choice',
        doc: 'Format of its tables; SV48 if not given.',
        choices: Object.keys(GUEST_TABLES),
      },
      name: { kind: 'text', doc: 'Name of the guest, if there are several.' },
      invalidates: {
        kind: 'value',
        doc: '0: what its drivers have invalidated is left out by those who are to do it; 1 if not given.',
      },
    },
    gives: ['root'],
    call: true,
  },
  guest_map: {
    doc: 'The guest maps its memory for a device: input addresses to guest addresses.',
    main: 'at',
    args: { ...guestRange, to: { kind: 'value', doc: 'Guest address.', needed: true } },
    gives: [],
    call: true,
  },
  guest_unmap: {
    doc: 'The guest clears entries of its tables; what the unit has cached lives on.',
    main: 'at',
    args: guestRange,
    gives: [],
    call: true,
  },
  guest_free: {
    doc: 'The guest uses pages for something else: no device may reach them through a stale translation.',
    main: 'at',
    args: guestRange,
    gives: [],
    call: true,
  },
  start: {
    doc: 'A device begins its traffic; the first start of a NIC sets up its driver in a guest.',
    main: 'device',
    args: {
      device,
      at: { kind: 'value', doc: 'IOVA of the window that it uses.' },
      through: {
        kind: 'value',
        doc: "NIC: the nested page table on its guest's tables, or the address space that shadows what its guest maps.",
      },
      guest: { kind: 'text', doc: 'Name of the guest, if there are several.' },
    },
    gives: [],
  },
  stop: {
    doc: 'A device ends its traffic; what is in flight still arrives.',
    main: 'device',
    args: { device },
    gives: [],
  },
  wait: {
    doc: 'Waits until a device did so many DMAs more, or is idle, or got responses; or until a file is readable.',
    main: 'device',
    args: {
      device: { kind: 'device', doc: 'Name of the device.' },
      dmas: { kind: 'count', doc: 'DMAs to wait for; without, until none is in flight.' },
      readable: { kind: 'value', doc: 'Descriptor to wait for.' },
      responses: {
        kind: 'count',
        doc: 'Responses to page requests that the device is to have got, and nobody looked at.',
      },
      program: { kind: 'program', doc: 'Program whose end to wait for.' },
      within: { kind: 'duration', doc: 'Longest time; 10ms if not given.' },
    },
    gives: [],
  },
  delay: {
    doc: 'Sleeps.',
    main: 'time',
    args: { time: { kind: 'duration', doc: 'How long.', needed: true } },
    gives: [],
  },
  repeat: {
    doc: 'Runs its steps several times.',
    main: 'times',
    args: {
      times: { kind: 'count', doc: 'How often.', needed: true },
      index: { kind: 'text', doc: 'Name of the count, from 0.' },
    },
    gives: [],
    steps: true,
  },
  fork: {
    doc: 'Starts a child process with the same descriptors, which runs its steps beside this one.',
    main: 'name',
    args: {
      name: { kind: 'text', doc: 'Name of the child.', needed: true },
      core: { kind: 'count', doc: 'Its core; the same if not given.' },
    },
    gives: [],
    steps: true,
    call: true,
  },
  check: {
    doc: 'Compares values: `$name`, or a figure of the kernel, with what it must be.',
    main: 'that',
    args: { that: { kind: 'comparison', doc: 'Values by name.', needed: true } },
    gives: [],
  },
  fail_step: {
    doc: 'The n-th step of the kernel that can fail, counted from here, does: for want of memory mostly.',
    main: 'n',
    args: { n: { kind: 'count', doc: 'Which one; 0: none any more.', needed: true } },
    gives: [],
  },
};

/** Figures that `check` knows besides `$names`. */
export const KERNEL_FIGURES = [
  'pinned_pages',
  'charged_bytes',
  'allocations',
  'locked_pages',
  'frames_in_use',
] as const;
export type KernelFigure = (typeof KERNEL_FIGURES)[number];
