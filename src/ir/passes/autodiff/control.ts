/**
 * Gradients of `if` and `for`. Both compute the forward of a region again inside the backward one: an `if` would have to
 * invent residuals for the branch not taken, and a loop would need a tape of every intermediate. A loop keeps a tape of
 * its carries at the start of each iteration, and of those only that the backward reads.
 */
import { IrBuilder, tensor, value } from '../../builder.ts';
import { captures } from '../../clone.ts';
import { dim, sub as minus } from '../../dim.ts';
import type { Op, Region, Value } from '../../ir.ts';
import { isDim } from '../../symbols.ts';
import { liveOps } from '../dce.ts';
import { copyOps } from './forward.ts';
import { plus, zeros, type Reverse } from './reverse.ts';

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

/**
 * Emits a loop over the iterations in reverse that carries the cotangents of the active carries and the sums for what the
 * body captures. Gives the forward loop with its tapes, to stand in place of `op`.
 */
export function reverseFor(rev: Reverse, op: Op, dys: readonly (Value | null)[]): Op[] {
  const body = op.regions[0]!;
  const count = isDim(op.attrs['count']) ? op.attrs['count'] : dim(Number(op.attrs['count']));
  const carries = body.params.slice(1);
  const tapes = carries.map((c) => value(tensor(c.type.elem, [count, ...c.type.shape]), 'tape'));

  const turn = value(tensor('i32', []), 'i');
  const head = new IrBuilder(op.origin);
  const i = head.one('sub', [head.one('size', [], { dim: minus(count, 1) }), turn]);
  const map = new Map<Value, Value>([[body.params[0]!, i]]);
  const active: Value[] = [];
  const from: number[] = [];
  carries.forEach((c, k) => {
    const again = head.one('take', [tapes[k]!, i], { axis: 0 });
    map.set(c, again);
    if (!rev.active.has(c)) return;
    active.push(again);
    from.push(k);
    rev.active.add(again);
  });
  const ops: Op[] = [];
  copyOps(body.ops, map, ops);
  rev.variants.activity.mark(ops, rev.active);

  const sub = rev.inner();
  const cotangents = from.map((k) => value(carries[k]!.type, `d_${carries[k]!.hint ?? 'carry'}`));
  from.forEach((k, n) => {
    const r = body.results[k]!;
    sub.seed(map.get(r) ?? r, () => cotangents[n]!);
  });
  sub.run(ops);

  const captured = activeCaptures(rev, [body]).filter((v) => sub.grads.has(v));
  const sums = captured.map((v) => value(v.type, 'sum'));
  const results = [
    ...active.map((a) => sub.grads.get(a) ?? zeros(sub.b, a.type)),
    ...captured.map((v, n) => plus(sub.b, sums[n]!, sub.grads.get(v)!)),
  ];
  const live = liveOps([...head.ops, ...ops, ...sub.b.ops], results);
  const region = { params: [turn, ...cotangents, ...sums], ops: live, results };
  const start = [
    ...from.map((k, n) => dys[k] ?? zeros(rev.b, cotangents[n]!.type)),
    ...sums.map((s) => zeros(rev.b, s.type)),
  ];
  const grads = rev.b.emitTyped(
    'for',
    start,
    { count },
    start.map((s) => s.type),
    [region],
  );
  from.forEach((k, n) => rev.accumulate(op.operands[k]!, grads[n]));
  captured.forEach((v, n) => rev.accumulate(v, grads[from.length + n]));

  const read = new Set(live.flatMap((o) => o.operands));
  return withTapes(
    op,
    tapes.map((t) => (read.has(t) ? t : null)),
  );
}

/** The loop that also writes each carry, as an iteration finds it, into its tape. */
function withTapes(op: Op, tapes: readonly (Value | null)[]): Op[] {
  const kept = tapes.filter((t) => t !== null);
  if (kept.length === 0) return [op];
  const body = op.regions[0]!;
  const before = new IrBuilder(op.origin);
  const empty = kept.map((t) => zeros(before, t.type));
  const write = new IrBuilder(op.origin);
  const inside = kept.map((t) => value(t.type, 'tape'));
  const written = tapes
    .flatMap((t, k) => (t ? [body.params[1 + k]!] : []))
    .map((carry, n) => write.one('put', [inside[n]!, body.params[0]!, carry], { axis: 0 }));
  const region = {
    params: [...body.params, ...inside],
    ops: [...body.ops, ...write.ops],
    results: [...body.results, ...written],
  };
  const loop = { ...op, operands: [...op.operands, ...empty], regions: [region], results: [...op.results, ...kept] };
  return [...before.ops, loop];
}

/** What is active of what the regions use from outside. */
export function activeCaptures(rev: Reverse, regions: readonly Region[]): Value[] {
  const found = new Set<Value>();
  for (const r of regions) for (const v of captures(r)) if (rev.active.has(v)) found.add(v);
  return [...found];
}
