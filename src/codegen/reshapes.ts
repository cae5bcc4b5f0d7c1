/** How the axes of a reshaped tensor correspond: runs of axes that hold the same elements under both shapes. */
import type { Dim } from '../ir/dim.ts';
import { mul } from '../ir/dim.ts';

/** Axes `from` of the operand hold what axes `to` of the result hold. Axes of size 1 are in none. */
export interface AxisGroup {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** The smallest groups, in order; a single one of everything where sizes do not tell them apart. */
export function axisGroups(from: readonly Dim[], to: readonly Dim[]): readonly AxisGroup[] {
  const wide = (shape: readonly Dim[]): number[] => shape.flatMap((d, i) => (d.value === 1 ? [] : [i]));
  const [a, b] = [wide(from), wide(to)];
  const groups: AxisGroup[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    const group = { from: [a[i]!], to: [b[j]!] };
    let [x, y] = [from[a[i++]!]!, to[b[j++]!]!];
    while (x.key !== y.key && (i < a.length || j < b.length)) {
      // The side with fewer factors takes one more.
      const left = j >= b.length || (i < a.length && factors(x) <= factors(y));
      if (left) {
        group.from.push(a[i]!);
        x = mul(x, from[a[i++]!]!);
      } else {
        group.to.push(b[j]!);
        y = mul(y, to[b[j++]!]!);
      }
    }
    if (x.key !== y.key) return [{ from: a, to: b }];
    groups.push(group);
  }
  return i === a.length && j === b.length ? groups : [{ from: a, to: b }];
}

/** Orders products by size where that is known, else by how many symbols they hold. */
function factors(d: Dim): number {
  if (d.value !== null) return d.value;
  const degree = Math.max(...d.terms.map((t) => t.atoms.length));
  return 1e9 * degree + Math.max(...d.terms.map((t) => t.coef));
}

/** Whether two shapes differ only by ones. */
export const sameButOnes = (a: readonly Dim[], b: readonly Dim[]): boolean => {
  const [x, y] = [a, b].map((s) => s.filter((d) => d.value !== 1));
  return x!.length === y!.length && x!.every((d, i) => d.key === y![i]!.key);
};

/** Does a position in the result give that in the operand without a division? Axes may be split, not joined. */
export const splitsOnly = (from: readonly Dim[], to: readonly Dim[]): boolean =>
  axisGroups(from, to).every((g) => g.from.length <= 1);
