/**
 * For tests: software that takes pages away from devices which go on using them. Every core again
 * and again clears some pages that are mapped, has them invalidated in one of several ways, and
 * maps them to other frames.
 */
import { pnHi, pnLo } from '../../hw/address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../hw/iommu/access.ts';
import type { RandomStream } from '../../sim/random/stream.ts';
import type { Machine } from './machine.ts';
import type { DomainSoftware } from './software.ts';

/** Pages [first, first + pages) of a domain, which a device uses. */
export interface Prey {
  readonly domain: DomainSoftware;
  readonly first: number;
  readonly pages: number;
}

/** Cleared pages one by one, all at once, or mapped to other frames before the invalidation. */
const WAYS = ['pages', 'domain', 'early'] as const;
const MOST_PAGES = 4;

interface Operation {
  readonly prey: Prey;
  readonly page: number;
  readonly pages: number;
  readonly way: (typeof WAYS)[number];
}

export class Remapper {
  /** Invalidations waited for. */
  rounds = 0;
  private readonly machine: Machine;
  private readonly prey: readonly Prey[];
  private readonly random: RandomStream;
  private readonly gapCycles: number;
  private readonly owned = new Set<string>();
  /** By core. */
  private readonly operations: (Operation | null)[];
  private readonly onBegin: number;
  private readonly onInvalidated: number;
  private readonly onInstall: number;

  /** @param gapCycles most cycles between two steps of a core */
  constructor(machine: Machine, prey: readonly Prey[], random: RandomStream, gapCycles: number) {
    this.machine = machine;
    this.prey = prey;
    this.random = random;
    this.gapCycles = gapCycles;
    const { host } = machine.software;
    this.operations = host.cores.map(() => null);
    this.onBegin = host.register((core) => this.begin(core));
    this.onInvalidated = host.register((core) => this.invalidated(core));
    this.onInstall = host.register((core) => this.install(core));
  }

  start(): void {
    const { host } = this.machine.software;
    for (const core of host.cores) core.run(1 + this.gap(), this.onBegin, core.index, 0);
  }

  private gap(): number {
    return this.random.below(this.gapCycles + 1);
  }

  private begin(index: number): void {
    const { api, path, driver, host } = this.machine.software;
    const core = host.cores[index];
    const operation = this.choose();
    if (operation === null) {
      core.proceed(1 + this.gap(), this.onBegin, index, 0);
      return;
    }
    this.operations[index] = operation;
    const { page, pages, way, prey } = operation;
    const { domain } = prey.domain;
    const hi = pnHi(page);
    const lo = pnLo(page);
    api.clear({ domain, driver }, hi, lo, pages);
    if (way === 'early') this.mapAnew(operation);
    if (way === 'domain') path.whole(core, domain, this.onInvalidated, index, 0);
    else path.range(core, domain, hi, lo, pages, this.onInvalidated, index, 0);
  }

  private invalidated(index: number): void {
    const { api, driver, host } = this.machine.software;
    const { page, pages, prey } = this.operations[index] as Operation;
    const { domain } = prey.domain;
    api.acknowledge({ domain, driver }, pnHi(page), pnLo(page), pages);
    this.rounds++;
    host.cores[index].proceed(this.gap(), this.onInstall, index, 0);
  }

  private install(index: number): void {
    const operation = this.operations[index] as Operation;
    if (operation.way !== 'early') this.mapAnew(operation);
    this.operations[index] = null;
    for (const name of pageNames(operation)) this.owned.delete(name);
    this.machine.software.host.cores[index].proceed(1 + this.gap(), this.onBegin, index, 0);
  }

  /** Pages that no other core works on; null when the first choice is taken. */
  private choose(): Operation | null {
    const { random } = this;
    const prey = this.prey[random.below(this.prey.length)];
    const pages = 1 + random.below(Math.min(MOST_PAGES, prey.pages));
    const page = prey.first + random.below(prey.pages - pages + 1);
    const operation = { prey, page, pages, way: WAYS[random.below(WAYS.length)] };
    const names = pageNames(operation);
    if (names.some((name) => this.owned.has(name))) return null;
    for (const name of names) this.owned.add(name);
    return operation;
  }

  /** Fresh frames, so that an old translation can be told from the new one. */
  private mapAnew({ prey, page, pages }: Operation): void {
    const { api, driver } = this.machine.software;
    const { domain, buffers } = prey.domain;
    const frame = buffers.allocRun(pages);
    const access = ACCESS_READ | ACCESS_WRITE;
    const [hi, lo] = [pnHi(page), pnLo(page)];
    api.install({ domain, driver }, hi, lo, pnHi(frame), pnLo(frame), pages, access);
  }
}

function pageNames({ prey, page, pages }: Operation): string[] {
  return Array.from({ length: pages }, (_, i) => `${prey.domain.domain.index}:${page + i}`);
}
