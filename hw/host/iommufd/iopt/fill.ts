/**
 * Areas in domains (iopt_area_fill_domains and its kin, batch_to_domain): pages are held, mapped
 * in the largest runs of frames that follow each other, and charged, in this order; an error on the
 * way leaves every domain as it was.
 */
import { InternalError } from '../../../../sim/errors.ts';
import { fail } from '../../kernel/errno.ts';
import type { KernelMemory } from '../../kernel/kernel-memory.ts';
import { type PagingDomain, PROT_CACHE, PROT_MMIO, PROT_READ, PROT_WRITE } from '../driver.ts';
import type { Area } from './area.ts';
import { type DmaBufMapping, DmaBufPages } from './pages.ts';
import { PAGE } from './units.ts';

const TRACK_BYTES = 32;

/** Maps a new area into all domains of its IOAS. */
export function fillDomains(
  area: Area,
  domains: readonly PagingDomain[],
  largePages: boolean,
): void {
  if (domains.length === 0) return;
  const { pages } = area;
  if (pages instanceof DmaBufPages) {
    fillDmaBuf(area, pages, domains, largePages);
    area.filled = true;
    return;
  }
  pages.services.memory.point('ENOMEM', 'batch of page frames');
  pages.hold(area.index, area.lastIndex);
  let done = 0;
  try {
    for (; done < domains.length; done++) mapArea(area, domains[done], area.prot, largePages);
    pages.settle();
  } catch (error) {
    for (let at = 0; at < done; at++) unmapArea(area, domains[at]);
    pages.drop(area.index, area.lastIndex);
    pages.settle();
    throw error;
  }
  area.filled = true;
}

/** Maps an area into one more domain; the first holds the pages for all. */
export function fillDomain(area: Area, domain: PagingDomain, largePages: boolean): void {
  if (!area.filled) {
    fillDomains(area, [domain], largePages);
    return;
  }
  const { pages } = area;
  if (pages instanceof DmaBufPages) {
    fillDmaBuf(area, pages, [domain], largePages);
    return;
  }
  pages.services.memory.point('ENOMEM', 'batch of page frames');
  mapArea(area, domain, area.prot, largePages);
}

/** Takes an area out of all domains of its IOAS. Cannot fail. */
export function unfillDomains(area: Area, domains: readonly PagingDomain[]): void {
  if (!area.filled) return;
  area.filled = false;
  const { pages } = area;
  if (pages instanceof DmaBufPages) {
    for (const domain of domains) unfillDmaBuf(area, pages, domain);
    return;
  }
  for (let at = 0; at < domains.length; at++) unmapArea(area, domains[at]);
  pages.drop(area.index, area.lastIndex);
  pages.settle();
}

/** Takes an area out of one domain; the pages are let go with the last. */
export function unfillDomain(area: Area, domain: PagingDomain, isLast: boolean): void {
  if (isLast) {
    unfillDomains(area, [domain]);
    return;
  }
  if (area.pages instanceof DmaBufPages) unfillDmaBuf(area, area.pages, domain);
  else unmapArea(area, domain);
}

/** One unmap for the whole area, flushed. */
function unmapArea(area: Area, domain: PagingDomain): void {
  const { work } = area.pages.services;
  work.unmapCalls++;
  work.pagesUnmapped += area.lastIndex - area.index + 1;
  unmapExactly(domain, area.iova, area.length);
  domain.sync();
}

function unmapExactly(domain: PagingDomain, iova: bigint, bytes: bigint): void {
  const unmapped = domain.unmap(iova, bytes);
  if (unmapped !== bytes) {
    const where = `0x${iova.toString(16)}`;
    throw new InternalError('iopt', `a domain unmapped ${unmapped} of ${bytes} bytes at ${where}`);
  }
}

