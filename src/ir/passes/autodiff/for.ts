/**
 * The gradient of `for`: a loop over the iterations in reverse. The forward loop keeps tapes of its carries at the start of
 * each iteration, and of what a called function would save (`residuals.ts`), products above all, and of costly functions; all only where
 * the backward reads them. Calls, loops and branches inside its body run again, or their own tapes would grow by a dimension.
 * Gradients of what the body captures wait for the end of the loop where that is better (`after-loop.ts`) and are added
 * up in carries elsewhere.
 */
import { COSTLY } from '../op-cost.ts';
import { IrBuilder, tensor, value } from '../../builder.ts';
import { captures } from '../../clone.ts';
import { dim, sub as minus } from '../../dim.ts';
import type { Op, Value } from '../../ir.ts';
import { isDim } from '../../symbols.ts';
import { liveOps } from '../dce.ts';
import { leftForAfter, type Left } from './after-loop.ts';
import { bodyBackwards } from './loop-body.ts';
import { isCheap, planResiduals } from './residuals.ts';
import { plus, zeros, type Reverse } from './reverse.ts';

/** A costly function is kept: its gradient reads its result, which takes no more room than what it was made from. */
const runsAgain = (op: Op): boolean =>
  (isCheap(op) && !COSTLY.has(op.kind)) || op.kind === 'call' || op.regions.length > 0;

/** A value of the forward body and where the loop keeps it: [count, ...]. */
interface Tape {
  readonly of: Value;
  readonly tape: Value;
}

/** Emits the backward loop; gives the forward loop with its tapes, to stand in place of `op`. */
export function reverseFor(rev: Reverse, op: Op, dys: readonly (Value | null)[]): Op[] {
  const body = op.regions[0]!;
  const count = isDim(op.attrs['count']) ? op.attrs['count'] : dim(Number(op.attrs['count']));
  const taped = (of: Value): Tape => ({ of, tape: value(tensor(of.type.elem, [count, ...of.type.shape]), 'tape') });
  const carries = body.params.slice(1);
  const carryTapes = carries.map(taped);

  const turn = value(tensor('i32', []), 'i');
  const head = new IrBuilder(op.origin);
  const i = head.one('sub', [head.one('size', [], { dim: minus(count, 1) }), turn]);
  const again = carryTapes.map(({ tape }) => head.one('take', [tape, i], { axis: 0 }));
  const back = bodyBackwards(rev, body, carries, again, [[body.params[0]!, i]]);
  const { ops, original, from, cotangents, sub, captured } = back;
  const copied = { params: [], ops, results: back.results };

  const own = new Set([...again, ...cotangents, ...[...ops, ...sub.b.ops].flatMap((o) => o.results)]);
  const left = afterLoop(captured, sub, { position: i, count, varies: (v: Value) => own.has(v) });
  const summed = captured.filter((v) => !left.has(v));
  /** Read after the loop: values that the forward makes go on its tapes, those of the backward on tapes of its own. */
  const later = [...new Set([...left.values()].flatMap((l) => l.reads))].filter((v) => !again.includes(v));
  const forward = later.filter((v) => original.has(v));
  const backwardTapes = later.filter((v) => !original.has(v)).map(taped);

  const sums = summed.map((v) => value(v.type, 'sum'));
  const stacks = backwardTapes.map(({ tape }) => value(tape.type, 'tape'));
  const results = [
    ...from.map((k) => sub.grads.get(again[k]!) ?? zeros(sub.b, carries[k]!.type)),
    ...summed.map((v, n) => plus(sub.b, sums[n]!, sub.grads.get(v)!)),
    ...backwardTapes.map(({ of }, n) => sub.b.one('put', [stacks[n]!, i, of], { axis: 0 })),
  ];
  const backward = liveOps(sub.b.ops, results);
  const used = captures({ params: [], ops: backward, results });
  const plan = planResiduals(ops, copied.results, used, { cheap: runsAgain, keep: forward });
  const saved = plan.saved.map((copy) => {
    const { tape } = taped(copy);
    head.one('take', [tape, i], { axis: 0 });
    head.ops.push({ ...head.ops.pop()!, results: [copy] });
    return { copy, tape };
  });
  const live = liveOps([...head.ops, ...plan.recomputed, ...backward], results);
  const region = { params: [turn, ...cotangents, ...sums, ...stacks], ops: live, results };
  const start = [
    ...from.map((k, n) => dys[k] ?? zeros(rev.b, cotangents[n]!.type)),
    ...[...sums, ...stacks].map((s) => zeros(rev.b, s.type)),
  ];
  const types = start.map((s) => s.type);
  const grads = rev.b.emitTyped('for', start, { count }, types, [region]);

  const all = new Map<Value, Value>([
    ...again.map((v, k) => [v, carryTapes[k]!.tape] as const),
    ...saved.map(({ copy, tape }) => [copy, tape] as const),
    ...backwardTapes.map(({ of }, n) => [of, grads[from.length + sums.length + n]!] as const),
  ]);
  from.forEach((k, n) => rev.accumulate(op.operands[k]!, grads[n]));
  summed.forEach((v, n) => rev.accumulate(v, grads[from.length + n]));
  for (const [v, l] of left)
    rev.accumulate(
      v,
      l.make(rev.b, (x) => all.get(x)!),
    );

  const read = new Set([...captures(region), ...[...left.values()].flatMap((l) => l.reads.map((v) => all.get(v)!))]);
  const kept = [...carryTapes, ...saved.map(({ copy, tape }) => ({ of: original.get(copy)!, tape }))];
  return withTapes(
    op,
    kept.filter(({ tape }) => read.has(tape)),
  );
}

/** What of the gradients of captured values is left for after the loop. */
function afterLoop(
  captured: readonly Value[],
  sub: Reverse,
  it: Omit<Parameters<typeof leftForAfter>[1], 'ops'>,
): Map<Value, Left> {
  const found = captured.flatMap((v) => {
    const l = leftForAfter(sub.grads.get(v)!, { ...it, ops: sub.b.ops });
    return l ? [[v, l] as const] : [];
  });
  const strong = new Set(found.flatMap(([, l]) => (l.weak ? [] : l.reads)));
  return new Map(found.filter(([, l]) => l.reads.every((v) => strong.has(v))));
}

/** The loop that also writes values of each iteration into their tapes. */
function withTapes(op: Op, tapes: readonly Tape[]): Op[] {
  if (tapes.length === 0) return [op];
  const kept = tapes.map((t) => t.tape);
  const body = op.regions[0]!;
  const before = new IrBuilder(op.origin);
  const empty = kept.map((t) => zeros(before, t.type));
  const write = new IrBuilder(op.origin);
  const inside = kept.map((t) => value(t.type, 'tape'));
  const written = tapes.map(({ of }, n) => write.one('put', [inside[n]!, body.params[0]!, of], { axis: 0 }));
  // Before the body, or the next value of a carry could not take the memory of this one.
  const carries = new Set(body.params);
  const early = new Set(write.ops.filter((_, n) => carries.has(tapes[n]!.of)));
  const region = {
    params: [...body.params, ...inside],
    ops: [...write.ops.filter((o) => early.has(o)), ...body.ops, ...write.ops.filter((o) => !early.has(o))],
    results: [...body.results, ...written],
  };
  const loop = { ...op, operands: [...op.operands, ...empty], regions: [region], results: [...op.results, ...kept] };
  return [...before.ops, loop];
}
