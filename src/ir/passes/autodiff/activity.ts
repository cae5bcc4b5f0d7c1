/** Which values depend on what is differentiated: gradients are made for no others. */
import type { ElemType, Module, Op, Region, Value } from '../../ir.ts';

const FLOATS: ReadonlySet<ElemType> = new Set<ElemType>(['f32', 'f16', 'bf16']);
export const isFloat = (v: Value): boolean => FLOATS.has(v.type.elem);

/** Per function and set of active parameters the analysis runs once. */
export class Activity {
  private readonly funcs: Module['funcs'];
  private readonly known = new Map<string, readonly boolean[]>();

  constructor(funcs: Module['funcs']) {
    this.funcs = funcs;
  }

  /** Adds to `active` every float that the ops make out of active values. */
  mark(ops: readonly Op[], active: Set<Value>): void {
    for (const op of ops) this.op(op, active);
  }

  private op(op: Op, active: Set<Value>): void {
    switch (op.kind) {
      case 'call': {
        const flows = this.callee(
          String(op.attrs['callee']),
          op.operands.map((v) => active.has(v)),
        );
        op.results.forEach((r, i) => flows[i] && active.add(r));
        return;
      }
      case 'if':
        for (const r of op.regions) {
          this.mark(r.ops, active);
          markWhere(op.results, r.results, active);
        }
        return;
      case 'for':
      case 'while':
        this.loop(op, op.regions.at(-1)!, op.kind === 'for' ? 1 : 0, active);
        return;
      default: {
        // What is float and not differentiable stays active: to reach it on the way back is a fault, not a silent zero.
        if (op.kind === 'stop_gradient') return;
        if (op.operands.some((v) => active.has(v))) for (const r of op.results) if (isFloat(r)) active.add(r);
      }
    }
  }

  /** A carry is active when it enters so or becomes so in any iteration. */
  private loop(op: Op, body: Region, first: number, active: Set<Value>): void {
    const carry = body.params.slice(first);
    markWhere(carry, op.operands, active);
    for (let before = -1; before !== countIn(carry, active);) {
      before = countIn(carry, active);
      this.mark(body.ops, active);
      markWhere(carry, body.results, active);
    }
    markWhere(op.results, carry, active);
  }

  /** Which results of the function are active when these parameters are. */
  callee(name: string, mask: readonly boolean[]): readonly boolean[] {
    const key = `${mask.map(Number).join('')} ${name}`;
    let flows = this.known.get(key);
    if (!flows) {
      const body = this.funcs.get(name)!.body;
      const active = new Set(body.params.filter((p, i) => mask[i] && isFloat(p)));
      if (active.size > 0) this.mark(body.ops, active);
      flows = body.results.map((r) => active.has(r));
      this.known.set(key, flows);
    }
    return flows;
  }
}

function markWhere(targets: readonly Value[], sources: readonly Value[], active: Set<Value>): void {
  targets.forEach((t, i) => isFloat(t) && active.has(sources[i]!) && active.add(t));
}

const countIn = (values: readonly Value[], set: ReadonlySet<Value>): number =>
  values.reduce((n, v) => n + Number(set.has(v)), 0);
