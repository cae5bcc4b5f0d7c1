/** What training keeps from step to step beside the parameters: its segments, and the programs that give them their first values. */
import type { TrainPlan } from '../../check/elaborated.ts';
import type { Segment } from '../../runtime/artifact.ts';
import { tensor } from '../builder.ts';
import type { IrBuilder } from '../builder.ts';
import { cloneRegion } from '../clone.ts';
import { dim } from '../dim.ts';
import type { EntryOutput, GroupState } from '../entry.ts';
import type { Func, Value } from '../ir.ts';
import { bindSymbols } from '../symbols.ts';
import type { Arena } from './arena.ts';
import type { Draft } from './draft.ts';

/** Counts the updates that the averaged weights have seen. */
export const AVERAGED = 'run.averaged';

/** Loss scaling: the scale, good updates in a row, and updates made, which only the device knows. */
export const SCALE = 'run.scale';
export const GOOD = 'run.good_steps';
export const UPDATES = 'run.updates';

export interface TrainState {
  readonly segments: readonly Segment[];
  readonly groups: readonly GroupState[];
}

export function layoutState(arena: Arena, train: TrainPlan): TrainState {
  const segments: Segment[] = [];
  const add = (name: string, elem: Segment['elem'], length: number): string => {
    segments.push({ name, role: 'state', elem, length });
    return name;
  };
  const groups = arena.groups.map((group, g): GroupState => {
    const { elem } = arena.segments.find((s) => s.name === group.grads)!;
    return {
      optimizer: train.optimizer.state.map((s) =>
        add(`state.${g}.${s.name}`, s.elem, s.like === 'param' ? group.length : 1),
      ),
      accumulated: train.accumulate > 1 ? add(`accumulated.${g}`, elem, group.length) : null,
      ema: train.limits.ema === undefined ? null : add(`ema.${g}`, elem, group.length),
    };
  });
  if (train.limits.ema !== undefined) add(AVERAGED, 'i32', 1);
  if (train.scaler) {
    add(SCALE, 'f32', 1);
    add(GOOD, 'i32', 1);
    add(UPDATES, 'i32', 1);
  }
  return { segments, groups };
}

/** New contents of segments. */
export interface Contents {
  readonly values: readonly Value[];
  readonly outputs: readonly EntryOutput[];
}

/** Apart from `init`: a model that only infers pays for no training. What is not named here begins as zeros. */
export function initialState(
  d: Draft,
  arena: Arena,
  train: TrainPlan,
  state: TrainState,
  funcs: ReadonlyMap<string, Func>,
): Contents {
  const values: Value[] = [];
  const outputs: EntryOutput[] = [];
  arena.groups.forEach((group, g) =>
    train.optimizer.state.forEach((s, i) => {
      const { body } = funcs.get(s.init)!;
      // No operand could bind the length: the result does.
      const made = body.results[0]!.type;
      const env = s.like === 'param' ? bindSymbols([made], [tensor(s.elem, [group.length])]) : new Map<string, never>();
      const copy = cloneRegion(body, new Map(), env);
      d.b.ops.push(...copy.ops);
      values.push(asSegment(d.b, copy.results[0]!));
      outputs.push({ role: 'segment', segment: state.groups[g]!.optimizer[i]! });
    }),
  );
  if (train.scaler) {
    values.push(asSegment(d.b, d.b.constant(train.scaler.init_scale)));
    outputs.push({ role: 'segment', segment: SCALE });
  }
  return { values, outputs };
}

/** Segments are flat: a scalar is one of length 1. */
export const asSegment = (b: IrBuilder, v: Value): Value =>
  v.type.shape.length === 0 ? b.one('reshape', [v], { shape: [dim(1)] }) : v;
