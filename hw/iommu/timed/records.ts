/** Record kinds that the timed unit emits: walks, single references, commands, faults. */
import type { RecordKind } from '../../../sim/probe.ts';

/** One finished page walk, emitted by its shard. */
export const WALK_RECORD: RecordKind = {
  name: 'walk',
  level: 'walks',
  columns: [
    { name: 'device', type: 'u32', doc: 'Index of the device that asked first' },
    { name: 'hi', type: 'u32', doc: 'Input page number, bits 51:27' },
    { name: 'lo', type: 'u32', doc: 'Input page number, bits 26:0' },
    { name: 'refs', type: 'u32', doc: 'Memory references: stage 1 | stage 2 << 16' },
    { name: 'queued', type: 'u32', doc: 'Cycles waited for a walk slot' },
    { name: 'cycles', type: 'u32', doc: 'Cycles in the walk slot' },
    { name: 'outcome', type: 'u32', doc: '0 translated, else the reason of the fault' },
    { name: 'order', type: 'u32', doc: 'log2 of the 4 KiB pages that the translation covers' },
  ],
};

/** One memory reference of a walk. */
export const REFERENCE_RECORD: RecordKind = {
  name: 'ref',
  level: 'full',
  columns: [
    { name: 'slot', type: 'u32', doc: 'Walk slot of the shard' },
    { name: 'kind', type: 'u32', doc: '1 stage 1, 2 stage 2, 3 redirect table; | level << 4' },
    { name: 'hi', type: 'u32', doc: 'Page number of the entry read, bits 51:27' },
    { name: 'lo', type: 'u32', doc: 'Page number of the entry read, bits 26:0' },
    { name: 'offset', type: 'u32', doc: 'Byte offset of the entry in its page' },
    { name: 'cycles', type: 'u32', doc: 'Cycles until the data arrived' },
    { name: 'update', type: 'u32', doc: '1 when it was an accessed/dirty update' },
  ],
};

/** One completed command of the invalidation or command queue. */
export const COMMAND_RECORD: RecordKind = {
  name: 'command',
  level: 'requests',
  columns: [
    { name: 'code', type: 'u32', doc: "The architecture's command number" },
    { name: 'kind', type: 'u32', doc: 'What it asked for: OP_* of hw/iommu/architecture.ts' },
    { name: 'dropped', type: 'u32', doc: 'IOTLB entries thrown away' },
    { name: 'cycles', type: 'u32', doc: 'Cycles from its fetch to its completion' },
  ],
};

/** One reported fault. */
export const FAULT_RECORD: RecordKind = {
  name: 'fault',
  level: 'requests',
  columns: [
    { name: 'device', type: 'u32', doc: 'Index of the device' },
    { name: 'code', type: 'u32', doc: "The architecture's fault code" },
    { name: 'access', type: 'u32', doc: 'ACCESS_* bits of the request' },
    { name: 'hi', type: 'u32', doc: 'Input page number, bits 51:27' },
    { name: 'lo', type: 'u32', doc: 'Input page number, bits 26:0' },
    { name: 'offset', type: 'u32', doc: 'Byte offset in the page' },
  ],
};
