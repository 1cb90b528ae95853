/**
 * Parameters of a PCIe link. Defaults are a Gen4 x16 link (16 GT/s, 16 lanes, 128b/130b). Overhead
 * of a TLP: framing and sequence number 4 B, LCRC 4 B, and a header of four double words for a
 * request with a 64-bit address, three for a completion (Intel 683541, "Protocol Overhead").
 */
import { InputError } from '../../sim/errors.ts';
import { bytes, count, duration, type Param, rate, type Values } from '../../sim/spec.ts';
import type { Clock, CyclesPerByte } from '../../sim/time/clock.ts';

export type LinkSpec = Readonly<
  Record<
    | 'rate'
    | 'propagation'
    | 'request_overhead'
    | 'completion_overhead'
    | 'max_payload'
    | 'max_read_request'
    | 'read_tags'
    | 'posted_writes',
    Param<number>
  >
>;

export const linkSpec: LinkSpec = {
  rate: rate('252Gb/s', 'Rate of each direction after line encoding.'),
  propagation: duration('200ns', 'Flight of a TLP through PHYs, wires and switches, one way.'),
  request_overhead: bytes('24B', 'Header, framing and check of a request TLP.'),
  completion_overhead: bytes('20B', 'Header, framing and check of a completion TLP.'),
  max_payload: bytes('256B', 'Most data in one TLP.', { min: 64, max: 4096 }),
  max_read_request: bytes('512B', 'Most data that one read request asks for.', {
    min: 64,
    max: 4096,
  }),
  read_tags: count(256, 'Read requests outstanding.', { min: 1, max: 65_536 }),
  posted_writes: count(256, 'Posted writes that the root complex has room for.', {
    min: 1,
    max: 65_536,
  }),
};

/** A link's parameters in cycles of the base clock. */
export interface LinkOptions {
  readonly cost: CyclesPerByte;
  readonly propagation: number;
  readonly requestOverhead: number;
  readonly completionOverhead: number;
  readonly maxPayload: number;
  readonly maxReadRequest: number;
  readonly readTags: number;
  readonly postedWrites: number;
}

export function linkOptions(values: Values<LinkSpec>, clock: Clock): LinkOptions {
  for (const name of ['max_payload', 'max_read_request'] as const) {
    const size = values[name];
    if ((size & (size - 1)) !== 0) {
      throw new InputError('link', `${name} of ${size} bytes: expected a power of two`);
    }
  }
  return {
    cost: clock.cyclesPerByte(values.rate),
    propagation: clock.nearest(values.propagation),
    requestOverhead: values.request_overhead,
    completionOverhead: values.completion_overhead,
    maxPayload: values.max_payload,
    maxReadRequest: values.max_read_request,
    readTags: values.read_tags,
    postedWrites: values.posted_writes,
  };
}
