/** Output shapes and arithmetic of every layer, read off the IR of one method. */
import type { Elaborated } from '../../check/elaborated.ts';
import { add, dim, product, substitute, type Dim } from '../../ir/dim.ts';
import type { Func, Op, Origin, Region, TensorType } from '../../ir/ir.ts';
import { opDef } from '../../ir/ops/table.ts';
import { bindSymbols, substituteType, type SymbolEnv } from '../../ir/symbols.ts';

export interface LayerCost {
  /** Results of the layer's (last) call, in the method's own symbols. */
  output: readonly TensorType[];
  /** Floating-point operations of the layer itself, without its children: 2 per multiply-add, 1 per element of other arithmetic. */
  flops: Dim;
  calls: number;
}

/** By layer path. A layer that is called twice has the arithmetic of both calls. */
export function layerCosts(block: Elaborated, method: string): Map<string, LayerCost> {
  const costs = new Map<string, LayerCost>();
  const m = block.methods.find((x) => x.name === method)!;
  const { body } = block.module.funcs.get(m.eval.func)!;
  const walk = new Walk(block.module.funcs, costs);
  walk.visit(body, '', new Map());
  walk.at('').output = body.results.map((r) => r.type);
  return costs;
}

class Walk {
  private readonly funcs: ReadonlyMap<string, Func>;
  private readonly costs: Map<string, LayerCost>;
  constructor(funcs: ReadonlyMap<string, Func>, costs: Map<string, LayerCost>) {
    this.funcs = funcs;
    this.costs = costs;
  }

  visit(region: Region, prefix: string, env: SymbolEnv): void {
    for (const op of region.ops) {
      const path = join(prefix, op.origin);
      const results = op.results.map((r) => substituteType(r.type, env));
      const cost = this.at(path);
      cost.output = results;
      if (op.kind === 'call') {
        const callee = this.funcs.get(String(op.attrs['callee']))!;
        const inner = bindSymbols(
          callee.body.params.map((p) => p.type),
          op.operands.map((o) => substituteType(o.type, env)),
        );
        this.visit(callee.body, path, inner);
        cost.output = results;
        cost.calls++;
      } else {
        cost.flops = add(cost.flops, flopsOf(op, env));
        for (const r of op.regions) this.visit(r, prefix, env);
      }
    }
  }

  at(path: string): LayerCost {
    let c = this.costs.get(path);
    if (!c) this.costs.set(path, (c = { output: [], flops: dim(0), calls: 0 }));
    return c;
  }
}

const join = (prefix: string, origin: Origin): string =>
  prefix === '' ? origin.path : origin.path === '' ? prefix : `${prefix}.${origin.path}`;

function flopsOf(op: Op, env: SymbolEnv): Dim {
  const size = (i: number): Dim => product(op.results[i]!.type.shape);
  const sub = (d: Dim): Dim => substitute(d, env);
  const shape = (i: number): readonly Dim[] => op.operands[i]!.type.shape;
  if (op.kind === 'matmul') {
    const a = shape(0);
    const k = a[a.length - (op.attrs['transpose_a'] ? 2 : 1)]!;
    return sub(product([2, size(0), k]));
  }
  if (op.kind === 'conv2d') return sub(product([2, size(0), ...shape(1).slice(1)]));
  if (op.kind === 'attention' || op.kind === 'attention_dropout') {
    const q = Number(op.kind === 'attention_dropout');
    return sub(product([4, ...shape(q), shape(q + 1).at(-2)!]));
  }
  const { lower } = opDef(op.kind);
  switch (lower.kind) {
    case 'elementwise':
      return op.kind === 'stop_gradient' || op.kind === 'cast' ? dim(0) : sub(size(0));
    case 'rowwise':
      return sub(product([4, ...shape(0)]));
    case 'family':
      return sub(product(shape(0)));
    default:
      return dim(0);
  }
}
