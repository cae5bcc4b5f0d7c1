/** Small pieces that gradient rules are made of. */
import type { IrBuilder } from '../builder.ts';
import type { Dim } from '../dim.ts';
import { dim, product, sameShape } from '../dim.ts';
import type { ElemType, Value } from '../ir.ts';
import { isOne, reduced } from './shapes.ts';

/** The adjoint of broadcasting: sums `dy` over what was stretched, so that it has `shape`. */
export function sumTo(b: IrBuilder, dy: Value, shape: readonly Dim[]): Value {
  const from = dy.type.shape;
  if (sameShape(from, shape)) return dy;
  const lead = from.length - shape.length;
  const axes = from.flatMap((d, i) => (i < lead || (isOne(shape[i - lead]!) && !isOne(d)) ? [i] : []));
  const summed = axes.length === 0 ? dy : b.one('sum', [dy], { axes, keepdims: false });
  return reshape(b, summed, shape);
}

export function reshape(b: IrBuilder, x: Value, shape: readonly Dim[]): Value {
  return sameShape(x.type.shape, shape) ? x : b.one('reshape', [x], { shape });
}

export function broadcastTo(b: IrBuilder, x: Value, shape: readonly Dim[]): Value {
  return sameShape(x.type.shape, shape) ? x : b.one('broadcast_to', [x], { shape });
}

/** A reduced value with its axes back as ones, so that it broadcasts against what was reduced. */
export function restore(b: IrBuilder, y: Value, full: readonly Dim[], axes: readonly number[]): Value {
  return reshape(b, y, reduced(full, axes, true));
}

/** A constant that fits `like`: scalar, of its element type. */
export const scalar = (b: IrBuilder, x: number, like: Value): Value => b.constant(x, like.type.elem);

export const full = (b: IrBuilder, x: number, elem: ElemType, shape: readonly Dim[]): Value =>
  b.one('constant', [], { value: x, elem, shape });

/** How many elements the axes hold, as a scalar of the element type. */
export function countOf(b: IrBuilder, shape: readonly Dim[], axes: readonly number[], elem: ElemType): Value {
  const n = product(axes.map((a) => shape[a] ?? dim(1)));
  if (n.value !== null) return b.constant(n.value, elem);
  return cast(b, b.one('size', [], { dim: n }), elem);
}

export const cast = (b: IrBuilder, x: Value, elem: ElemType): Value =>
  x.type.elem === elem ? x : b.one('cast', [x], { elem });

/** Terse elementwise calls for rules that read like formulas. */
export const math = (b: IrBuilder) => {
  const call =
    (kind: string) =>
    (...xs: readonly (Value | number)[]): Value => {
      const like = xs.find((x): x is Value => typeof x !== 'number');
      return b.one(
        kind,
        xs.map((x) => (typeof x === 'number' ? b.constant(x, like?.type.elem ?? 'f32') : x)),
      );
    };
  return {
    add: call('add'),
    sub: call('sub'),
    mul: call('mul'),
    div: call('div'),
    neg: call('neg'),
    exp: call('exp'),
    log: call('log'),
    sqrt: call('sqrt'),
    pow: call('pow'),
    sin: call('sin'),
    cos: call('cos'),
    abs: call('abs'),
    sign: call('sign'),
    floor: call('floor'),
    eq: call('eq'),
    ne: call('ne'),
    lt: call('lt'),
    le: call('le'),
    gt: call('gt'),
    ge: call('ge'),
    and: call('and'),
    or: call('or'),
    not: call('not'),
    sum: (x: Value, axes: readonly number[], keepdims = true) => b.one('sum', [x], { axes, keepdims }),
    max: (x: Value, axes: readonly number[], keepdims = true) => b.one('max', [x], { axes, keepdims }),
    prod: (x: Value, axes: readonly number[], keepdims = true) => b.one('prod', [x], { axes, keepdims }),
    /** Numbers take the element type of the other branch. */
    select: (c: Value, x: Value | number, y: Value | number): Value => {
      const elem = typeof x !== 'number' ? x.type.elem : typeof y !== 'number' ? y.type.elem : 'f32';
      const lift = (v: Value | number) => (typeof v === 'number' ? b.constant(v, elem) : v);
      return b.one('select', [c, lift(x), lift(y)]);
    },
  };
};
