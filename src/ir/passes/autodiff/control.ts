/**
 * The gradient of `if`. It computes the forward of its branch again inside the backward one: it would have to invent
 * residuals for the branch not taken.
 */
import { captures } from '../../clone.ts';
import type { Op, Region, Value } from '../../ir.ts';
import { liveOps } from '../dce.ts';
import { copyOps } from './forward.ts';
import { zeros, type Reverse } from './reverse.ts';

/** Emits an `if` on the same condition that gives the gradients of everything active that either branch captures. */
export function reverseIf(rev: Reverse, op: Op, dys: readonly (Value | null)[]): void {
  const captured = activeCaptures(rev, op.regions);
  const drafts = op.regions.map((region) => {
    const sub = rev.inner();
    const map = new Map<Value, Value>();
    const ops: Op[] = [];
    copyOps(region.ops, map, ops);
    rev.variants.activity.mark(ops, rev.active);
    region.results.forEach((r, i) => dys[i] && sub.seed(map.get(r) ?? r, () => dys[i]!));
    sub.run(ops);
    return { sub, ops };
  });
  const reached = captured.filter((v) => drafts.some((d) => d.sub.grads.has(v)));
  const regions = drafts.map(({ sub, ops }): Region => {
    const results = reached.map((v) => sub.grads.get(v) ?? zeros(sub.b, v.type));
    return { params: [], ops: liveOps([...ops, ...sub.b.ops], results), results };
  });
  if (reached.length === 0) return;
  const grads = rev.b.emitTyped(
    'if',
    op.operands,
    {},
    reached.map((v) => v.type),
    regions,
  );
  reached.forEach((v, i) => rev.accumulate(v, grads[i]));
}

/** What is active of what the regions use from outside. */
export function activeCaptures(rev: Reverse, regions: readonly Region[]): Value[] {
  const found = new Set<Value>();
  for (const r of regions) for (const v of captures(r)) if (rev.active.has(v)) found.add(v);
  return [...found];
}
