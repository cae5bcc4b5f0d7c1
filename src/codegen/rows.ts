/**
 * The plan of a row-wise region: which passes over a row its reductions need (each depends on those before), what each
 * pass computes and stores, and which costly values are kept for a later pass instead of being computed again.
 */
import type { Dim } from '../ir/dim.ts';
import { sameShape } from '../ir/dim.ts';
import type { Op, Region, Value } from '../ir/ir.ts';
import { ints, num } from '../ir/ops/attrs.ts';
import { COSTLY } from '../ir/passes/op-cost.ts';
import type { Walk } from './space.ts';

export const REDUCTIONS: ReadonlySet<string> = new Set(['sum', 'max', 'min', 'prod', 'argmax', 'argmin']);
export const isReduction = (op: Op): boolean => REDUCTIONS.has(op.kind);

export const axesOf = (op: Op): readonly number[] =>
  op.kind === 'argmax' || op.kind === 'argmin' ? [num(op.attrs, 'axis')] : ints(op.attrs, 'axes');

export interface Pass {
  readonly reductions: Op[];
  /** Indices of results of the region, of the full space. */
  readonly stores: number[];
  /** Values of the full space that later passes read back. */
  readonly kept: Value[];
}

export interface RowPlan {
  readonly shape: readonly Dim[];
  readonly axes: readonly number[];
  readonly keptAxes: readonly number[];
  readonly passes: readonly Pass[];
  /** Indices of results on the reduced space. */
  readonly rowResults: readonly number[];
  readonly reductions: readonly Op[];
}

export function planRows(region: Region): RowPlan {
  const reductions = region.ops.filter(isReduction);
  const first = reductions[0];
  if (!first) throw new Error('a row-wise region without a reduction');
  const shape = first.operands[0]!.type.shape;
  const axes = [...axesOf(first)].sort((a, b) => a - b);

  const producers = new Map<Value, Op>();
  const levels = new Map<Value, number>();
  for (const op of region.ops) {
    const below = op.operands.reduce((l, o) => Math.max(l, levels.get(o) ?? 0), 0);
    for (const r of op.results) {
      producers.set(r, op);
      levels.set(r, isReduction(op) ? below + 1 : below);
    }
  }
  const passes: Pass[] = [];
  const passAt = (level: number): Pass => {
    while (passes.length <= level) passes.push({ reductions: [], stores: [], kept: [] });
    return passes[level]!;
  };
  for (const op of reductions) passAt(levels.get(op.operands[0]!) ?? 0).reductions.push(op);
  const rowResults: number[] = [];
  region.results.forEach((v, i) => {
    if (sameShape(v.type.shape, shape)) passAt(levels.get(v) ?? 0).stores.push(i);
    else rowResults.push(i);
  });

  // A costly value that two passes ask for is stored by the first.
  const firstPass = new Map<Value, number>();
  const kept = new Set<Value>();
  passes.forEach((pass, p) => {
    const seen = new Set<Value>();
    const visit = (v: Value): void => {
      const op = producers.get(v);
      if (!op || isReduction(op) || seen.has(v)) return;
      seen.add(v);
      if (COSTLY.has(op.kind) && sameShape(v.type.shape, shape)) {
        const before = firstPass.get(v);
        if (before !== undefined && before < p) {
          if (!kept.has(v)) passes[before]!.kept.push(v);
          kept.add(v);
          return;
        }
        firstPass.set(v, before ?? p);
      }
      op.operands.forEach(visit);
    };
    for (const r of pass.reductions) visit(r.operands[0]!);
    for (const i of pass.stores) visit(region.results[i]!);
  });

  const keptAxes = shape.flatMap((_, i) => (axes.includes(i) ? [] : [i]));
  return { shape, axes, keptAxes, passes, rowResults, reductions };
}

/** Values can be kept only if every pass asks for them where they are computed: a flipped one belongs to another place. */
export function keepInPlace(plan: RowPlan, walk: Walk): RowPlan {
  const moved = new Set<Value>();
  for (const { op, tokens } of walk.visits) {
    if (tokens.some((t, i) => t !== i && plan.shape[i]?.value !== 1)) op.results.forEach((v) => moved.add(v));
  }
  const passes = plan.passes.map((p) => ({ ...p, kept: p.kept.filter((v) => !moved.has(v)) }));
  return { ...plan, passes };
}
