/** "Did you mean": the known word that is nearest to an unknown one. */

/** Levenshtein distance with transposition of neighbours, case ignored. */
export function editDistance(left: string, right: string): number {
  const a = left.toLowerCase();
  const b = right.toLowerCase();
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  for (let i = 0; i <= a.length; i++) table[i * width] = i;
  for (let j = 0; j <= b.length; j++) table[j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const at = i * width + j;
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(table[at - 1] + 1, table[at - width] + 1, table[at - width - 1] + change);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) best = Math.min(best, table[at - 2 * width - 2] + 1);
      table[at] = best;
    }
  }
  return table[a.length * width + b.length];
}

/** The nearest candidate, if one is near enough to be what was meant. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best !== null) return best;
  const stem = word.toLowerCase();
  const longer = candidates.filter((c) => c.toLowerCase().includes(stem) && stem.length >= 3);
  return longer.length === 1 ? (longer[0] as string) : null;
}

/** ` (did you mean "x"?)`, or nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const hit = nearest(word, candidates);
  return hit === null ? '' : ` (did you mean "${hit}"?)`;
}
