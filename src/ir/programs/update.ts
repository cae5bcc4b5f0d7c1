/** The part of a training step after the gradients: clipping and the optimizer's update, group by group over the arena. */
import type { Elaborated, OptimizerPlan } from '../../check/elaborated.ts';
import type { Segment } from '../../runtime/artifact.ts';
import { tensor } from '../builder.ts';
import type { IrBuilder } from '../builder.ts';
import { cloneRegion } from '../clone.ts';
import { dim } from '../dim.ts';
import type { EntryOutput } from '../entry.ts';
import type { Func, Value } from '../ir.ts';
import { bindSymbols } from '../symbols.ts';
import { lengthOf, type Arena, type ArenaGroup } from './arena.ts';
import type { Draft } from './draft.ts';

export interface Updated {
  readonly values: readonly Value[];
  readonly outputs: readonly EntryOutput[];
}

const stateSegment = (group: number, name: string): string => `state.${group}.${name}`;
const stateLength = (o: OptimizerPlan['state'][number], g: ArenaGroup): number => (o.like === 'param' ? g.length : 1);

export function stateSegments(arena: Arena, o: OptimizerPlan): Segment[][] {
  return arena.groups.map((group, g) =>
    o.state.map((s) => ({ name: stateSegment(g, s.name), role: 'state', elem: s.elem, length: stateLength(s, group) })),
  );
}

/** New parameters and state of every group. Gradients come flat, one per group. */
export function updateGroups(d: Draft, block: Elaborated, arena: Arena, flat: readonly Value[]): Updated {
  const train = block.train!;
  const o = train.optimizer;
  const b = d.b;
  let grads = flat;
  const { clipValue, clipNorm } = train;
  if (clipValue !== null) grads = grads.map((g) => clipByValue(b, g, clipValue));
  if (clipNorm !== null) grads = clipByNorm(b, grads, clipNorm);
  const factor = train.schedule
    ? d.call(train.schedule, [d.input({ role: 'step' }, tensor('i32', []), 'step')])[0]!
    : null;

  const values: Value[] = [];
  const outputs: EntryOutput[] = [];
  arena.groups.forEach((group, g) => {
    const floats = o.floats.map((f) => {
      const v = d.input({ role: 'hyper', group: g, name: f.name }, tensor('f32', []), `${f.name}_${g}`);
      return f.name === 'lr' && factor ? b.one('mul', [v, factor]) : v;
    });
    const state = o.state.map((s) => {
      const name = stateSegment(g, s.name);
      const seg = d.input({ role: 'segment', segment: name }, tensor(s.elem, [stateLength(s, group)]), name);
      return s.like === 'param' ? seg : b.one('reshape', [seg], { shape: [] });
    });
    const next = updateGroup(d, block, o, group, grads[g]!, state, floats);
    [group.params, ...o.state.map((s) => stateSegment(g, s.name))].forEach((segment, i) => {
      values.push(asSegment(b, next[i]!));
      outputs.push({ role: 'segment', segment });
    });
  });
  return { values, outputs };
}

/** (p', state'...) of a group: one call over the flat arena where the optimizer is elementwise, else tensor by tensor. */
function updateGroup(
  d: Draft,
  block: Elaborated,
  o: OptimizerPlan,
  group: ArenaGroup,
  grad: Value,
  state: readonly Value[],
  floats: readonly Value[],
): readonly Value[] {
  if (o.flat) return d.call(o.flat, [d.segment(group.params), grad, ...state, ...floats]);
  const steps: (readonly Value[])[] = [];
  let offset = 0;
  for (const index of group.tensors) {
    const { shape } = block.tensors[index]!.type;
    const at = (v: Value): Value => d.b.one('view', [v], { offset: dim(offset), shape });
    const own = state.map((s, i) => (o.state[i]!.like === 'param' ? at(s) : s));
    const func = o.byShape[shape.map((s) => s.key).join('x')];
    if (func === undefined) throw new Error(`${o.name} has no step for [${shape.join(', ')}]`);
    steps.push(d.call(func, [d.tensor(index), at(grad), ...own, ...floats]));
    offset += lengthOf(block.tensors[index]!);
  }
  const [first = []] = steps;
  // A scalar state advances once for the group: every tensor's step computes the same value.
  return first.map((v, i) =>
    i > 0 && o.state[i - 1]!.like === 'scalar'
      ? v
      : d.b.one(
          'pack',
          steps.map((p) => p[i]!),
        ),
  );
}

/** First values of the state. Apart from `init`: a model that only infers pays for no optimizer. */
export function initialState(d: Draft, arena: Arena, o: OptimizerPlan, funcs: ReadonlyMap<string, Func>): Updated {
  const values: Value[] = [];
  const outputs: EntryOutput[] = [];
  arena.groups.forEach((group, g) =>
    o.state.forEach((s) => {
      const { body } = funcs.get(s.init)!;
      // No operand could bind the length: the result does.
      const made = body.results[0]!.type;
      const env = s.like === 'param' ? bindSymbols([made], [tensor(s.elem, [group.length])]) : new Map<string, never>();
      const copy = cloneRegion(body, new Map(), env);
      d.b.ops.push(...copy.ops);
      values.push(asSegment(d.b, copy.results[0]!));
      outputs.push({ role: 'segment', segment: stateSegment(g, s.name) });
    }),
  );
  return { values, outputs };
}

const asSegment = (b: IrBuilder, v: Value): Value =>
  v.type.shape.length === 0 ? b.one('reshape', [v], { shape: [dim(1)] }) : v;

function clipByValue(b: IrBuilder, g: Value, limit: number): Value {
  return b.one('minimum', [b.one('maximum', [g, b.constant(-limit)]), b.constant(limit)]);
}

/** torch.nn.utils.clip_grad_norm_: scale by min(1, limit / (norm + 1e-6)), one norm over all groups. */
function clipByNorm(b: IrBuilder, grads: readonly Value[], limit: number): Value[] {
  const squares = grads.map((g) => b.one('sum', [b.one('mul', [g, g])], { axes: [0], keepdims: false }));
  const norm = b.one('sqrt', [squares.reduce((x, y) => b.one('add', [x, y]))]);
  const scale = b.one('div', [b.constant(limit), b.one('add', [norm, b.constant(1e-6)])]);
  const coef = b.one('minimum', [scale, b.constant(1)]);
  return grads.map((g) => b.one('mul', [g, coef]));
}
