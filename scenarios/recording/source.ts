/**
 * The recording that a scenario names: read, and checked against the scenario. Requesters that the
 * scenario does not name become devices like the first recorded one that it does name.
 */

import { InputError } from '../../sim/errors.ts';
import { type Capture, readCapture } from '../../traces/captures/capture.ts';
import { EVENT_ACCESS } from '../../traces/captures/events.ts';
import type { ResolvedDevice, ResolvedScenario } from '../schema/resolved.ts';

export interface RecordingSource {
  readonly capture: Capture;
  /** Events to play, from the first. */
  readonly rows: number;
}

/** Reads the recording; null when the scenario has none. */
export function openRecording(scenario: ResolvedScenario): RecordingSource | null {
  const { recording, iommu } = scenario;
  if (recording.folder === '') return null;
  const capture = readCapture(recording.folder);
  if (capture.architecture !== iommu.arch) {
    throw new InputError(
      'recording.architecture',
      `${recording.folder}: is of ${capture.architecture}, and iommu.arch is ${iommu.arch}`,
    );
  }
  const { count } = capture.events;
  const rows = recording.max_events === 0 ? count : Math.min(count, recording.max_events);
  return { capture, rows };
}

/** The scenario with a device for every requester that accesses memory in the recording. */
export function withRequesters(
  scenario: ResolvedScenario,
  source: RecordingSource,
): ResolvedScenario {
  const { events } = source.capture;
  const named = new Map<number, ResolvedDevice>();
  for (const device of scenario.devices) {
    if (device.master.kind !== 'recorded') continue;
    const id = requesterId(device.master.requester);
    if (named.has(id)) {
      const { requester } = device.master;
      throw new InputError('recording.requester', `${device.name}: ${requester} is named twice`);
    }
    named.set(id, device);
  }
  const [model] = named.values();
  if (model === undefined) return scenario;
  const seen = new Set<number>();
  for (let row = 0; row < source.rows; row++) {
    if (events.kind[row] === EVENT_ACCESS) seen.add(events.sid[row]);
  }
  const added = [...seen]
    .filter((id) => !named.has(id))
    .sort((a, b) => a - b)
    .map((id): ResolvedDevice => {
      const requester = requesterText(id);
      const name = `rid-${requester.replace(':', '-')}`;
      return { ...model, name, master: { kind: 'recorded', requester } };
    });
  return added.length === 0 ? scenario : { ...scenario, devices: [...scenario.devices, ...added] };
}

/** bus:device.function in hexadecimal, as the schema has checked it. */
export function requesterId(text: string): number {
  const [bus, device, fn] = text.split(/[:.]/).map((part) => Number.parseInt(part, 16));
  return (bus << 8) | (device << 3) | fn;
}

/** bus:device.function of a requester id. */
export function requesterText(id: number): string {
  const two = (value: number): string => value.toString(16).padStart(2, '0');
  return `${two(id >> 8)}:${two((id >> 3) & 31)}.${id & 7}`;
}
