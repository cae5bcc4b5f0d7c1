/**
 * What a forward function hands to its backward function. The rule: memory is dearer than arithmetic, so a value made by a
 * cheap op (elementwise, a view, a generator) is computed again where everything it is made of is at hand anyway; all
 * else that the backward reads is saved. Behind views that copy (broadcast, transpose, reshape) the source is saved.
 */
import type { Op, Value } from '../../ir.ts';
import { opDef } from '../../ops/table.ts';

export interface Residuals {
  /** Values of the forward that the backward gets, in order of definition. */
  readonly saved: readonly Value[];
  /** Ops of the forward that the backward repeats, in order. */
  readonly recomputed: readonly Op[];
}

const SEEN_THROUGH: ReadonlySet<string> = new Set(['broadcast_to', 'transpose', 'reshape']);
/** Each costs a few scalars or fills memory from nothing. */
const GENERATORS: ReadonlySet<string> = new Set(['constant', 'iota', 'size', 'fold_in', 'view']);

export function isCheap(op: Op): boolean {
  if (op.regions.length > 0) return false;
  if (GENERATORS.has(op.kind)) return true;
  const { kind } = opDef(op.kind).lower;
  return kind === 'elementwise' || kind === 'view';
}

export function planResiduals(params: readonly Value[], ops: readonly Op[], used: ReadonlySet<Value>): Residuals {
  const producer = new Map<Value, Op>();
  for (const op of ops) for (const r of op.results) producer.set(r, op);

  const wanted = new Set<Value>();
  for (let v of used) {
    for (let op = producer.get(v); op && SEEN_THROUGH.has(op.kind); op = producer.get(v)) v = op.operands[0]!;
    if (producer.has(v)) wanted.add(v);
  }

  const atHand = new Set<Value>(params);
  const saved: Value[] = [];
  for (const v of wanted) if (!isCheap(producer.get(v)!)) atHand.add(v);
  const again = new Set<Op>();
  for (const op of ops) {
    const possible = isCheap(op) && op.operands.every((v) => atHand.has(v));
    for (const r of op.results) {
      if (possible) atHand.add(r);
      else if (wanted.has(r)) {
        atHand.add(r);
        saved.push(r);
      }
    }
    if (possible) again.add(op);
  }

  const recomputed = new Set<Op>();
  const need = (v: Value): void => {
    const op = producer.get(v);
    if (!op || !again.has(op) || recomputed.has(op)) return;
    recomputed.add(op);
    op.operands.forEach(need);
  };
  for (const v of used) need(v);
  return { saved, recomputed: ops.filter((op) => recomputed.has(op)) };
}
