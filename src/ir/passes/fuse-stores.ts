/**
 * What only places values that an elementwise kernel makes, `put` into a tape or `concat` side by side, is done where that kernel
 * stores them: nothing is written to be read and written again, and no kernel is started for it. See `codegen/stores.ts`.
 */
import { storesOf } from '../../codegen/stores.ts';
import { readsOf } from '../clone.ts';
import { product, sameShape } from '../dim.ts';
import type { Op, Region, Value } from '../ir.ts';

/** Parts of a joined tensor are runs of so many elements at least: shorter ones are better written across their borders. */
const MIN_RUN = 32;

/** A kernel has `most` tensors; `results` are those of the region. */
export function placeResults(ops: readonly Op[], most: number, results: readonly Value[]): readonly Op[] {
  const list = [...ops];
  const readers = new Map<Value, number>();
  const count = (values: Iterable<Value>, by: number): void => {
    for (const v of values) readers.set(v, (readers.get(v) ?? 0) + by);
  };
  count([...list.flatMap(readsOf), ...results], 1);
  for (let j = 0; j < list.length; j++) {
    const store = list[j]!;
    const placed = placedBy(store);
    // In place only if nobody else wants what the tape held.
    if (!placed || (placed.start && readers.get(placed.start) !== 1)) continue;
    const i = makerOf(list, store, placed.values);
    const at = i < 0 ? null : position(list, Math.min(i, j), Math.max(i, j));
    if (at === null) continue;
    const maker = list[i]!;
    // It may stand after the store, and read what that gives.
    if (i > j && readsOf(maker).some((v) => store.results.includes(v))) continue;
    const elsewhere = (v: Value): boolean => readers.get(v) !== readsOf(store).filter((r) => r === v).length;
    const made = together(maker, store, maker.results.filter(elsewhere));
    if (made.operands.length + made.results.length > most) continue;
    count([...readsOf(maker), ...readsOf(store)], -1);
    count(readsOf(made), 1);
    list[at] = made;
    list.splice(at === i ? j : i, 1);
    j--;
  }
  return list;
}

/** What an op places, if it does nothing else, and what its result starts as. */
function placedBy(op: Op): { readonly values: readonly Value[]; readonly start: Value | null } | null {
  if (op.kind !== 'fusion' || op.regions[0]!.ops.length !== 1) return null;
  const { params, ops } = op.regions[0]!;
  const core = ops[0]!;
  const given = core.operands.map((v) => op.operands[params.indexOf(v)]!);
  const axis = Number(core.attrs['axis']);
  // Along the last axis a slice would not lie side by side.
  if (core.kind === 'put' && axis + 1 < core.results[0]!.type.shape.length)
    return { values: [given[2]!], start: given[0]! };
  if (core.kind !== 'concat') return null;
  const { shape } = core.operands[0]!.type;
  const run = product(shape.slice(axis)).value;
  const fits = core.operands.every((v) => sameShape(v.type.shape, shape)) && (run === null || run >= MIN_RUN);
  return fits ? { values: given, start: null } : null;
}

/** Where the elementwise kernel is that makes the values, or reads the one that comes from elsewhere; -1 where there is none. */
function makerOf(list: readonly Op[], store: Op, values: readonly Value[]): number {
  const elementwise = (op: Op): boolean => {
    if (op === store || op.kind !== 'fusion' || op.attrs['family'] !== 'elementwise') return false;
    const { shape, all } = storesOf(op);
    return all.every(({ value }) => sameShape(value.type.shape, shape));
  };
  const made = list.findIndex((op) => op.results.includes(values[0]!));
  if (made < 0 && values.length === 1)
    return list.findIndex(
      (op) =>
        elementwise(op) && readsOf(op).includes(values[0]!) && sameShape(storesOf(op).shape, values[0]!.type.shape),
    );
  const maker = list[made];
  if (!maker || !elementwise(maker)) return -1;
  const stores = storesOf(maker).all;
  const free = values.every((v) =>
    stores.some((s) => maker.results[s.result] === v && !s.put && (!s.part || values.length === 1)),
  );
  return free ? made : -1;
}

/** Where two ops may stand as one: in place of the first, of the second, or nowhere. */
function position(list: readonly Op[], first: number, second: number): number | null {
  const between = list.slice(first + 1, second);
  const made = new Set(between.flatMap((op) => op.results));
  if (!readsOf(list[second]!).some((v) => made.has(v))) return first;
  const own = new Set(list[first]!.results);
  return between.some((op) => readsOf(op).some((v) => own.has(v))) ? null : second;
}

/** A kernel with one more result; of those that it had, only some are wanted. */
function together(maker: Op, store: Op, wanted: readonly Value[]): Op {
  const [a, b] = [maker.regions[0]!, store.regions[0]!];
  const operands = [...maker.operands];
  const params = [...a.params];
  const inside = (v: Value, param: Value): Value => {
    const made = maker.results.indexOf(v);
    if (made >= 0) return a.results[made]!;
    const known = operands.indexOf(v);
    if (known >= 0) return params[known]!;
    operands.push(v);
    params.push(param);
    return param;
  };
  const own = new Map(b.params.map((p, i) => [p, inside(store.operands[i]!, p)]));
  const core = b.ops[0]!;
  const kept = maker.results.flatMap((v, i) => (wanted.includes(v) ? [i] : []));
  const region: Region = {
    params,
    ops: [...a.ops, { ...core, operands: core.operands.map((v) => own.get(v)!) }],
    results: [...kept.map((i) => a.results[i]!), ...b.results],
  };
  return {
    ...maker,
    operands,
    attrs: { ...maker.attrs, space: storesOf(maker).shape },
    results: [...kept.map((i) => maker.results[i]!), ...store.results],
    regions: [region],
  };
}
