/** Loads the elements at a position of every lane, in the fewest instructions that the distances between the lanes allow. */
import * as K from './builder.ts';
import type { Coord } from './coord.ts';
import { laneAt } from './coord.ts';
import type { KBuffer, KExpr } from './kernel.ts';
import type { Scope } from './scope.ts';

/** `at` is a flat index. Never touches an element that no lane asks for. */
export function loadAt(s: Scope, buf: KBuffer, at: Coord): KExpr {
  if (at.each) return s.share(K.vector(at.each.map((e) => s.share(K.load(buf, e)))));
  if (at.steps.length === 0) return s.share(K.load(buf, at.base), buf.name);
  const lanes = at.steps.length;
  const stride = at.steps[1]! - at.steps[0]!;
  const regular = at.steps.every((x, i) => x === i * stride);
  const run = (offset: number): KExpr => s.share(K.load(buf, K.add(at.base, offset), lanes), buf.name);
  if (regular && stride === 1) return run(0);
  if (regular && stride === -1) {
    const back = run(1 - lanes);
    return s.share(
      K.shuffle(
        back,
        back,
        Array.from({ length: lanes }, (_, i) => lanes - 1 - i),
      ),
    );
  }
  if (regular && stride === 2) {
    // Lanes 0, 2, 4, ... of [0, lanes) and 1, 3, ... of [lanes - 1, 2 * lanes - 1): the last element wanted is the last read.
    const half = Array.from({ length: lanes / 2 }, (_, i) => 2 * i);
    return s.share(K.shuffle(run(0), run(lanes - 1), [...half, ...half.map((i) => lanes + i + 1)]));
  }
  const distinct = [...new Set(at.steps)];
  const one = (step: number): KExpr => s.share(K.load(buf, K.add(at.base, step)), buf.name);
  if (distinct.length === 2) {
    // Repeated pairs, as an upsampled row has them.
    const [a, b] = distinct.map((d) => s.share(K.splat(one(d), lanes)));
    return s.share(
      K.shuffle(
        a!,
        b!,
        at.steps.map((x, i) => (x === distinct[0] ? i : lanes + i)),
      ),
    );
  }
  return s.share(K.vector(at.steps.map((_, i) => s.share(K.load(buf, laneAt(at, i))))));
}
