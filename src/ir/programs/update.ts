/** The optimizer's update, group by group over the arena. */
import type { Elaborated, OptimizerPlan, StepFunc } from '../../check/elaborated.ts';
import type { NumberExpr } from '../../runtime/artifact.ts';
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
    const known = new Map<string, Value>();
    const number = (n: NumberExpr): Value => {
      const key = JSON.stringify(n);
      let v = known.get(key);
      if (!v) {
        v = d.input(
          { role: 'hyper', group: g, number: n },
          tensor('f32', []),
          `${typeof n === 'string' ? n : 'number'}_${g}`,
        );
        if (n === 'lr' && factor) v = d.b.one('mul', [v, factor]);
        known.set(key, v);
      }
      return v;
    };
    const segments = state[g]!.optimizer;
    const own = segments.map((name, i) => (optimizer.state[i]!.like === 'param' ? d.segment(name) : d.scalar(name)));
    const next = updateGroup(d, block, optimizer, group, grads[g]!, own, number);
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
  number: (n: NumberExpr) => Value,
): readonly Value[] {
  const call = (step: StepFunc, operands: readonly Value[]): readonly Value[] =>
    d.call(step.func, [...operands, ...step.numbers.map(number)]);
  if (o.flat) return call(o.flat, [d.segment(group.params), grad, ...state]);
  const steps: (readonly Value[])[] = [];
  let offset = 0;
  for (const index of group.tensors) {
    const { shape } = block.tensors[index]!.type;
    const at = (v: Value): Value => d.b.one('view', [v], { offset: dim(offset), shape });
    const own = state.map((s, i) => (o.state[i]!.like === 'param' ? at(s) : s));
    const step = o.byShape[shape.map((s) => s.key).join('x')];
    if (step === undefined) throw new Error(`${o.name} has no step for [${shape.join(', ')}]`);
    steps.push(call(step, [d.tensor(index), at(grad), ...own]));
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
