/** Walks ops backwards and emits their gradients: the heart of autodiff, for one body or region. */
import { IrBuilder } from '../../builder.ts';
import type { Op, Origin, TensorType, Value } from '../../ir.ts';
import { opDef } from '../../ops/table.ts';
import { bindSymbols, substituteType } from '../../symbols.ts';
import { value } from '../../builder.ts';
import type { Activity } from './activity.ts';
import { reverseIf } from './control.ts';
import { copyOps } from './forward.ts';
import { reverseFor } from './for.ts';
import { AutodiffFault } from './fault.ts';
import { sideBySide } from './side-by-side.ts';
import { reverseWhile } from './while.ts';

/** How a called function is differentiated for one set of active arguments and results. */
export interface Variant {
  /** (arguments...) -> (results..., saved...) */
  readonly forward: string;
  /** (passed arguments..., saved..., cotangents of the active results...) -> gradients of the arguments that have one. */
  readonly backward: string;
  /** Types of the callee's parameters, which bind its symbols. */
  readonly formal: readonly TensorType[];
  readonly saved: readonly TensorType[];
  readonly passed: readonly boolean[];
  readonly gradient: readonly boolean[];
}

export interface Variants {
  readonly activity: Activity;
  /** A `checkpoint` saves nothing: its backward runs all of the forward again. */
  variant(callee: string, inputs: readonly boolean[], outputs: readonly boolean[], checkpoint: boolean): Variant;
}

export class Reverse {
  /** Receives the backward ops. */
  readonly b: IrBuilder;
  /** The cotangent of each value so far. Contributions are added in the order in which the walk meets them. */
  readonly grads = new Map<Value, Value>();
  readonly variants: Variants;
  readonly active: Set<Value>;

  constructor(variants: Variants, active: Set<Value>, origin: Origin) {
    this.variants = variants;
    this.active = active;
    this.b = new IrBuilder(origin);
  }

  /** Makes the cotangent only where something active takes it. */
  seed(v: Value, make: () => Value): void {
    if (this.active.has(v)) this.accumulate(v, make());
  }

  accumulate(v: Value, g: Value | null | undefined): void {
    if (!g || !this.active.has(v)) return;
    const old = this.grads.get(v);
    this.grads.set(v, old ? plus(this.b, old, g) : g);
  }

  /** Calls among the ops are replaced by calls that keep residuals. */
  run(ops: Op[]): void {
    for (let i = ops.length - 1; i >= 0; i--) {
      const op = ops[i]!;
      const dys = op.results.map((r) => this.grads.get(r) ?? null);
      if (dys.every((dy) => dy === null)) continue;
      this.b.origin = op.origin;
      if (op.kind === 'call') ops[i] = this.call(op, dys);
      else if (op.kind === 'for') ops.splice(i, 1, ...reverseFor(this, op, dys));
      else if (op.kind === 'while') ops.splice(i, 1, ...reverseWhile(this, op, dys));
      else if (op.kind === 'if') reverseIf(this, op, dys);
      else if (op.kind === 'with_gradient') this.stated(op, dys);
      else this.rule(op, dys);
    }
  }

  /** For a region: the same active values, gradients of its own. */
  inner(): Reverse {
    return new Reverse(this.variants, this.active, this.b.origin);
  }

  private rule(op: Op, dys: readonly (Value | null)[]): void {
    const { grad } = opDef(op.kind);
    if (typeof grad !== 'function') throw new AutodiffFault(noGradient(op.kind), op.origin);
    const dxs = grad(this.b, op, dys);
    op.operands.forEach((v, i) => this.accumulate(v, dxs[i]));
  }

  /** A gradient that the source states: its region with the cotangents. */
  private stated(op: Op, dys: readonly (Value | null)[]): void {
    const region = op.regions[0]!;
    const map = new Map<Value, Value>(region.params.map((p, i) => [p, dys[i] ?? zeros(this.b, p.type)]));
    copyOps(region.ops, map, this.b.ops);
    op.operands
      .slice(op.results.length)
      .forEach((v, i) => this.accumulate(v, map.get(region.results[i]!) ?? region.results[i]!));
  }

  private call(op: Op, dys: readonly (Value | null)[]): Op {
    const v = this.variants.variant(
      String(op.attrs['callee']),
      op.operands.map((x) => this.active.has(x)),
      dys.map((dy) => dy !== null),
      op.attrs['checkpoint'] === true,
    );
    const types = op.operands.map((x) => x.type);
    const env = bindSymbols(v.formal, types);
    const saved = v.saved.map((t) => value(substituteType(t, env)));
    const wanted = op.operands.filter((_, i) => v.gradient[i]);
    const grads = this.b.emitTyped(
      'call',
      [...op.operands.filter((_, i) => v.passed[i]), ...saved, ...dys.filter((dy) => dy !== null)],
      { callee: v.backward },
      wanted.map((x) => x.type),
    );
    wanted.forEach((x, i) => this.accumulate(x, grads[i]));
    return { ...op, attrs: { callee: v.forward }, results: [...op.results, ...saved] };
  }
}

function noGradient(kind: string): string {
  const { grad } = opDef(kind);
  return `${kind} has no gradient${'notDifferentiable' in grad ? `: ${grad.notDifferentiable}` : ''}`;
}

/** sum + g. What was scattered for this alone is added to its slices only: a loop that reads a slice per turn stays linear. */
export function plus(b: IrBuilder, sum: Value, g: Value): Value {
  const made = b.ops.findLast((op) => op.results[0] === g);
  if (made?.kind !== 'scatter_add') return sideBySide(b, sum, g) ?? b.one('add', [sum, g]);
  return b.one('index_add', [sum, ...made.operands], { axis: made.attrs['axis']! });
}

export const zeros = (b: IrBuilder, t: TensorType): Value =>
  b.one('constant', [], { value: 0, elem: t.elem, shape: t.shape });
