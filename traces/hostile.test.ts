/** Traces whose checksums are right and whose contents are not: what a hostile writer can make. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../sim/errors.ts';
import { renderAnalysis } from './analysis-text.ts';
import { analyzeTrace } from './analyze.ts';
import { compareTraces } from './compare.ts';
import { fixture } from './fixture.ts';
import { crc32 } from './format/crc32.ts';
import { TraceReader } from './reader.ts';
import { extractDmaStream } from './stream.ts';

const WHOLE = fixture({ rows: 30 });

interface Piece {
  readonly type: number;
  readonly payload: Uint8Array;
}

function pieces(trace: Uint8Array): Piece[] {
  const view = new DataView(trace.buffer, trace.byteOffset);
  const found: Piece[] = [];
  for (let at = 12; at < trace.length; ) {
    const length = view.getUint32(at + 8);
    found.push({ type: trace[at + 6], payload: trace.slice(at + 12, at + 12 + length) });
    at += 12 + length;
  }
  return found;
}

function assembled(parts: readonly Piece[]): Uint8Array {
  const frames = parts.map(({ type, payload }) => {
    const frame = Buffer.alloc(12 + payload.length);
    frame.set([0x93, 0xce, 0, 0, 0, 0, type, 0xc6]);
    frame.writeUInt32BE(payload.length, 8);
    frame.set(payload, 12);
    frame.writeUInt32BE(crc32(frame.subarray(6)), 2);
    return frame;
  });
  return new Uint8Array(Buffer.concat([WHOLE.subarray(0, 12), ...frames]));
}

/** Does all that can be done with a trace; input errors are the only ones allowed. */
function exercise(trace: Uint8Array): void {
  const attempts = [
    (reader: TraceReader) => reader.verify(),
    (reader: TraceReader) => renderAnalysis(analyzeTrace(reader)),
    (reader: TraceReader) => extractDmaStream(reader),
    (reader: TraceReader) => compareTraces(reader, TraceReader.open(WHOLE)),
    (reader: TraceReader) => compareTraces(TraceReader.open(WHOLE), reader),
    (reader: TraceReader) => [...reader.chunks({ from: reader.seek(1500) })],
  ];
  for (const attempt of attempts) {
    try {
      attempt(TraceReader.open(trace));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }
}

test('taken apart and put together, a trace is the same', () => {
  assert.equal(assembled(pieces(WHOLE)), WHOLE);
});

test('no content of a message does more than raise an input error', () => {
  const parts = pieces(WHOLE);
  const special = fc.constantFrom(0xc0, 0xc6, 0xcb, 0xcf, 0xd3, 0xd4, 0xdd, 0xdf, 0x90, 0x80, 0xff);
  const change = fc.record({
    part: fc.nat(parts.length - 1),
    at: fc.nat(),
    byte: fc.oneof(fc.nat(255), special),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const changed = parts.map(({ type, payload }) => ({ type, payload: payload.slice() }));
      for (const { part, at, byte } of changes) {
        const { payload } = changed[part];
        payload[at % payload.length] = byte;
      }
      exercise(assembled(changed));
    }),
    { numRuns: 1500 },
  );
});

test('no order or kind of frames does more than raise an input error', () => {
  const parts = pieces(WHOLE);
  const part = fc.constantFrom(...parts);
  const retyped = fc.tuple(part, fc.nat(5)).map(([{ payload }, type]) => ({ type, payload }));
  const tail = fc.array(fc.oneof(part, retyped), { maxLength: 8 });
  fc.assert(
    fc.property(tail, fc.boolean(), (frames, headed) => {
      exercise(assembled(headed ? [parts[0], ...frames] : frames));
    }),
    { numRuns: 300 },
  );
});

test('deep nesting is an input error, not an overflow of the stack', () => {
  const payload = new Uint8Array(1_000_000).fill(0x91);
  exercise(assembled([{ type: 1, payload }]));
  exercise(assembled([pieces(WHOLE)[0], { type: 2, payload }]));
});

test.run();
