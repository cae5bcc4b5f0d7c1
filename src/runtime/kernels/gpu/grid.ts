/** Binds index spaces to the grid of a GPU: what the schedules of all families share. */
import * as K from '../../../codegen/builder.ts';
import type { Coord } from '../../../codegen/coord.ts';
import { uniform } from '../../../codegen/coord.ts';
import type { KExpr } from '../../../codegen/kernel.ts';
import type { Scope } from '../../../codegen/scope.ts';

/** Invocations of a workgroup: what every device offers. */
export const GROUP = 256;
/** From this many elements on an invocation takes several: the device is full, and what is shared is computed less often. */
const MANY = 1 << 20;
const SEVERAL = 4;

/** Rounded-up quotient, free of names: bounds of the grid are evaluated on the host. */
export const ceilDiv = (n: KExpr, by: number): KExpr => K.div(K.add(n, by - 1), by);

/** The product of extents as a bound of the grid. */
export const volume = (extents: readonly KExpr[]): KExpr => extents.reduce<KExpr>((p, e) => K.mul(p, e), K.i32(1));

/** Runs `body` for workgroup `group` of `groups` and its invocation `local`. */
export function workgroups(s: Scope, groups: KExpr, body: (group: KExpr, local: KExpr) => void): void {
  s.loop(
    0,
    groups,
    1,
    (group) => s.loop(0, GROUP, 1, (local) => body(group, local), 'invocation.x', 'local'),
    'workgroup.x',
    'group',
  );
}

/** Runs `body` once for each i in [0, n), each in one invocation; neighbours are neighbours. */
export function eachIndex(s: Scope, n: KExpr, body: (i: KExpr) => void): void {
  const span = n.k === 'const' && n.value >= MANY ? SEVERAL * GROUP : GROUP;
  workgroups(s, ceilDiv(n, span), (group, local) => {
    const first = s.share(K.mul(group, span), 'first');
    const end = s.share(K.min(n, s.share(K.add(first, span))), 'end');
    // A loop even where it runs once: what depends on `i` cannot be moved out to where there may be no element.
    s.loop(s.share(K.add(first, local)), end, GROUP, body);
  });
}

/** Positions along axes of these extents from a row-major index. */
export function unravel(s: Scope, index: KExpr, extents: readonly KExpr[]): Coord[] {
  const out: Coord[] = [];
  let rest = index;
  for (let i = extents.length - 1; i >= 0; i--) {
    out[i] = uniform(i === 0 ? rest : s.share(K.rem(rest, extents[i]!)));
    if (i > 0) rest = s.share(K.div(rest, extents[i]!));
  }
  return out;
}
