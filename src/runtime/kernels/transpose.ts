/** Turns a square of vectors in registers: columns for rows. */
import { shuffle } from '../../codegen/builder.ts';
import type { KExpr } from '../../codegen/kernel.ts';

/** As many vectors as each has lanes, a power of two, by rounds of interleaving halves. `name` names what is used twice. */
export function transpose(rows: readonly KExpr[], name: (e: KExpr) => KExpr): readonly KExpr[] {
  const n = rows.length;
  const low = Array.from({ length: n }, (_, i) => (i % 2 === 0 ? i / 2 : n + (i - 1) / 2));
  const high = low.map((l) => l + n / 2);
  let now = rows;
  for (let round = 1; round < n; round *= 2) {
    const half = n / 2;
    now = Array.from({ length: n }, (_, i) => {
      const pair = i >> 1;
      return name(shuffle(now[pair]!, now[pair + half]!, i % 2 === 0 ? low : high));
    });
  }
  return now;
}
