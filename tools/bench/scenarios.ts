/** Scenarios that benchmarks run, as text: they have no place among those a person would run. */
import { diskFiles } from '../../scenarios/extends.ts';
import { loadScenario } from '../../scenarios/loader.ts';
import type { ResolvedScenario } from '../../scenarios/schema/resolved.ts';

const FILE = 'benchmark.yaml';

/** Every DMA hits: 16 pages in an IOTLB of 1024 entries. */
export const HIT = `
extends: riscv-server
domains:
  - { name: guest, translation: nested, policy: static, guest_memory: 64MiB }
devices:
  - name: dev
    domain: guest
    master: { kind: pattern, pattern: random, window: 64KiB, size: 64B, outstanding: 64 }
`;

/** Every DMA walks 24 references: no caches, Sv48 over Sv48x4. */
export const NESTED_COLD = `
extends: [riscv-server, uncached]
iommu: { walkers: { slots: 64 } }
domains:
  - name: guest
    translation: nested
    stage1: Sv48
    stage2: Sv48x4
    policy: static
    guest_memory: 128MiB
devices:
  - name: dev
    domain: guest
    master: { kind: pattern, pattern: random, window: 64MiB, size: 64B, outstanding: 128 }
`;

/** A window of hits and walks, and a NIC with strict unmapping beside it: every unit at work. */
export const MIXED = `
extends: [riscv-server, linux-host]
domains:
  - { name: guest, translation: nested, policy: static, guest_memory: 64MiB }
  - { name: kernel, translation: stage1, policy: strict }
devices:
  - name: dev
    domain: guest
    master:
      kind: pattern
      pattern: hot-cold
      window: 8MiB
      size: 64B
      outstanding: 64
      hot_window: 256KiB
      hot_parts: 49
      read_parts: 1
      write_parts: 1
  - { name: nic, extends: nic-200g, domain: kernel, master: { receive: 20Gb/s, queues: 2 } }
`;

/** A million 4 KiB pages mapped for a guest, which the host maps by 4 KiB pages too. */
export const MILLION_PAGES = `
extends: riscv-server
run: { for: 1ms, max_dmas: 20000 }
domains:
  - name: guest
    translation: nested
    policy: static
    page: 4KiB
    stage2_page: 4KiB
    guest_memory: 5GiB
    address_bits: 40
devices:
  - name: dev
    domain: guest
    master: { kind: pattern, pattern: random, window: 4000MiB, size: 64B, outstanding: 64 }
`;

/** Devices of the same rate each, whose pages and contexts all stay cached. */
export function manyDevices(count: number): string {
  return `
extends: riscv-server
iommu:
  caches:
    iotlb: { sets: 512, ways: 8 }
    context: { sets: 512, ways: 8 }
domains:
  - { name: kernel, translation: stage1, policy: static }
devices:
  - name: dev{i}
    count: ${count}
    domain: kernel
    master:
      { kind: pattern, pattern: random, window: 4KiB, size: 64B, outstanding: 16, rate: 512Mb/s }
`;
}

/** Resolves the text of a scenario, presets taken from where they always are. */
export function benchScenario(text: string, set: readonly string[] = []): ResolvedScenario {
  const disk = diskFiles();
  const read = (path: string): string | null => (path === FILE ? text : disk.read(path));
  const files = { home: disk.home, read, presets: () => disk.presets() };
  return loadScenario(FILE, { set, files }).points[0].scenario;
}

/** One of the project's own scenarios. */
export function ownScenario(name: string, set: readonly string[] = []): ResolvedScenario {
  return loadScenario(`${diskFiles().home}/${name}.yaml`, { set }).points[0].scenario;
}
