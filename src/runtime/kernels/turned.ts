/** Operands whose innermost axis is not that of the results: transposes, read in blocks that are turned in registers. */
import * as K from '../../codegen/builder.ts';
import { ORIGIN, type Coord } from '../../codegen/coord.ts';
import type { RegionEmitter } from '../../codegen/expr.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import { NONE, type Access, type LoopAxis, type Walk } from '../../codegen/space.ts';

export interface Turned {
  /** The loop that runs along the innermost axis of these operands. */
  readonly loop: number;
  readonly accesses: readonly Access[];
}

/** What would be gathered lane by lane along the last loop, and lies along another: null where nothing does. */
export function turnedBy(walk: Walk, loops: readonly LoopAxis[]): Turned | null {
  const axisOf = (loop: LoopAxis | undefined): number => loop?.axes.at(-1) ?? NONE;
  const inner = axisOf(loops.at(-1));
  const lies = walk.accesses.flatMap((access) => {
    const wide = access.tokens.filter((t) => t !== NONE);
    const own = loops.findIndex((l) => axisOf(l) === wide.at(-1));
    const turned = own >= 0 && own < loops.length - 1 && wide.includes(inner) && wide.every((t) => t >= 0);
    return turned ? [{ access, own }] : [];
  });
  const [first] = lies;
  if (!first) return null;
  const long = [loops[first.own]!, loops.at(-1)!].every((l) => l.extent.value === null || l.extent.value >= 8);
  if (!long) return null;
  return { loop: first.own, accesses: lies.filter((l) => l.own === first.own).map((l) => l.access) };
}

/**
 * Loads a block along the lines (places of the results at which an operand's elements are consecutive) and says what the
 * operand is at the places wanted, which run across them.
 */
export function loadTurned(
  e: RegionEmitter,
  turned: Turned,
  lines: readonly (readonly Coord[])[],
  wanted: readonly (readonly Coord[])[],
): void {
  for (const { param, tokens } of turned.accesses) {
    const at = (coords: readonly Coord[]): Coord[] => tokens.map((t) => (t === NONE ? ORIGIN : coords[t]!));
    const block = transpose(
      e,
      lines.map((l) => e.value(param, at(l))),
    );
    wanted.forEach((w, i) => e.bind(param, at(w), block[i]!));
  }
}

/** Four vectors of four lanes, columns for rows. */
function transpose(e: RegionEmitter, rows: readonly KExpr[]): readonly KExpr[] {
  const pick = (a: KExpr, b: KExpr, lanes: readonly number[]): KExpr => e.scope.share(K.shuffle(a, b, lanes));
  const [a, b, c, d] = rows as [KExpr, KExpr, KExpr, KExpr];
  const [ab, cd] = [pick(a, b, [0, 4, 1, 5]), pick(c, d, [0, 4, 1, 5])];
  const [AB, CD] = [pick(a, b, [2, 6, 3, 7]), pick(c, d, [2, 6, 3, 7])];
  return [
    pick(ab, cd, [0, 1, 4, 5]),
    pick(ab, cd, [2, 3, 6, 7]),
    pick(AB, CD, [0, 1, 4, 5]),
    pick(AB, CD, [2, 3, 6, 7]),
  ];
}
