/** Loops that the families share: a vector loop with a scalar tail. */
import * as K from '../../codegen/builder.ts';
import type { Coord } from '../../codegen/coord.ts';
import { consecutive, multipleOf, uniform } from '../../codegen/coord.ts';
import type { Axis, KExpr } from '../../codegen/kernel.ts';
import type { LoopAxis } from '../../codegen/space.ts';
import type { Scope } from '../../codegen/scope.ts';

/**
 * Runs over [from, to) in steps of `unroll` vectors, then of one, then of one element. The body receives the positions
 * of all vectors of a step. `from` is a multiple of `multiple`.
 */
export function vectorLoop(
  s: Scope,
  from: KExpr,
  to: KExpr,
  lanes: number,
  unroll: number,
  body: (at: readonly Coord[]) => void,
  multiple = multipleOf(from),
  axis: Axis = 'serial',
): void {
  const aligned = multiple % lanes === 0;
  const run = (start: KExpr, width: number, count: number): KExpr => {
    const step = width * count;
    if (step === 1) {
      s.loop(start, to, 1, (i) => body([uniform(i)]), axis);
      return to;
    }
    const length = s.share(K.sub(to, start));
    const end = s.share(K.add(start, K.bin('and', length, -step)), 'end');
    s.loop(
      start,
      end,
      step,
      (i) => {
        body(
          Array.from({ length: count }, (_, u) =>
            consecutive(s.share(K.add(i, u * width)), width, aligned ? width : 1),
          ),
        );
      },
      axis,
    );
    return end;
  };
  let at = from;
  if (unroll > 1) at = run(at, lanes, unroll);
  if (lanes > 1) at = run(at, lanes, 1);
  run(at, 1, 1);
}

/** The largest power of two up to `most` for which a loop of `length` elements still runs `times`; `most` where unknown. */
export function unrollFor(length: number | null, lanes: number, most: number, times = 2): number {
  let u = most;
  while (u > 1 && length !== null && length < u * lanes * times) u /= 2;
  return u;
}

/** Iterations that several threads can share evenly enough. */
const PLENTY = 16;

/** Which loop of a nest threads share: the first with many iterations. They meet at its end, so outer ones must be short. */
export function sharedLoop(loops: readonly LoopAxis[]): number {
  const many = loops.findIndex(({ extent }) => extent.value === null || extent.value >= PLENTY);
  return Math.max(many, 0);
}
