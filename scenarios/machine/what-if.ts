/**
 * "What if": devices issue the DMAs of a trace instead of their own traffic. Every page that a
 * device touches is mapped before the run, at the input address that was recorded; gaps between
 * DMAs are kept as the least distance in time, and a bounded number is outstanding.
 */
import { pageNumber, pnHi, pnLo } from '../../hw/address.ts';
import type { DmaSurroundings } from '../../hw/dma/dma-port.ts';
import { type DmaColumns, dmaColumns, RecordedMaster } from '../../hw/dma/recorded.ts';
import type { DmaApi, DmaDevice } from '../../hw/host/dma-api.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../hw/iommu/access.ts';
import { InputError } from '../../sim/errors.ts';
import { type DmaStream, FLAG_ACCESS_MASK, FLAG_PASID_SHIFT } from '../../traces/stream.ts';
import type { ResolvedDevice, ResolvedScenario } from '../schema/resolved.ts';
import type { DomainSoftware } from './software.ts';

/** Most DMAs that a device has in flight, where its own traffic has no such limit. */
const OUTSTANDING = 256;

/** For each device of the scenario its part of the stream. */
export function splitStream(
  stream: DmaStream,
  names: readonly string[],
  scenario: ResolvedScenario,
): readonly DmaColumns[] {
  const counts = new Map<number, number>();
  for (let i = 0; i < stream.count; i++) {
    const device = stream.device[i];
    counts.set(device, (counts.get(device) ?? 0) + 1);
  }
  const target = new Map<number, number>();
  const sizes = new Array<number>(scenario.devices.length).fill(0);
  for (const [device, count] of counts) {
    const index = counterpart(device, names[device], scenario.devices);
    target.set(device, index);
    sizes[index] += count;
  }
  const parts = sizes.map((size) => dmaColumns(size));
  fillParts(stream, target, scenario.clock / stream.clockHz, parts);
  return parts;
}

/** A device of the trace is the one of the same name, else the one at the same place. */
function counterpart(
  device: number,
  name: string | undefined,
  devices: readonly ResolvedDevice[],
): number {
  const named = devices.findIndex((candidate) => candidate.name === name);
  if (named >= 0) return named;
  if (device < devices.length) return device;
  throw new InputError(
    'what-if-devices',
    `the trace has DMAs of device ${name ?? device} (number ${device}), ` +
      `the scenario has neither that name nor that many devices (${devices.length})`,
  );
}

function fillParts(
  stream: DmaStream,
  target: ReadonlyMap<number, number>,
  cyclesPerCycle: number,
  parts: readonly DmaColumns[],
): void {
  const filled = new Array<number>(parts.length).fill(0);
  const start = stream.count > 0 ? stream.issued[0] : 0;
  const last = new Float64Array(parts.length);
  for (let i = 0; i < stream.count; i++) {
    const index = target.get(stream.device[i]) as number;
    const part = parts[index];
    const at = filled[index]++;
    const issued = Math.round((stream.issued[i] - start) * cyclesPerCycle);
    part.device[at] = index;
    part.pasid[at] = (stream.flags[i] >>> FLAG_PASID_SHIFT) - 1;
    part.access[at] = stream.flags[i] & FLAG_ACCESS_MASK;
    part.hi[at] = stream.hi[i];
    part.lo[at] = stream.lo[i];
    part.offset[at] = stream.offset[i];
    part.bytes[at] = stream.bytes[i];
    part.gap[at] = issued - last[index];
    last[index] = issued;
  }
}

/** The master of a device that plays its part of the stream. */
export function createReplay(
  around: DmaSurroundings,
  wanted: ResolvedDevice,
  columns: DmaColumns,
): RecordedMaster {
  const { master } = wanted;
  const outstanding = master.kind === 'pattern' ? master.outstanding : OUTSTANDING;
  return new RecordedMaster(around, { outstanding, keepGaps: true }, columns, null);
}

/** A guest's memory has to hold what the devices touch, tables left aside. */
function checkRoom(domain: DomainSoftware, pages: Float64Array): void {
  const { frames, inUse } = domain.buffers;
  if (inUse + pages.length <= frames) return;
  throw new InputError(
    'what-if-memory',
    `the trace touches ${pages.length} pages, domain ${domain.name} has ${frames - inUse} free: ` +
      'give its guest more memory (guest_memory)',
  );
}

/** Maps the pages that a device will touch; a page that the domain has already stays as it is. */
export function mapTouched(
  api: DmaApi,
  domain: DomainSoftware,
  dma: DmaDevice,
  columns: DmaColumns,
): void {
  if (domain.domain.tables === null) return;
  const { mappedPages } = domain;
  const touched = new Set<number>();
  for (let i = 0; i < columns.hi.length; i++) {
    const page = pageNumber(columns.hi[i], columns.lo[i]);
    if (!mappedPages.has(page)) touched.add(page);
  }
  const pages = Float64Array.from(touched).sort();
  checkWidth(domain, pages);
  checkRoom(domain, pages);
  for (let from = 0; from < pages.length; ) {
    let to = from + 1;
    while (to < pages.length && pages[to] === pages[to - 1] + 1) to++;
    mapRun(api, domain, dma, pages[from], to - from);
    from = to;
  }
  for (const page of pages) mappedPages.add(page);
}

function mapRun(
  api: DmaApi,
  domain: DomainSoftware,
  dma: DmaDevice,
  page: number,
  pages: number,
): void {
  // Frames lie in a large page as the input pages do, so that large leaves fit.
  const align = pages >= 512 ? 512 : 1;
  const lead = page % align;
  const frame = domain.buffers.allocRun(lead + pages, align) + lead;
  const access = ACCESS_READ | ACCESS_WRITE;
  api.install(dma, pnHi(page), pnLo(page), pnHi(frame), pnLo(frame), pages, access);
}

function checkWidth(domain: DomainSoftware, pages: Float64Array): void {
  const format = domain.domain.tables?.format;
  if (format === undefined || pages.length === 0) return;
  // Half of a sign-extended format is out of reach of addresses that start with zeros.
  const bits = format.inputBits - (format.signExtended ? 1 : 0);
  const highest = pages[pages.length - 1];
  if (highest < 2 ** (bits - 12)) return;
  throw new InputError(
    'what-if-address',
    `the trace has DMAs to 0x${(highest * 4096).toString(16)}, which domain ${domain.name} ` +
      `cannot map: ${format.name} translates ${bits} bits`,
  );
}
