/** Devices: VFIO ones of the machine, mock ones that IOMMU_TEST_CMD makes, and page requests. */
import type { PageRequest } from '../../../hw/host/iommufd/driver.ts';
import { SelftestDevice } from '../../../hw/host/iommufd/drivers/mock/selftest-device.ts';
import { Device } from '../../../hw/host/iommufd/objects/device.ts';
import { Fault } from '../../../hw/host/iommufd/objects/fault.ts';
import { reportPageRequest } from '../../../hw/host/iommufd/objects/fault-routing.ts';
import {
  REQUEST_LAST_PAGE,
  REQUEST_PASID_VALID,
} from '../../../hw/host/iommufd/objects/page-requests.ts';
import { TEST_TRIGGER_IOPF } from '../../../hw/host/iommufd/uapi/structs.ts';
import { didYouMean } from '../../../scenarios/nearest.ts';
import { InputError } from '../../../sim/errors.ts';
import { left, right, tableLines } from '../../report/table.ts';
import { runAs } from '../calls.ts';
import { hexNumber } from '../dump.ts';
import type { MachineDevice } from '../machine-parts.ts';
import type { Outcome, Session } from '../session.ts';
import { fieldValue, parseAddress, parseCount } from '../values.ts';
import type { Arguments } from '../words.ts';
import { type ToolCommand, told } from './command.ts';
import { answerOf, syscall } from './files.ts';

const devices: ToolCommand = {
  name: 'devices',
  group: 'devices',
  usage: '',
  help: 'lists the devices of the machine that can be bound',
  run(session, args) {
    args.end();
    const heads = [left('device'), left('node'), left('unit'), right('PASIDs'), left('state')];
    const rows = session.machine.devices.map((device) => [
      device.name,
      device.path,
      device.unit,
      String(device.iommu.maxPasids),
      stateOf(session, device),
    ]);
    const list = session.machine.devices.map((device) => ({
      name: device.name,
      path: device.path,
      unit: device.unit,
      pasids: device.iommu.maxPasids,
      state: stateOf(session, device),
    }));
    return told(tableLines(heads, rows, session.palette.head), { devices: list });
  },
};

function stateOf(session: Session, device: MachineDevice): string {
  const fd = session.deviceFds.get(device.name);
  if (fd === undefined) return 'closed';
  const bound = boundDevice(session, device);
  return bound === null ? `open on fd ${fd}` : `bound as device ${bound.id}, fd ${fd}`;
}

function boundDevice(session: Session, device: MachineDevice): Device | null {
  if (session.fd < 0) return null;
  const objects = session.context().objects.objects();
  const found = objects.find((object) => object instanceof Device && object.iommu === device.iommu);
  return (found as Device | undefined) ?? null;
}

function machineDevice(session: Session, word: string): MachineDevice {
  const { devices: all } = session.machine;
  const found = all.find(({ name, path }) => name === word || path === word);
  if (found !== undefined) return found;
  const names = all.map(({ name }) => name);
  const hint = didYouMean(word, names) || ` (devices: ${names.join(', ')})`;
  throw new InputError('ioctl-device', `the machine has no device "${word}"${hint}`);
}

const bind: ToolCommand = {
  name: 'bind',
  group: 'devices',
  usage: '<device>',
  help: 'opens the VFIO node of a device and binds it to the open /dev/iommu',
  run(session, args) {
    const device = machineDevice(session, args.needed('a device, like vfio0'));
    args.end();
    const iommufd = session.openFd;
    const opened = session.deviceFds.get(device.name);
    const lines: string[] = [];
    let fd = opened;
    if (fd === undefined) {
      const answer = answerOf(session.machine.process.calls.open(device.path));
      const outcome = syscall(session, `open ${device.path}`, answer);
      if (answer.errno !== 0) return outcome;
      fd = answer.value;
      session.deviceFds.set(device.name, fd);
      lines.push(...outcome.lines);
    }
    const words = [`--fd=${fd}`, `iommufd=${iommufd}`];
    const outcome = runAs(session, 'VFIO_DEVICE_BIND_IOMMUFD', ...words);
    const id = session.names.get('devid');
    if (outcome.answer?.errno === 0 && id !== undefined) {
      session.names.set('dev', id);
      session.names.set(device.name, id);
      lines.push(...outcome.lines, `  @${device.name} = ${id}`);
      return { ...outcome, lines };
    }
    lines.push(...outcome.lines);
    if (opened === undefined) {
      session.machine.process.close(fd);
      session.deviceFds.delete(device.name);
      lines.push(`close ${fd}`);
    }
    return { ...outcome, lines };
  },
};

