/**
 * Repeats ops of the forward in a backward, each right before the first that reads it. They read what they need under names of
 * its own (`again`): else what removes equal ops would find the forward's results, and those would be kept after all.
 */
import { IrBuilder } from '../../builder.ts';
import { cloneOps, readsOf } from '../../clone.ts';
import type { Op, Value } from '../../ir.ts';

/** The backward and its results with copies of `repeated`, which are in order, in place of what those ops made. */
export function withRepeats(
  repeated: readonly Op[],
  backward: readonly Op[],
  results: readonly Value[],
): { readonly ops: readonly Op[]; readonly results: readonly Value[] } {
  const producer = new Map<Value, number>();
  repeated.forEach((op, i) => op.results.forEach((r) => producer.set(r, i)));
  /** What the repeated ops read and do not make. All of the backward reads it by the new name, or it would look like two values. */
  const leaves = new Set(repeated.flatMap((op) => readsOf(op).filter((v) => !producer.has(v))));
  const ops: Op[] = [];
  const map = new Map<Value, Value>();
  const done = new Set<number>();

  const name = (values: readonly Value[], { origin }: Op): void => {
    const b = new IrBuilder(origin);
    for (const v of values) if (leaves.has(v) && !map.has(v)) map.set(v, b.one('again', [v], {}, v.hint));
    ops.push(...b.ops);
  };
  const provide = (values: readonly Value[]): void => {
    const missing = new Set<number>();
    const open = [...values];
    for (let v = open.pop(); v; v = open.pop()) {
      const i = producer.get(v);
      if (i === undefined || done.has(i) || missing.has(i)) continue;
      missing.add(i);
      open.push(...readsOf(repeated[i]!));
    }
    for (const i of [...missing].sort((a, b) => a - b)) {
      const op = repeated[i]!;
      name(readsOf(op), op);
      cloneOps([op], map, ops);
      done.add(i);
    }
  };

  for (const op of backward) {
    provide(readsOf(op));
    name(readsOf(op), op);
    cloneOps([op], map, ops);
  }
  provide(results);
  return { ops, results: results.map((v) => map.get(v) ?? v) };
}
