/** `count`: a device or domain written once and built many times. */
import type {
  ResolvedDevice,
  ResolvedDomain,
  ResolvedScenario,
  WrittenScenario,
} from './resolved.ts';

const NUMBER = /\{i\}/g;

/** `nic` number 3 of 8 is `nic.3`; a name with `{i}` says itself where the number goes. */
export function replicaName(name: string, index: number, count: number): string {
  if (name.includes('{i}')) return name.replace(NUMBER, String(index));
  return count === 1 ? name : `${name}.${index}`;
}

/** Names of all replicas of a written device or domain. */
export function replicaNames(item: { readonly name: string; readonly count: number }): string[] {
  return Array.from({ length: item.count }, (_, i) => replicaName(item.name, i, item.count));
}

/** The scenario with every replica written out and `count` gone. */
export function expandReplicas(written: WrittenScenario): ResolvedScenario {
  const domains = written.domains.flatMap(({ count, ...domain }) =>
    replicaNames({ ...domain, count }).map((name): ResolvedDomain => ({ ...domain, name })),
  );
  const devices = written.devices.flatMap(({ count, ...device }) =>
    replicaNames({ ...device, count }).map(
      (name, i): ResolvedDevice => ({
        ...device,
        name,
        domain: device.domain.replace(NUMBER, String(i)),
      }),
    ),
  );
  return { ...written, domains, devices };
}