/** A device to be attached: by VFIO, or as a mock device by IOMMU_TEST_CMD. */
type Attachable =
  | { readonly kind: 'vfio'; readonly fd: number }
  | { readonly kind: 'mock'; readonly id: number };

function attachable(session: Session, word: string): Attachable {
  const { devices: all } = session.machine;
  if (all.some(({ name, path }) => name === word || path === word) || !/^[@\d]/.test(word)) {
    const { name } = machineDevice(session, word);
    const fd = session.deviceFds.get(name);
    if (fd === undefined) throw new InputError('ioctl-device', `${name} is not open: bind ${name}`);
    return { kind: 'vfio', fd };
  }
  const id = parseCount(word, 'device', session.names);
  const object = session.context().objects.peek(id);
  if (object instanceof SelftestDevice) return { kind: 'mock', id };
  if (object instanceof Device) {
    const device = all.find(({ iommu }) => iommu === object.iommu);
    const fd = device === undefined ? undefined : session.deviceFds.get(device.name);
    if (fd !== undefined) return { kind: 'vfio', fd };
    const objects = session.context().objects.objects();
    const owner = objects.find((o) => o instanceof SelftestDevice && o.device === object);
    if (owner !== undefined) return { kind: 'mock', id: owner.id };
  }
  throw new InputError('ioctl-device', `object ${id} is no device that can be attached (objects)`);
}

function pasidOf(args: Arguments): string | null {
  return args.named('pasid');
}

const attach: ToolCommand = {
  name: 'attach',
  group: 'devices',
  usage: '<device> <ioas or hwpt> [--pasid n]',
  help: 'attaches a device, or one of its PASIDs; of a VFIO device a second attach replaces',
  options: ['--pasid'],
  run: (session, args) => attachOrReplace(session, args, false),
};

const replace: ToolCommand = {
  name: 'replace',
  group: 'devices',
  usage: '<device> <ioas or hwpt> [--pasid n]',
  help: 'moves a device, or one of its PASIDs, to another page table without a gap',
  options: ['--pasid'],
  run: (session, args) => attachOrReplace(session, args, true),
};

