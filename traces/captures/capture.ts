/**
 * A capture folder: a recording of a real Linux kernel that drives an emulated IOMMU, with the
 * memory image and registers of its last moment. A trimmed folder has only events and registers.
 */
import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { InputError } from '../../sim/errors.ts';
import { type CaptureEvents, readEvents } from './events.ts';
import { type RegisterWindow, readRegisters } from './image.ts';

export type CaptureArchitecture = 'vtd' | 'riscv' | 'smmuv3' | 'amdvi';

const ARCHITECTURES: Readonly<Record<string, CaptureArchitecture>> = {
  dmar0: 'vtd',
  riscv_iommu: 'riscv',
  smmu_page0: 'smmuv3',
  amdvi: 'amdvi',
};

/** What a capture is of, from its registers alone. */
export interface CaptureIdentity {
  readonly folder: string;
  readonly name: string;
  readonly architecture: CaptureArchitecture;
  readonly registers: readonly RegisterWindow[];
}

export interface Capture extends CaptureIdentity {
  readonly events: CaptureEvents;
}

const EVENT_FILES = ['events.jsonl.gz', 'events.jsonl'];

/** Whether a path is a capture folder, by its content. */
export function isCaptureFolder(path: string): boolean {
  return (
    statSync(path, { throwIfNoEntry: false })?.isDirectory() === true &&
    existsSync(join(path, 'registers.json')) &&
    eventFile(path) !== null
  );
}

export function identifyCapture(folder: string): CaptureIdentity {
  const registers = readRegisters(folder);
  const architecture = registers.map(({ name }) => ARCHITECTURES[name]).find(Boolean);
  if (architecture === undefined) {
    const names = registers.map(({ name }) => name).join(', ');
    throw new InputError(
      'capture.architecture',
      `${folder}/registers.json: window ${names}: expected one of ${Object.keys(ARCHITECTURES).join(', ')}`,
    );
  }
  return { folder, name: basename(resolve(folder)), architecture, registers };
}

/** Reads registers and all events of a capture folder. */
export function readCapture(folder: string): Capture {
  const path = eventFile(folder);
  if (path === null) {
    throw new InputError('capture.folder', `${folder}: has no ${EVENT_FILES[0]}`);
  }
  return { ...identifyCapture(folder), events: readEvents(path) };
}

function eventFile(folder: string): string | null {
  const name = EVENT_FILES.find((file) => existsSync(join(folder, file)));
  return name === undefined ? null : join(folder, name);
}
