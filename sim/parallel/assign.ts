/**
 * Which thread carries which partition. The rule is deterministic, but no result depends on it.
 */

/**
 * Gives each partition a thread: partition 0 the main thread (0), the others, heaviest first, the
 * thread with the least weight so far; in a tie a worker rather than the main thread, which also
 * does the work of the boundaries.
 */
export function assignPartitions(weights: readonly number[], threads: number): number[] {
  const count = Math.max(1, Math.min(threads, weights.length));
  const load = new Array<number>(count).fill(0);
  const result = new Array<number>(weights.length).fill(0);
  load[0] = weights[0];
  const others = weights.map((_, id) => id).slice(1);
  others.sort((a, b) => weights[b] - weights[a] || a - b);
  for (const id of others) {
    let best = count - 1;
    for (let thread = count - 2; thread >= 0; thread--) {
      if (load[thread] < load[best] || (load[thread] === load[best] && thread > 0)) best = thread;
    }
    result[id] = best;
    load[best] += weights[id];
  }
  return result;
}