function attachOrReplace(session: Session, args: Arguments, replaces: boolean): Outcome {
  const device = attachable(session, args.needed('a device, like vfio0 or @stdev'));
  const pt = args.needed('an IOAS or page table, like @ioas');
  const pasid = pasidOf(args);
  args.end();
  const withPasid = pasid === null ? [] : [`pasid=${pasid}`];
  if (device.kind === 'vfio') {
    const words = [`--fd=${device.fd}`, `pt_id=${pt}`, ...withPasid];
    return runAs(session, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', ...words);
  }
  if (pasid === null && !replaces) {
    throw new InputError(
      'ioctl-usage',
      'a mock device is attached from the start (mock-device): use replace, or give --pasid',
    );
  }
  const op = pasid === null ? 'mock-domain-replace' : replaces ? 'pasid-replace' : 'pasid-attach';
  return runAs(session, 'TEST_CMD', op, `id=${device.id}`, `pt_id=${pt}`, ...withPasid);
}

const detach: ToolCommand = {
  name: 'detach',
  group: 'devices',
  usage: '<device> [--pasid n]',
  help: 'detaches a device, or one of its PASIDs: its DMA is blocked',
  options: ['--pasid'],
  run(session, args) {
    const device = attachable(session, args.needed('a device, like vfio0'));
    const pasid = pasidOf(args);
    args.end();
    if (device.kind === 'vfio') {
      const words = [`--fd=${device.fd}`, ...(pasid === null ? [] : [`pasid=${pasid}`])];
      return runAs(session, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', ...words);
    }
    if (pasid === null) {
      throw new InputError('ioctl-usage', `a mock device goes as a whole: destroy ${device.id}`);
    }
    return runAs(session, 'TEST_CMD', 'pasid-detach', `id=${device.id}`, `pasid=${pasid}`);
  },
};

const mock: ToolCommand = {
  name: 'mock-device',
  group: 'devices',
  usage: '[ioas or hwpt] [--flags pasid|no-dirty]',
  help: 'makes a mock device that is attached at once (IOMMU_TEST_CMD); by default to @ioas',
  options: ['--flags'],
  run(session, args) {
    const pt = args.word() ?? '@ioas';
    const flags = args.named('flags');
    args.end();
    const op = flags === null ? ['mock-domain'] : ['mock-domain-flags', `dev_flags=${flags}`];
    const outcome = runAs(session, 'TEST_CMD', ...op, `id=${pt}`);
    const id = session.names.get('idev');
    if (outcome.answer?.errno === 0 && id !== undefined) session.names.set('dev', id);
    return outcome;
  },
};

const request: ToolCommand = {
  name: 'page-request',
  group: 'devices',
  usage: '<device> addr=... [perm=read|write] [grpid=n] [pasid=n] [--more]',
  help: 'lets a bound device ask for a page; --more: others of its group follow',
  options: ['addr=', 'perm=', 'grpid=', 'pasid=', '--more'],
  run(session, args) {
    const device = deviceObject(session, args.needed('a device, like vfio0 or @dev'));
    const { names } = session;
    const number = (name: string): number => {
      const text = args.named(name);
      return text === null ? 0 : parseCount(text, name, names);
    };
    const address = parseAddress(args.named('addr') ?? '0', 'addr', names);
    const perm = args.named('perm') ?? 'read';
    const pasid = number('pasid');
    const grpid = number('grpid');
    const more = args.switched('more');
    args.end();
    const flags = (more ? 0 : REQUEST_LAST_PAGE) | (pasid === 0 ? 0 : REQUEST_PASID_VALID);
    const permissions = Number(fieldValue(TEST_TRIGGER_IOPF, 'perm', perm, names));
    return reported(session, device, { flags, pasid, grpid, perm: permissions, address });
  },
};

function deviceObject(session: Session, word: string): Device {
  const { devices: all } = session.machine;
  const known = all.find(({ name, path }) => name === word || path === word);
  const object =
    known !== undefined
      ? boundDevice(session, known)
      : session.context().objects.peek(parseCount(word, 'device', session.names));
  if (object instanceof SelftestDevice) return object.device;
  if (object instanceof Device) return object;
  throw new InputError('ioctl-device', `${word} is no bound device (devices, objects)`);
}

function reported(session: Session, device: Device, asked: PageRequest): Outcome {
  const taken = reportPageRequest(device.group, device.iommu, asked);
  const queues = session
    .context()
    .objects.objects()
    .filter((object) => object instanceof Fault)
    .map(({ id, pending }) => ({ fault: id, ...pending }));
  const lines = queues.map(
    ({ fault, waiting, unanswered }) =>
      `  fault ${fault}: ${waiting} groups wait to be read, ${unanswered} to be answered`,
  );
  const { name } = device.iommu;
  const head = taken
    ? `${name} asks for a page`
    : `${name} asks for a page and is refused: its page table has no fault queue`;
  return told([head, ...lines], {
    device: device.id,
    taken,
    queues,
  });
}

const dma: ToolCommand = {
  name: 'dma',
  group: 'devices',
  usage: '<device> <iova> [read | write]',
  help: 'lets a device access an address, and tells where its IOMMU unit sends it',
  options: ['read', 'write'],
  run(session, args) {
    const device = machineDevice(session, args.needed('a device, like vfio0'));
    const iova = parseAddress(args.needed('an address'), 'iova', session.names);
    const way = args.word() ?? 'read';
    args.end();
    if (way !== 'read' && way !== 'write') {
      throw new InputError('ioctl-usage', `dma: "${way}" is neither read nor write`);
    }
    if (device.access === undefined) {
      throw new InputError(
        'ioctl-device',
        `${device.name} is on paper only: look with translate, or use --driver vtd or riscv`,
      );
    }
    const { address, fault } = device.access(iova, way === 'write');
    const { good, bad } = session.palette;
    const to = address === null ? bad(`fault ${fault}`) : good(hexNumber(address));
    return told([`${device.name}: ${way} of ${hexNumber(iova)} -> ${to}`], {
      device: device.name,
      iova: hexNumber(iova),
      address: address === null ? null : hexNumber(address),
      fault,
    });
  },
};

export const DEVICE_COMMANDS: readonly ToolCommand[] = [
  devices,
  bind,
  attach,
  replace,
  detach,
  mock,
  request,
  dma,
];
