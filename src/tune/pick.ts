/** Which of several ways is the fastest, when each measurement may be disturbed: minima of interleaved repeats, and a second look. */

/** By how much another way must be faster than the usual one; what separates them less is taken for noise. */
export const MARGIN = 0.03;

/** A way this much slower than the best so far is not measured again. */
const HOPELESS = 1.3;

const FEWEST_ROUNDS = 4;

export interface Pick {
  readonly chosen: number;
  /** Milliseconds of the usual way and of the chosen one, the least of the second look. */
  readonly usual: number;
  readonly best: number;
}

/** `measure` gives the milliseconds of one way, `now` the time; the first way is the usual one. */
export function pick(ways: number, measure: (way: number) => number, now: () => number, milliseconds: number): Pick {
  const start = now();
  const least = new Array<number>(ways).fill(Infinity);
  let left = Array.from({ length: ways }, (_, i) => i);
  for (let round = 0; round < FEWEST_ROUNDS || now() - start < 0.6 * milliseconds; round++) {
    for (const way of left) least[way] = Math.min(least[way]!, measure(way));
    // The first round warms up as well.
    if (round === 0) continue;
    const limit = HOPELESS * Math.min(...least);
    left = left.filter((way) => way === 0 || least[way]! <= limit);
    if (left.length === 1) break;
  }
  const leader = least.indexOf(Math.min(...least));
  if (leader === 0 || !clearly(least[leader]!, least[0]!)) return { chosen: 0, usual: least[0]!, best: least[0]! };
  // The least of many is lucky: both begin anew.
  const [usual, other]: [number[], number[]] = [[], []];
  while (usual.length < 2 * FEWEST_ROUNDS || now() - start < milliseconds) {
    usual.push(measure(0));
    other.push(measure(leader));
  }
  const [a, b] = [Math.min(...usual), Math.min(...other)];
  const holds = clearly(b, a) && median(other) < median(usual);
  return holds ? { chosen: leader, usual: a, best: b } : { chosen: 0, usual: a, best: a };
}

const clearly = (other: number, usual: number): boolean => other < usual * (1 - MARGIN);

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[times.length >> 1]!;
