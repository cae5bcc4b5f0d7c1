/**
 * The cotangent of a tensor that was cut into slices: those of neighbouring slices are laid side by side, where adding them
 * up would pad each with zeros first. Slices are met from the last to the first, so that what has been joined grows
 * downwards.
 */
import type { IrBuilder } from '../../builder.ts';
import { add, compare, dim, type Dim } from '../../dim.ts';
import type { Op, Value } from '../../ir.ts';
import { ints, num, sizes } from '../../ops/attrs.ts';

/** A value with zeros before and after it along one axis. */
interface Part {
  readonly x: Value;
  readonly axis: number;
  readonly low: Dim;
  readonly high: Dim;
}

const same = (a: Dim, b: Dim | number): boolean => compare(a, b) === 'equal';

/** `upper` + `lower`, where both are padded slices and the second ends where the first begins; null elsewhere. */
export function sideBySide(b: IrBuilder, upper: Value, lower: Value): Value | null {
  const [u, l] = [partOf(b, upper), partOf(b, lower)];
  if (!u || !l || u.axis !== l.axis || !same(add(l.low, l.x.type.shape[l.axis]!), u.low)) return null;
  const { axis } = u;
  const x = b.one('concat', [l.x, ...piecesOf(b, u.x, axis)], { axis });
  if (same(l.low, 0) && same(u.high, 0)) return x;
  const only = (amount: Dim): readonly Dim[] => x.type.shape.map((_, i) => (i === axis ? amount : dim(0)));
  return b.one('pad', [x], { low: only(l.low), high: only(u.high) });
}

function partOf(b: IrBuilder, v: Value): Part | null {
  const op = producer(b, v);
  if (op?.kind !== 'pad' || num(op.attrs, 'value') !== 0 || ints(op.attrs, 'gap').some((g) => g !== 0)) return null;
  const [low, high] = [sizes(op.attrs, 'low'), sizes(op.attrs, 'high')];
  const axes = low.flatMap((d, i) => (same(d, 0) && same(high[i]!, 0) ? [] : [i]));
  return axes.length === 1 ? { x: op.operands[0]!, axis: axes[0]!, low: low[axes[0]!]!, high: high[axes[0]!]! } : null;
}

/** What was joined before is not joined again. */
function piecesOf(b: IrBuilder, v: Value, axis: number): readonly Value[] {
  const op = producer(b, v);
  return op?.kind === 'concat' && num(op.attrs, 'axis') === axis ? op.operands : [v];
}

const producer = (b: IrBuilder, v: Value): Op | undefined => b.ops.findLast((op) => op.results[0] === v);
