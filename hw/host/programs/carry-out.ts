/** An invalidation that a call has asked for, on the core of the call. */
import type { Core } from '../core.ts';
import { type PendingSync, WHOLE_DOMAIN } from '../iommufd/hardware-sync.ts';
import type { Environment } from './environment.ts';

/** From a running step: posts it and waits for its end, then calls handler(a, 0). */
export function carryOut(
  environment: Environment,
  core: Core,
  { driver, domain, hi, lo, pages }: PendingSync,
  handler: number,
  a: number,
): void {
  const path = environment.pathOf(driver);
  if (pages === WHOLE_DOMAIN) path.whole(core, domain, handler, a, 0);
  else path.range(core, domain, hi, lo, pages, handler, a, 0);
}
