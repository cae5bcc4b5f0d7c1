/** Ops that move elements, as changes of position: where an element of the result lies in the operand. */
import { add, dim, mul, sub, type Dim } from '../ir/dim.ts';
import type { Op, Value } from '../ir/ir.ts';
import { ints, num, sizes } from '../ir/ops/attrs.ts';
import * as K from './builder.ts';
import type { Coord } from './coord.ts';
import {
  clamp,
  divide,
  fromValue,
  inside,
  lanesOf,
  ORIGIN,
  remainder,
  reverse,
  scale,
  shift,
  toValue,
} from './coord.ts';
import type { RegionEmitter } from './expr.ts';
import { broadcastAt } from './expr.ts';
import type { KExpr } from './kernel.ts';
import { axisGroups } from './reshapes.ts';
import { OUTSIDE } from './segments.ts';
import { windowOf } from './windows.ts';

/** The value of the op's result at a position, or null for ops that are not views. */
export function viewOf(e: RegionEmitter, op: Op, at: readonly Coord[]): KExpr | null {
  const s = e.scope;
  const x = op.operands[0]!;
  switch (op.kind) {
    case 'broadcast_to':
      return e.value(x, broadcastAt(x, at));
    case 'transpose': {
      const perm = ints(op.attrs, 'perm');
      const source: Coord[] = [];
      perm.forEach((axis, i) => (source[axis] = at[i]!));
      return e.value(x, source);
    }
    case 'reshape':
      return e.value(x, reshapedAt(e, at, op.results[0]!, x));
    case 'slice': {
      const start = sizes(op.attrs, 'start');
      const step = ints(op.attrs, 'step');
      const source = at.map((c, i) => shift(s, scale(s, c, K.i32(step[i]!)), e.size(start[i]!)));
      return e.value(x, source);
    }
    case 'flip': {
      const axes = ints(op.attrs, 'axes');
      const last = (i: number): KExpr => e.size(sub(x.type.shape[i]!, 1));
      return e.value(
        x,
        at.map((c, i) => (axes.includes(i) ? reverse(s, c, last(i)) : c)),
      );
    }
    case 'pad':
      return padded(e, op, at);
    case 'concat':
      return joined(e, op, at);
    case 'take':
      return taken(e, op, at);
    default:
      return windowOf(e, op, at);
  }
}

/** Axes that correspond carry their position over; the others go through the position within their group. */
function reshapedAt(e: RegionEmitter, at: readonly Coord[], to: Value, from: Value): readonly Coord[] {
  const [a, b] = [to.type.shape, from.type.shape];
  const out = b.map(() => ORIGIN);
  for (const g of axisGroups(b, a)) {
    if (g.from.length === 1 && g.to.length === 1) out[g.from[0]!] = at[g.to[0]!]!;
    else {
      const flat = e.flat(
        g.to.map((i) => at[i]!),
        g.to.map((i) => a[i]!),
      );
      const own = e.unflatten(
        flat,
        g.from.map((i) => b[i]!),
      );
      g.from.forEach((i, k) => (out[i] = own[k]!));
    }
  }
  return out;
}

/** Where a position is not among an operand's elements, and what stands there then. */
interface Border {
  readonly ok: readonly KExpr[];
  readonly other: KExpr;
  /** Sizes that the position was clamped to. */
  readonly clamped: readonly Dim[];
}

/**
 * The value of `x` at a clamped position where all of `ok` holds. A size that is known only at run time may be 0, and then no
 * position is one of the tensor's: its elements are loaded in a branch.
 */
function guarded(e: RegionEmitter, x: Value, at: readonly Coord[], { ok, other, clamped }: Border): KExpr {
  const s = e.scope;
  if (ok.length === 0) return e.value(x, at);
  if (clamped.some((n) => n.value === 0)) return other;
  const all = ok.reduce((a, b) => s.share(K.and(a, b)));
  const chosen = (): KExpr => s.share(K.select(all, e.value(x, at), other));
  const open = clamped.filter((n) => n.value === null);
  if (open.length === 0) return chosen();
  const lanes = Math.max(all.type.lanes, other.type.lanes, ...at.map(lanesOf));
  const out = s.k.mutable(K.splat(other, lanes), 'there');
  const uniform = all.type.lanes === 1;
  const some = uniform ? all : open.map((n) => s.share(K.gt(e.size(n), 0))).reduce((a, b) => s.share(K.and(a, b)));
  s.ifLoaded(some, () => s.k.set(out, K.splat(uniform ? e.value(x, at) : chosen(), lanes)));
  return s.share(out);
}

