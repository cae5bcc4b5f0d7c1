/**
 * Dynamic loss scaling, as torch.amp.GradScaler: gradients that are not finite leave everything but the scale as it was. All
 * of it on the device, without a branch: nothing waits for the answer.
 */
import type { ScalerPlan } from '../../check/elaborated.ts';
import type { IrBuilder } from '../builder.ts';
import type { Value } from '../ir.ts';
import type { Draft } from './draft.ts';
import { asSegment, GOOD, SCALE, UPDATES } from './state.ts';
import type { Change } from './update.ts';

export interface Unscaled {
  readonly grads: readonly Value[];
  /** bool[]: some gradient is not finite. */
  readonly bad: Value;
}

export function unscale(d: Draft, grads: readonly Value[]): Unscaled {
  const { b } = d;
  const inverse = b.one('div', [b.constant(1), d.scalar(SCALE)]);
  const plain = grads.map((g) => b.one('mul', [g, inverse]));
  const worst = plain.map((g) => b.one('max', [notFinite(b, g)], { axes: [0], keepdims: false }));
  const bad = b.one('gt', [worst.reduce((x, y) => b.one('maximum', [x, y])), b.constant(0)]);
  return { grads: plain, bad };
}

/** 1 where a value is not finite, else 0. */
function notFinite(b: IrBuilder, g: Value): Value {
  return b.one('cast', [b.one('or', [b.one('is_nan', [g]), b.one('is_inf', [g])])], { elem: 'f32' });
}

/** What an update may change, left as it was where it is bad; and the scale of the next. */
export function guarded(d: Draft, plan: ScalerPlan, bad: Value, changes: readonly Change[]): Change[] {
  const { b } = d;
  const kept = changes.map((c): Change => ({ ...c, next: b.one('select', [bad, c.old, c.next]) }));
  const [one, none] = [b.constant(1, 'i32'), b.constant(0, 'i32')];
  const scale = d.scalar(SCALE);
  const good = b.one('add', [d.scalar(GOOD), one]);
  const grows = b.one('eq', [good, b.constant(plan.growth_interval, 'i32')]);
  const grown = b.one('mul', [scale, b.constant(plan.growth_factor)]);
  // A scale that would overflow stays.
  const larger = b.one('select', [b.one('is_inf', [grown]), scale, grown]);
  const smaller = b.one('mul', [scale, b.constant(plan.backoff_factor)]);
  const set = (segment: string, next: Value): Change => ({
    segment,
    old: d.segment(segment),
    next: asSegment(b, next),
  });
  const updates = d.scalar(UPDATES);
  return [
    ...kept,
    set(SCALE, b.one('select', [bad, smaller, b.one('select', [grows, larger, scale])])),
    set(GOOD, b.one('select', [b.one('or', [bad, grows]), none, good])),
    set(UPDATES, b.one('select', [bad, updates, b.one('add', [updates, one])])),
  ];
}
