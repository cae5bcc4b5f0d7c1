/** "Did you mean `kernel_size`?": the nearest of the names that would have been right. */

/** The candidate nearest to `name`, if it is near enough to be a slip of the fingers or of the memory. */
export function suggest(name: string, candidates: Iterable<string>): string | null {
  // One letter can be turned into any other: of short names only those that differ in case are near.
  const limit = name.length < 3 ? 0.5 : Math.max(1, Math.floor(name.length / 3));
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    if (candidate === name) continue;
    const distance = cost(name, candidate, limit);
    // Ties go to the name that sorts first, so that the answer does not depend on the order of a scope.
    if (distance < bestDistance || (distance === bestDistance && best !== null && candidate < best)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return bestDistance <= limit ? best : null;
}

/** A help line for `suggest`'s answer, or null. */
export function didYouMean(name: string, candidates: Iterable<string>): string | null {
  const found = suggest(name, candidates);
  return found === null ? null : `did you mean \`${found}\`?`;
}

/** As `didYouMean`, for arguments and settings: of a few names, one that shares its words is meant. */
export function didYouMeanOf(name: string, few: readonly string[]): string | null {
  const found = suggest(name, few) ?? byWords(name, few);
  return found === null ? null : `did you mean \`${found}\`?`;
}

/** The shortest name that has the words of the other one: `kernel_size` for `kernel`, `epochs` for `num_epochs`. */
function byWords(name: string, candidates: Iterable<string>): string | null {
  const wraps = (long: string, short: string): boolean =>
    short.length >= 4 && long !== short && (long.startsWith(`${short}_`) || long.endsWith(`_${short}`));
  const found = [...candidates].filter((c) => wraps(c, name) || wraps(name, c));
  return found.sort((a, b) => a.length - b.length || (a < b ? -1 : 1))[0] ?? null;
}

/** Names that differ only in case or underscores (`LayerNorm`, `layer_norm`) are nearer than any other. */
function cost(name: string, candidate: string, limit: number): number {
  if (plain(name) === plain(candidate)) return 0.5;
  if (Math.abs(name.length - candidate.length) > limit) return Infinity;
  return editDistance(name, candidate);
}

const plain = (name: string): string => name.toLowerCase().replaceAll('_', '');

/** Damerau-Levenshtein (optimal string alignment): insertions, deletions, substitutions and swaps of neighbours. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] ?? 0) + 1);
      row.push(best);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
}
