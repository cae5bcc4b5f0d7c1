/** How a kernel family takes one of several ways to compute the same: by its own rule, unless measurements on this machine name another. */
import type { Target } from './call.ts';

/** One way. Its name is what a table of measurements holds: it says what the way is, and stays. */
export interface Candidate<T> {
  readonly name: string;
  readonly value: T;
}

/** The first is what the family's own rule takes. */
export type Candidates<T> = readonly [Candidate<T>, ...Candidate<T>[]];

/** Names a candidate for a key, or null where it knows none better. It is told the names of all. */
export type Choices = (key: string, names: readonly string[]) => string | null;

/**
 * `key` says what is computed: the family and its sizes, symbols by their names. A name that no candidate has is passed over, so
 * that a table may be older than the families.
 */
export function choose<T>({ choices }: Target, key: string, candidates: Candidates<T>): T {
  const wanted = choices?.(
    key,
    candidates.map((c) => c.name),
  );
  return (candidates.find((c) => c.name === wanted) ?? candidates[0]).value;
}

/** Candidates of other values, under the same names. */
export const mapCandidates = <T, U>([first, ...rest]: Candidates<T>, f: (value: T) => U): Candidates<U> => {
  const mapped = ({ name, value }: Candidate<T>): Candidate<U> => ({ name, value: f(value) });
  return [mapped(first), ...rest.map(mapped)];
};

/** Without those whose name has been there before. */
export const distinct = <T>([first, ...rest]: Candidates<T>): Candidates<T> => [
  first,
  ...rest.filter((c, i) => c.name !== first.name && rest.findIndex((o) => o.name === c.name) === i),
];
