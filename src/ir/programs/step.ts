/**
 * The part of a training step after the gradients: accumulation, loss scaling, clipping, the optimizer, the averaged weights. All of it
 * works on whole groups, one flat value each.
 */
import type { Elaborated } from '../../check/elaborated.ts';
import type { TrainNumber } from '../../runtime/artifact.ts';
import { tensor } from '../builder.ts';
import type { IrBuilder } from '../builder.ts';
import type { Value } from '../ir.ts';
import type { Arena } from './arena.ts';
import type { Draft } from './draft.ts';
import { guarded, unscale } from './scaler.ts';
import { asSegment, AVERAGED, type Contents, type TrainState } from './state.ts';
import { updateGroups, type Change } from './update.ts';

/** Gradients summed over the microbatches so far: what a call of `train_step` that does not update leaves. */
export function accumulate(d: Draft, state: TrainState, grads: readonly Value[]): Contents {
  return {
    values: withEarlier(d, state, grads, microbatch(d)),
    outputs: state.groups.map((g) => ({ role: 'segment', segment: g.accumulated! })),
  };
}

/** New contents of every segment that an update changes. */
export function update(d: Draft, block: Elaborated, arena: Arena, state: TrainState, flat: readonly Value[]): Contents {
  const train = block.train!;
  let grads: readonly Value[] = flat;
  if (train.accumulate > 1) {
    // Counted, so that the last update of an epoch may come early and still be a mean.
    const before = microbatch(d);
    const count = d.b.one('cast', [d.b.one('add', [before, d.b.constant(1, 'i32')])], { elem: 'f32' });
    grads = withEarlier(d, state, grads, before).map((g) => d.b.one('div', [g, count]));
  }
  let bad: Value | null = null;
  if (train.scaler) ({ grads, bad } = unscale(d, grads));
  const limit = setting(d, train.limits);
  const value = limit('clip_value');
  const norm = limit('clip_norm');
  if (value) grads = grads.map((g) => clipByValue(d.b, g, value));
  if (norm) grads = clipByNorm(d.b, grads, norm);

  let changes = updateGroups(d, block, arena, state.groups, grads);
  const weight = limit('ema');
  if (weight) changes.push(...average(d, arena, state, changes, weight));
  if (train.scaler && bad) changes = guarded(d, train.scaler, bad, changes);
  return {
    values: changes.map((c) => c.next),
    outputs: changes.map((c) => ({ role: 'segment', segment: c.segment })),
  };
}

const microbatch = (d: Draft): Value => d.input({ role: 'microbatch' }, tensor('i32', []), 'microbatch');

/** What the sums hold from before the last update is not read: it may be of any value. */
function withEarlier(d: Draft, state: TrainState, grads: readonly Value[], before: Value): Value[] {
  const first = d.b.one('eq', [before, d.b.constant(0, 'i32')]);
  return grads.map((g, i) => {
    const earlier = d.segment(state.groups[i]!.accumulated!);
    return d.b.one('select', [first, g, d.b.one('add', [earlier, g])]);
  });
}

const setting =
  (d: Draft, limits: Readonly<Partial<Record<TrainNumber, number>>>) =>
  (name: TrainNumber): Value | null =>
    limits[name] === undefined ? null : d.input({ role: 'setting', name }, tensor('f32', []), name);

/** torch.nn.utils.clip_grad_value_. */
function clipByValue(b: IrBuilder, g: Value, limit: Value): Value {
  return b.one('minimum', [b.one('maximum', [g, b.one('neg', [limit])]), limit]);
}

/** torch.nn.utils.clip_grad_norm_: scale by min(1, limit / (norm + 1e-6)), one norm over all groups. */
function clipByNorm(b: IrBuilder, grads: readonly Value[], limit: Value): Value[] {
  const squares = grads.map((g) => b.one('sum', [b.one('mul', [g, g])], { axes: [0], keepdims: false }));
  const norm = b.one('sqrt', [squares.reduce((x, y) => b.one('add', [x, y]))]);
  const scale = b.one('div', [limit, b.one('add', [norm, b.constant(1e-6)])]);
  const coef = b.one('minimum', [scale, b.constant(1)]);
  return grads.map((g) => b.one('mul', [g, coef]));
}

/** torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn: the first update copies, each later one moves by `weight`. */
function average(d: Draft, arena: Arena, state: TrainState, changes: readonly Change[], weight: Value): Change[] {
  const { b } = d;
  const seen = d.scalar(AVERAGED);
  const first = b.one('eq', [seen, b.constant(0, 'i32')]);
  const averages = arena.groups.map((group, g): Change => {
    const segment = state.groups[g]!.ema!;
    const old = d.segment(segment);
    const { next: p } = changes.find((c) => c.segment === group.params)!;
    const moved = b.one('add', [old, b.one('mul', [weight, b.one('sub', [p, old])])]);
    return { segment, old, next: b.one('select', [first, p, moved]) };
  });
  const next = asSegment(b, b.one('add', [seen, b.constant(1, 'i32')]));
  return [...averages, { segment: AVERAGED, old: d.segment(AVERAGED), next }];
}
