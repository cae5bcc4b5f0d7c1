/**
 * How the results of an elementwise region leave it. Most lie over the space of the region. The last `placed` ones are made of values
 * of that space where these are stored: `put` writes a slice of a longer tensor, which the result starts as, and `concat` lays
 * several side by side; a slice that is put may be joined.
 */
import type { Dim } from '../ir/dim.ts';
import { add, dim } from '../ir/dim.ts';
import type { Op, Region, Value } from '../ir/ir.ts';
import { num } from '../ir/ops/attrs.ts';
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

/** The ops that place the last results of a fusion: for each the `put` and the `concat`, if any. */
function placing(region: Region, result: Value): { readonly put: Op | null; readonly concat: Op | null } {
  const maker = (v: Value): Op | undefined => region.ops.find((op) => op.results[0] === v);
  const last = maker(result);
  const put = last?.kind === 'put' ? last : null;
  const joined = put ? maker(put.operands[2]!) : last;
  return { put, concat: joined?.kind === 'concat' ? joined : null };
}

export function storesOf(op: Op): Stores {
  const region = op.regions[0]!;
  const first = region.results.length - Number(op.attrs['placed'] ?? 0);
  const all = region.results.flatMap((result, i): Store[] => {
    if (i < first) return [{ result: i, value: result, part: null, put: null }];
    const { put, concat } = placing(region, result);
    if (!concat) return [{ result: i, value: put!.operands[2]!, part: null, put }];
    const axis = num(concat.attrs, 'axis');
    let from: Dim = dim(0);
    return concat.operands.map((value) => {
      const part = { joined: concat.results[0]!, axis, from };
      from = add(from, value.type.shape[axis]!);
      return { result: i, value, part, put };
    });
  });
  const { shape } = all[0]!.value.type;
  const axes = identity(shape.length);
  const cuts = new Set(
    all.flatMap(({ part, put }) => [...(part ? [part.axis] : []), ...(put ? [num(put.attrs, 'axis')] : [])]),
  );
  return {
    shape,
    plain: region.results.flatMap((_, i) => (i < first ? [i] : [])),
    all,
    patterns: [axes, ...[...cuts].flatMap((axis) => [axes.slice(0, axis), axes.slice(axis)])],
    starts: new Set(all.flatMap(({ put }) => (put ? [put.operands[0]!] : []))),
  };
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
  if (!op.attrs['placed']) return [];
  const { params } = op.regions[0]!;
  return storesOf(op).all.flatMap(({ result, put, part }) =>
    put && (part === null || part.from.value === 0)
      ? [{ result: op.results[result]!, source: op.operands[params.indexOf(put.operands[0]!)]! }]
      : [],
  );
}
