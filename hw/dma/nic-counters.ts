/** What a NIC counts. */

export const NIC_COUNTERS = [
  'received',
  'received-bytes',
  'dropped',
  'dropped-bytes',
  'sent',
  'sent-bytes',
  'errors',
  'interrupts',
  'fetches',
] as const;
export const COUNT_RECEIVED = 0;
export const COUNT_RECEIVED_BYTES = 1;
export const COUNT_DROPPED = 2;
export const COUNT_DROPPED_BYTES = 3;
export const COUNT_SENT = 4;
export const COUNT_SENT_BYTES = 5;
export const COUNT_ERRORS = 6;
export const COUNT_INTERRUPTS = 7;
export const COUNT_FETCHES = 8;