/** Maps the runs of an area's frames; nothing stays mapped on an error. */
function mapArea(area: Area, domain: PagingDomain, prot: number, largePages: boolean): void {
  if ((prot & (PROT_READ | PROT_WRITE)) === 0) {
    fail('EINVAL', 'a mapping that is neither readable nor writable cannot enter a domain');
  }
  const { pages, index, lastIndex } = area;
  const { work } = pages.services;
  work.pagesMapped += lastIndex - index + 1;
  if (index === lastIndex) {
    work.mapCalls++;
    const physical = BigInt(pages.frame(index)) * PAGE + BigInt(area.pageOffset);
    mapRun(domain, area.iova, physical, area.length, prot, largePages);
    return;
  }
  let iova = area.iova;
  try {
    for (let at = index; at <= lastIndex; ) {
      const frame = pages.frame(at);
      let run = 1;
      while (at + run <= lastIndex && pages.frame(at + run) === frame + run) run++;
      const offset = at === index ? BigInt(area.pageOffset) : 0n;
      const left = area.last - iova + 1n;
      const bytes = BigInt(run) * PAGE - offset;
      const part = bytes < left ? bytes : left;
      work.mapCalls += largePages ? 1 : run;
      mapRun(domain, iova, BigInt(frame) * PAGE + offset, part, prot, largePages);
      iova += part;
      at += run;
    }
  } catch (error) {
    if (iova !== area.iova) {
      unmapExactly(domain, area.iova, iova - area.iova);
      domain.sync();
    }
    throw error;
  }
}

/** batch_iommu_map_small: page by page where large entries are off, so that it can be cut later. */
function mapRun(
  domain: PagingDomain,
  iova: bigint,
  physical: bigint,
  bytes: bigint,
  prot: number,
  largePages: boolean,
): void {
  if (largePages || bytes <= PAGE) {
    domain.map(iova, physical, bytes, prot);
    return;
  }
  let done = 0n;
  try {
    for (; done < bytes; done += PAGE) domain.map(iova + done, physical + done, PAGE, prot);
  } catch (error) {
    if (done !== 0n) {
      unmapExactly(domain, iova, done);
      domain.sync();
    }
    throw error;
  }
}

/** Tracks what a dma-buf is mapped in; revoked, it is mapped nowhere but stays tracked. */
class Tracked implements DmaBufMapping {
  readonly area: Area;
  readonly domain: PagingDomain;

  constructor(area: Area, domain: PagingDomain) {
    this.area = area;
    this.domain = domain;
  }

  unmapRevoked(): void {
    unmapArea(this.area, this.domain);
  }
}

function fillDmaBuf(
  area: Area,
  pages: DmaBufPages,
  domains: readonly PagingDomain[],
  largePages: boolean,
): void {
  const { memory } = pages.services;
  const prot = (area.prot & ~PROT_CACHE) | PROT_MMIO;
  const tracked: Tracked[] = [];
  let mapped = 0;
  try {
    trackAll(memory, area, domains, tracked);
    if (!pages.revoked) {
      memory.point('ENOMEM', 'batch of page frames');
      for (; mapped < domains.length; mapped++) {
        mapArea(area, domains[mapped], prot, largePages);
      }
    }
  } catch (error) {
    for (let at = 0; at < mapped; at++) unmapArea(area, domains[at]);
    for (let at = 0; at < tracked.length; at++) memory.give(TRACK_BYTES);
    throw error;
  }
  for (const mapping of tracked) pages.mappings.add(mapping);
}

function trackAll(
  memory: KernelMemory,
  area: Area,
  domains: readonly PagingDomain[],
  tracked: Tracked[],
): void {
  for (const domain of domains) {
    memory.take(TRACK_BYTES, 'dma-buf mapping record');
    tracked.push(new Tracked(area, domain));
  }
}

function unfillDmaBuf(area: Area, pages: DmaBufPages, domain: PagingDomain): void {
  if (!pages.revoked) unmapArea(area, domain);
  for (const mapping of pages.mappings) {
    if (!(mapping instanceof Tracked) || mapping.area !== area) continue;
    if (mapping.domain !== domain) continue;
    pages.mappings.delete(mapping);
    pages.services.memory.give(TRACK_BYTES);
    return;
  }
}
