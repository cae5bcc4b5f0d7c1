/** Operands whose innermost axis is not that of the results: transposes, read in blocks that are turned in registers. */
import { ORIGIN, type Coord } from '../../codegen/coord.ts';
import type { RegionEmitter } from '../../codegen/expr.ts';
import { NONE, type Access, type LoopAxis, type Walk } from '../../codegen/space.ts';
import { transpose } from './transpose.ts';

export interface Turned {
  /** The loop that runs along the innermost axis of these operands. */
  readonly loop: number;
  readonly accesses: readonly Access[];
}

/** What would be gathered lane by lane along the last loop, and lies along another: null where nothing does. */
export function turnedBy(walk: Walk, loops: readonly LoopAxis[], lanes: number): Turned | null {
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
  const long = [loops[first.own]!, loops.at(-1)!].every((l) => l.extent.value === null || l.extent.value >= 2 * lanes);
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
      lines.map((l) => e.value(param, at(l))),
      (v) => e.scope.share(v),
    );
    wanted.forEach((w, i) => e.bind(param, at(w), block[i]!));
  }
}
