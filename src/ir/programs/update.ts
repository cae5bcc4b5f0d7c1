/** The optimizer's update, group by group over the arena. */
import type { Elaborated, OptimizerPlan } from '../../check/elaborated.ts';
import { tensor } from '../builder.ts';
import { dim } from '../dim.ts';
import type { GroupState } from '../entry.ts';
import type { Value } from '../ir.ts';
import { lengthOf, type Arena, type ArenaGroup } from './arena.ts';
import type { Draft } from './draft.ts';
import { asSegment, UPDATES } from './state.ts';

/** A segment's content before and after. */
export interface Change {
  readonly segment: string;
  readonly old: Value;
  readonly next: Value;
}

/** New parameters and optimizer state of every group. Gradients come flat, one per group. */
export function updateGroups(
  d: Draft,
  block: Elaborated,
  arena: Arena,
  state: readonly GroupState[],
  grads: readonly Value[],
): Change[] {
  const { optimizer, schedule, scaler } = block.train!;
  // Where updates may be left out, only the device knows how many there were.
  const step = (): Value => (scaler ? d.scalar(UPDATES) : d.input({ role: 'step' }, tensor('i32', []), 'step'));
  const factor = schedule ? d.call(schedule, [step()])[0]! : null;
  return arena.groups.flatMap((group, g) => {
    const floats = optimizer.floats.map((f) => {
      const v = d.input({ role: 'hyper', group: g, name: f.name }, tensor('f32', []), `${f.name}_${g}`);
      return f.name === 'lr' && factor ? d.b.one('mul', [v, factor]) : v;
    });
    const segments = state[g]!.optimizer;
    const own = segments.map((name, i) => (optimizer.state[i]!.like === 'param' ? d.segment(name) : d.scalar(name)));
    const next = updateGroup(d, block, optimizer, group, grads[g]!, own, floats);
    return [group.params, ...segments].map((segment, i) => ({
      segment,
      old: d.segment(segment),
      next: asSegment(d.b, next[i]!),
    }));
  });
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
