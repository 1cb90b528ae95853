/**
 * What the schema of single keys cannot see: geometries that no hardware has, names that do not
 * exist, combinations that an architecture does not know. All findings are returned at once.
 */

import { nicOptions } from '../../hw/dma/nic-spec.ts';
import { patternOptions } from '../../hw/dma/spec.ts';
import type { Step } from '../../hw/host/programs/step.ts';
import { memoryTimingConfig } from '../../hw/memory/spec.ts';
import { linkOptions } from '../../hw/pcie/spec.ts';
import { InputError } from '../../sim/errors.ts';
import { Clock } from '../../sim/time/clock.ts';
import { didYouMean } from '../nearest.ts';
import type { KeyPath } from '../problem.ts';
import { type CacheGeometry, type StageCaches, WALK_CACHE_LEVELS } from './iommu.ts';
import { replicaNames } from './replicas.ts';
import { firstRequester, requesterLimit } from './requesters.ts';
import type {
  ResolvedDevice,
  ResolvedDomain,
  ResolvedMaster,
  WrittenScenario,
} from './resolved.ts';
import { TABLE_FORMATS } from './specs.ts';
import { checkSteps, childNames } from './step-names.ts';

export interface Finding {
  readonly path: KeyPath;
  readonly message: string;
}

export function checkScenario(scenario: WrittenScenario): Finding[] {
  return [
    ...checkMemory(scenario),
    ...checkCaches(scenario),
    ...checkNames(scenario.domains, 'domains'),
    ...checkNames(scenario.devices, 'devices'),
    ...checkNames(
      scenario.programs.map(({ name }) => ({ name, count: 1 })),
      'programs',
    ),
    ...scenario.domains.flatMap((domain, i) => checkDomain(scenario, domain, ['domains', i])),
    ...checkDevices(scenario),
    ...checkRequesters(scenario),
    ...checkRun(scenario),
    ...checkRecording(scenario),
    ...checkPrograms(scenario),
  ];
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

/** Half of the cache is for data; the walk shards share the other half. */
function checkMemory({ memory, iommu, clock }: WrittenScenario): Finding[] {
  const slices = 2 * iommu.walkers.shards;
  return refusals(['memory'], () => memoryTimingConfig(memory, new Clock(clock), slices));
}

function checkCaches({ iommu }: WrittenScenario): Finding[] {
  const { iotlb, context, nested, walk } = iommu.caches;
  const at = ['iommu', 'caches'];
  return [
    ...checkGeometry(iotlb, [...at, 'iotlb']),
    ...checkGeometry(context, [...at, 'context']),
    ...checkGeometry(nested, [...at, 'nested']),
    ...checkStage(walk.stage1, [...at, 'walk', 'stage1']),
    ...checkStage(walk.stage2, [...at, 'walk', 'stage2']),
    ...checkQueue(iommu.riscv.page_request_entries),
  ];
}

function checkQueue(entries: number): Finding[] {
  const path = ['iommu', 'riscv', 'page_request_entries'];
  return isPowerOfTwo(entries) ? [] : [powerOfTwo(path, entries)];
}

function checkStage(stage: StageCaches, path: KeyPath): Finding[] {
  return WALK_CACHE_LEVELS.flatMap((level) => checkGeometry(stage[level], [...path, level]));
}

function checkGeometry(cache: CacheGeometry, path: KeyPath): Finding[] {
  const findings: Finding[] = [];
  if (cache.sets > 0 && !isPowerOfTwo(cache.sets)) {
    findings.push(powerOfTwo([...path, 'sets'], cache.sets));
  }
  if (cache.policy === 'plru' && cache.ways > 0 && !isPowerOfTwo(cache.ways)) {
    const message = `pseudo-LRU needs a power of two of ways; got ${cache.ways}`;
    findings.push({ path: [...path, 'ways'], message });
  }
  if ((cache.sets === 0) !== (cache.ways === 0)) {
    const zero = cache.sets === 0 ? 'sets' : 'ways';
    const message = `${cache.sets} sets of ${cache.ways} ways hold nothing; give both, or 0 for both`;
    findings.push({ path: [...path, zero], message });
  }
  return findings;
}

function powerOfTwo(path: KeyPath, value: number): Finding {
  const below = 2 ** Math.floor(Math.log2(value));
  return { path, message: `expected a power of two, like ${below} or ${below * 2}; got ${value}` };
}

type Named = { readonly name: string; readonly count: number };

function checkNames(items: readonly Named[], list: string): Finding[] {
  const first = new Map<string, number>();
  const findings: Finding[] = [];
  for (const [i, item] of items.entries()) {
    if (!/^[A-Za-z][\w{}.-]*$/.test(item.name)) {
      const message = `expected a name of letters, digits, "_", "-", "."; got "${item.name}"`;
      findings.push({ path: [list, i, 'name'], message });
      continue;
    }
    for (const name of replicaNames(item)) {
      const earlier = first.get(name);
      if (earlier !== undefined) {
        const message = `the name "${name}" is taken by ${list}.${earlier}`;
        findings.push({ path: [list, i, 'name'], message });
        break;
      }
      first.set(name, i);
    }
  }
  return findings;
}

function checkDomain(scenario: WrittenScenario, domain: ResolvedDomain, path: KeyPath): Finding[] {
  const { arch } = scenario.iommu;
  const findings: Finding[] = [];
  for (const stage of ['stage1', 'stage2'] as const) {
    const known: readonly string[] = TABLE_FORMATS[arch][stage];
    const format = domain[stage];
    if (format === 'auto' || known.includes(format)) continue;
    const choices = known.length === 0 ? 'has no such stage' : `knows ${known.join(', ')}`;
    findings.push({
      path: [...path, stage],
      message: `${arch} ${choices}; got ${format}${didYouMean(format, known)}`,
    });
  }
  const first = domain.translation === 'stage1' || domain.translation === 'nested';
  if (arch === 'vtd' && first) {
    const message = `vtd in legacy mode has no first stage: expected passthrough or stage2; got ${domain.translation}`;
    findings.push({ path: [...path, 'translation'], message });
  }
  return findings;
}

function checkDevices(scenario: WrittenScenario): Finding[] {
  const domains = scenario.domains.flatMap(replicaNames);
  const known = new Set(domains);
  const clock = new Clock(scenario.clock);
  return scenario.devices.flatMap((device, i) => {
    const path = ['devices', i];
    const findings: Finding[] = [];
    for (let n = 0; n < device.count; n++) {
      const domain = device.domain.replaceAll('{i}', String(n));
      if (known.has(domain)) continue;
      const shown = domains.slice(0, 8).join(', ');
      const message = `no domain "${domain}"${didYouMean(domain, domains)}; domains: ${shown}`;
      findings.push({ path: [...path, 'domain'], message });
      break;
    }
    findings.push(...checkPageRequests(scenario, device, path));
    findings.push(...refusals([...path, 'link'], () => linkOptions(device.link, clock)));
    findings.push(...checkMaster(scenario, device.master, [...path, 'master'], clock));
    return findings;
  });
}

/** Only one of the simulated units has a queue for them, and only one driver reads it. */
function checkPageRequests(
  { iommu, iommufd, domains }: WrittenScenario,
  device: ResolvedDevice,
  path: KeyPath,
): Finding[] {
  if (!device.page_requests) return [];
  const at = [...path, 'page_requests'];
  if (iommu.arch !== 'riscv' || !iommufd.riscv_iommufd) {
    return [{ path: at, message: 'needs iommu.arch: riscv and iommufd.riscv_iommufd: true' }];
  }
  const domain = domains.find(({ name }) => name === device.domain);
  if (domain === undefined || domain.translation === 'user') return [];
  return [{ path: at, message: 'needs a domain with translation: user' }];
}

function checkMaster(
  { host }: WrittenScenario,
  master: ResolvedMaster,
  path: KeyPath,
  clock: Clock,
): Finding[] {
  if (master.kind === 'pattern') return refusals(path, () => patternOptions(master, clock));
  if (master.kind !== 'nic') return [];
  const findings = refusals(path, () => nicOptions(master, clock));
  if (master.queues > host.cores) {
    const message = `queue i is served by core i, and host.cores is ${host.cores}`;
    findings.push({ path: [...path, 'queues'], message });
  }
  return findings;
}

function usesLegacy(steps: readonly Step[]): boolean {
  return steps.some((step) => step.verb === 'legacy' || usesLegacy(step.steps));
}

/** Devices that programs bind, by name: those of user domains, and those on paper. */
function checkPrograms({ programs, host, iommufd, domains, devices }: WrittenScenario): Finding[] {
  const findings: Finding[] = [];
  const report = (path: KeyPath, message: string): void => {
    findings.push({ path, message });
  };
  const user = new Set(
    domains.filter(({ translation }) => translation === 'user').flatMap(replicaNames),
  );
  const busyDevices = devices.filter(({ domain }) => user.has(domain)).flatMap(replicaNames);
  const askers = devices.filter(({ page_requests }) => page_requests).flatMap(replicaNames);
  const onPaper = iommufd.devices.map(({ name }) => name);
  const around = {
    askers: [...askers, ...onPaper],
    devices: [...busyDevices, ...onPaper],
    busyDevices,
    guestDevices: devices
      .filter(({ domain, master }) => user.has(domain) && master.kind === 'nic')
      .flatMap(replicaNames),
    cores: host.cores,
    programs: programs.flatMap(({ name, steps }) => [name, ...childNames(steps)]),
  };
  for (const [i, program] of programs.entries()) {
    if (program.core >= host.cores) {
      const message = `host.cores is ${host.cores}: the last core is ${host.cores - 1}`;
      report(['programs', i, 'core'], message);
    }
    const names = Object.keys(program.values);
    checkSteps(program.steps, names, around, ['programs', i, 'steps'], report);
  }
  if (iommufd.legacy_uapi === 'none' && programs.some(({ steps }) => usesLegacy(steps))) {
    report(['iommufd', 'legacy_uapi'], 'expected "2020": a program makes legacy calls');
  }
  if (iommufd.devices.length > 0 && iommufd.driver === 'hardware') {
    const message = 'devices without hardware need a driver without: mock, or paper-...';
    report(['iommufd', 'devices'], message);
  }
  return findings;
}

/** A unit's own refusal of its parameters, as a finding. */
function refusals(path: KeyPath, build: () => unknown): Finding[] {
  try {
    build();
    return [];
  } catch (error) {
    if (error instanceof InputError) return [{ path, message: error.message }];
    throw error;
  }
}

/** The device directory has an entry for every device. */
function checkRequesters({ iommu, devices }: WrittenScenario): Finding[] {
  const total = devices.reduce((sum, { count }) => sum + count, 0);
  const last = firstRequester(iommu) + total - 1;
  const limit = requesterLimit(iommu);
  if (last < limit) return [];
  const message = `the device directory holds ids below ${limit}; the last device's is ${last}`;
  return [{ path: ['iommu', 'riscv', 'directory_levels'], message }];
}

function checkRun({ run, devices, programs }: WrittenScenario): Finding[] {
  const findings: Finding[] = [];
  if (run.warmup >= run.for) {
    findings.push({ path: ['run', 'warmup'], message: 'expected less than run.for' });
  }
  if (devices.length + programs.length === 0)
    findings.push({ path: ['devices'], message: 'expected a device or a program' });
  return findings;
}

/** A recording and the devices that it names belong together. */
function checkRecording({ recording, devices }: WrittenScenario): Finding[] {
  const findings: Finding[] = [];
  const recorded = devices.some(({ master }) => master.kind === 'recorded');
  if (recorded !== (recording.folder !== '')) {
    const message = recorded
      ? 'expected a capture folder: a device has master.kind recorded'
      : 'no device has master.kind recorded';
    findings.push({ path: ['recording', 'folder'], message });
  }
  for (const [i, { master }] of devices.entries()) {
    if (master.kind !== 'recorded' || /^[\da-f]{2}:[01][\da-f]\.[0-7]$/i.test(master.requester)) {
      continue;
    }
    const message = `expected bus:device.function like 01:00.0; got "${master.requester}"`;
    findings.push({ path: ['devices', i, 'master', 'requester'], message });
  }
  return findings;
}