const filler = (op: Op, value: number): KExpr => {
  const elem = op.results[0]!.type.elem;
  const wide = elem === 'f16' || elem === 'bf16' ? 'f32' : elem;
  return K.coerce(value, { elem: wide, lanes: 1 });
};

function padded(e: RegionEmitter, op: Op, at: readonly Coord[]): KExpr {
  const s = e.scope;
  const x = op.operands[0]!;
  const [low, high] = [sizes(op.attrs, 'low'), sizes(op.attrs, 'high')];
  const gap = op.attrs['gap'] ? ints(op.attrs, 'gap') : [];
  const other = filler(op, num(op.attrs, 'value'));
  const fact = e.facts.get(op);
  if (fact === OUTSIDE) return other;
  const ok: KExpr[] = [];
  const clamped: Dim[] = [];
  const source = at.map((c, i) => {
    const g = 1 + (gap[i] ?? 0);
    const n = x.type.shape[i]!;
    if (low[i]!.value === 0 && high[i]!.value === 0 && g === 1) return c;
    let moved = shift(s, c, e.size(mul(low[i]!, -1)));
    if (fact === i) return moved;
    const extent = g === 1 ? n : sub(mul(n, g), g - 1);
    if (low[i]!.value === 0) ok.push(s.share(K.lt(toValue(s, moved), e.size(extent))));
    else ok.push(inside(s, moved, e.size(extent)));
    clamped.push(n);
    moved = clamp(s, moved, e.size(extent));
    if (g === 1) return moved;
    ok.push(s.share(K.eq(toValue(s, remainder(s, moved, K.i32(g))), 0)));
    return divide(s, moved, K.i32(g));
  });
  return guarded(e, x, source, { ok, other, clamped });
}

function joined(e: RegionEmitter, op: Op, at: readonly Coord[]): KExpr {
  const s = e.scope;
  const axis = num(op.attrs, 'axis');
  const c = at[axis]!;
  const known = e.facts.get(op);
  let start: Dim = dim(0);
  let out: KExpr | null = null;
  for (const [k, part] of op.operands.entries()) {
    const n = part.type.shape[axis]!;
    const here = start;
    start = add(start, n);
    if ((known !== undefined && known !== k) || n.value === 0) continue;
    const own = shift(s, c, e.size(mul(here, -1)));
    const moved = known === k ? own : clamp(s, own, e.size(n));
    const position = at.map((x, i) => (i === axis ? moved : x));
    if (known !== k && n.value === null) {
      const ok = [inside(s, own, e.size(n))];
      out = guarded(e, part, position, { ok, other: out ?? filler(op, 0), clamped: [n] });
      continue;
    }
    const inner = e.value(part, position);
    out = out === null ? inner : s.share(K.select(K.lt(toValue(s, c), e.size(here)), out, inner));
  }
  return out ?? filler(op, 0);
}

/** An index outside the table gives NaN (0 where there is none): it must not read, and must not go unseen. */
function taken(e: RegionEmitter, op: Op, at: readonly Coord[]): KExpr {
  const s = e.scope;
  const [x, indices] = [op.operands[0]!, op.operands[1]!];
  const axis = num(op.attrs, 'axis');
  const rank = indices.type.shape.length;
  const index = fromValue(s, e.value(indices, at.slice(axis, axis + rank)));
  const n = e.size(x.type.shape[axis]!);
  const source = [...at.slice(0, axis), clamp(s, index, n), ...at.slice(axis + rank)];
  const float = ['f32', 'f16', 'bf16'].includes(x.type.elem);
  const ok = [inside(s, index, n)];
  return guarded(e, x, source, { ok, other: filler(op, float ? NaN : 0), clamped: [x.type.shape[axis]!] });
}
