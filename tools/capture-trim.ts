#!/usr/bin/env node
/**
 * Makes a small sample of a capture folder: its first events, cut at a quiet moment, with its
 * registers and a README that names source and counts. Memory image and what refers to the end of
 * the recording are left out. Usage: capture-trim FOLDER OUT EVENTS
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { InputError } from '../sim/errors.ts';
import { identifyCapture } from '../traces/captures/capture.ts';
import { type CaptureEvents, readEvents } from '../traces/captures/events.ts';
import { readBytes } from '../traces/captures/json-lines.ts';

const NEWLINE = 0x0a;

/** The last of the first `most` events before the longest pause in their last tenth. */
export function quietCut(events: CaptureEvents, most: number): number {
  if (events.count <= most) return events.count;
  let cut = most;
  let longest = -1;
  for (let row = Math.max(1, Math.floor(most * 0.9)); row <= most; row++) {
    const pause = events.timeUs[row]! - events.timeUs[row - 1]!;
    if (pause < longest) continue;
    longest = pause;
    cut = row;
  }
  return cut;
}

export interface TrimResult {
  readonly events: number;
  readonly of: number;
  /** Bytes of the compressed events. */
  readonly bytes: number;
}

export function trimCapture(folder: string, out: string, most: number): TrimResult {
  const capture = identifyCapture(folder);
  const path = join(folder, 'events.jsonl.gz');
  const events = readEvents(path);
  const count = quietCut(events, most);
  const text = readBytes(path);
  let end = 0;
  for (let line = 0; line < count; line++) end = text.indexOf(NEWLINE, end) + 1 || text.length;
  const packed = gzipSync(text.subarray(0, end), { level: 9 });
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'events.jsonl.gz'), packed);
  writeFileSync(join(out, 'registers.json'), readBytes(join(folder, 'registers.json')));
  writeFileSync(join(out, 'README.md'), readme(capture.name, events, count));
  return { events: count, of: events.count, bytes: packed.length };
}

function readme(source: string, events: CaptureEvents, count: number): string {
  const kinds = new Map<string, number>();
  const names = ['attach', 'map', 'unmap', 'xl', 'inv', 'fault', 'dma_alloc', 'mark', 'dump'];
  for (let row = 0; row < count; row++) {
    const name = names[events.kind[row]!] ?? events.textOf(row);
    kinds.set(name, (kinds.get(name) ?? 0) + 1);
  }
  const last = events.timeUs[count - 1] ?? 0;
  return [
    '# Sample of a recording',
    '',
    `The first ${count} of ${events.count} events of the capture \`${source}\`: a real Linux kernel`,
    'that drives an emulated IOMMU, from boot through attaching its devices into the workload, up to',
    `a quiet moment (${last} us after the first event). Made by \`tools/capture-trim.ts\`.`,
    '',
    '| events | count |',
    '|---|---|',
    ...[...kinds].sort(([, a], [, b]) => b - a).map(([name, n]) => `| ${name} | ${n} |`),
    '',
    '`events.jsonl.gz` and `registers.json` are as in the capture; the registers are those of the',
    'end of the whole recording. There is no memory image.',
    '',
  ].join('\n');
}

function main(args: readonly string[]): void {
  const [folder, out, most] = args;
  const events = Number(most);
  if (folder === undefined || out === undefined || !Number.isInteger(events) || events < 1) {
    throw new InputError('usage', 'usage: capture-trim FOLDER OUT EVENTS');
  }
  const result = trimCapture(folder, out, events);
  process.stdout.write(`${result.events} of ${result.of} events, ${result.bytes} bytes\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  }
}
