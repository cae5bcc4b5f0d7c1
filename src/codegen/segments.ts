/**
 * Cuts the innermost loop where a padded, joined or pooled axis changes its nature, so that no element between the cuts is
 * tested: each segment knows which part it is in.
 */
import type { Dim } from '../ir/dim.ts';
import { add, dim, sub } from '../ir/dim.ts';
import type { Op } from '../ir/ir.ts';
import { ints, num, sizes } from '../ir/ops/attrs.ts';
import type { Walk } from './space.ts';
import { interiorOf } from './windows.ts';

/**
 * Of a concat: the operand that is read. Of a pad or pool: the axis along which everything is inside, or OUTSIDE where all
 * is padding.
 */
export type Facts = ReadonlyMap<Op, number>;
export const NO_FACTS: Facts = new Map();
export const OUTSIDE = -1;

export interface Segment {
  readonly to: Dim;
  readonly facts: Facts;
}

interface Cut {
  readonly op: Op;
  readonly bounds: readonly Dim[];
  /** One more than there are bounds; null where nothing is known. */
  readonly facts: readonly (number | null)[];
}

/** The parts of the loop over `axis` up to `extent`, in order; a single one without facts where nothing cuts it. */
export function segmentsOf(walk: Walk, axis: number, extent: Dim): readonly Segment[] {
  const cuts = [...new Set(walk.visits.map((v) => v.op))].flatMap((op) => {
    const cut = cutOf(op, axis, walk);
    return cut ? [cut] : [];
  });
  const [first] = cuts;
  if (!first) return [{ to: extent, facts: NO_FACTS }];
  const key = (c: Cut): string => c.bounds.map((b) => b.key).join();
  const alike = cuts.filter((c) => key(c) === key(first));
  return [...first.bounds, extent].map((to, i) => {
    const known = alike.flatMap((c): [Op, number][] => (c.facts[i] === null ? [] : [[c.op, c.facts[i]!]]));
    return { to, facts: new Map(known) };
  });
}

function cutOf(op: Op, axis: number, walk: Walk): Cut | null {
  /** Is the op's own axis `own` the loop's, wherever it is asked for? */
  const runsAlong = (own: number): boolean => walk.visits.every((v) => v.op !== op || v.tokens[own] === axis);
  switch (op.kind) {
    case 'concat': {
      const own = num(op.attrs, 'axis');
      if (!runsAlong(own)) return null;
      const bounds: Dim[] = [];
      for (const part of op.operands) bounds.push(add(bounds.at(-1) ?? dim(0), part.type.shape[own]!));
      return { op, bounds: bounds.slice(0, -1), facts: op.operands.map((_, i) => i) };
    }
    case 'pad': {
      const own = op.results[0]!.type.shape.findIndex((_, i) =>
        walk.visits.some((v) => v.op === op && v.tokens[i] === axis),
      );
      const [low, high] = [sizes(op.attrs, 'low'), sizes(op.attrs, 'high')];
      if (own < 0 || !runsAlong(own)) return null;
      const gap = op.attrs['gap'] ? ints(op.attrs, 'gap') : [];
      if ((gap[own] ?? 0) > 0 || (low[own]!.value === 0 && high[own]!.value === 0)) return null;
      const end = sub(op.results[0]!.type.shape[own]!, high[own]!);
      return { op, bounds: [low[own]!, end], facts: [OUTSIDE, own, OUTSIDE] };
    }
    default: {
      const interior = interiorOf(op);
      return interior && runsAlong(3) ? { op, bounds: interior, facts: [null, 3, null] } : null;
    }
  }
}
