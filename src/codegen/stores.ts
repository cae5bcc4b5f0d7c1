/**
 * How the results of an elementwise region leave it. Most lie over its space. Where a fusion states the `space`, results of other
 * shapes are made of values of that space as these are stored: `put` writes a slice of a longer tensor, which the result starts as, and
 * `concat` lays several side by side; a slice that is put may be joined.
 */
import type { Dim } from '../ir/dim.ts';
import { add, dim, sameShape } from '../ir/dim.ts';
import type { Op, Region, Value } from '../ir/ir.ts';
import { num, sizes } from '../ir/ops/attrs.ts';
import type { Coord } from './coord.ts';
import { fromValue, inside, shift } from './coord.ts';
import type { RegionEmitter } from './expr.ts';
import type { KExpr } from './kernel.ts';
import { identity, type Token } from './space.ts';

/** A value of the space and where it goes in a result, given by number. */
export interface Store {
  readonly result: number;
  readonly value: Value;
  /** Into which part of a joined tensor: from where on, along which axis. */
  readonly part: { readonly joined: Value; readonly axis: number; readonly from: Dim } | null;
  readonly put: Op | null;
}

export interface Stores {
  readonly shape: readonly Dim[];
  readonly plain: readonly number[];
  readonly all: readonly Store[];
  /** Axes that lie side by side in every result: see `Walk.patterns`. */
  readonly patterns: readonly (readonly Token[])[];
  /** Params that only say what a result starts as. */
  readonly starts: ReadonlySet<Value>;
}

export function storesOf(op: Op): Stores {
  const region = op.regions[0]!;
  const stated = op.attrs['space'] === undefined ? null : sizes(op.attrs, 'space');
  const shape = stated ?? region.results[0]!.type.shape;
  const all = region.results.flatMap((value, result): readonly Store[] =>
    stated ? storesFor(region, stated, value, result) : [{ result, value, part: null, put: null }],
  );
  const axes = identity(shape.length);
  const cuts = new Set(
    all.flatMap(({ part, put }) => [...(part ? [part.axis] : []), ...(put ? [num(put.attrs, 'axis')] : [])]),
  );
  return {
    shape,
    plain: all.flatMap((s) => (s.part || s.put ? [] : [s.result])),
    all,
    patterns: [axes, ...[...cuts].flatMap((axis) => [axes.slice(0, axis), axes.slice(axis)])],
    starts: new Set(all.flatMap(({ put }) => (put ? [put.operands[0]!] : []))),
  };
}

function storesFor(region: Region, shape: readonly Dim[], made: Value, result: number): readonly Store[] {
  if (sameShape(made.type.shape, shape)) return [{ result, value: made, part: null, put: null }];
  const maker = (v: Value): Op => region.ops.find((op) => op.results.includes(v))!;
  const last = maker(made);
  const put = last.kind === 'put' ? last : null;
  const slice = put ? put.operands[2]! : made;
  if (sameShape(slice.type.shape, shape)) return [{ result, value: slice, part: null, put }];
  const concat = maker(slice);
  const axis = num(concat.attrs, 'axis');
  let from: Dim = dim(0);
  return concat.operands.map((value) => {
    const part = { joined: slice, axis, from };
    from = add(from, value.type.shape[axis]!);
    return { result, value, part, put };
  });
}

/** Where in the result a store goes from a position in the space, and whether it may. */
export function placeOf(
  e: RegionEmitter,
  store: Store,
  at: readonly Coord[],
): { readonly to: Coord; readonly ok: KExpr | null } {
  const s = e.scope;
  const { part, put, value } = store;
  const within = part ? at.map((c, i) => (i === part.axis ? shift(s, c, e.size(part.from)) : c)) : at;
  if (!put) return { to: e.flat(within, (part?.joined ?? value).type.shape), ok: null };
  const axis = num(put.attrs, 'axis');
  const { shape } = put.results[0]!.type;
  const index = fromValue(s, e.value(put.operands[1]!, []));
  return {
    to: e.flat([...within.slice(0, axis), index, ...within.slice(axis)], shape),
    ok: inside(s, index, e.size(shape[axis]!)),
  };
}

/** Results of a fusion that change a part of another tensor, with what they start as. */
export function placedOnto(op: Op): readonly { readonly result: Value; readonly source: Value }[] {
  const { params } = op.regions[0]!;
  return storesOf(op).all.flatMap(({ result, put, part }) =>
    put && (part === null || part.from.value === 0)
      ? [{ result: op.results[result]!, source: op.operands[params.indexOf(put.operands[0]!)]! }]
      : [],
  );
}
