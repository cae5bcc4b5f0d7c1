/** Expands ops that have no kernel of their own into ops that do (rows whose lowering is `decompose`). */
import { IrBuilder } from '../builder.ts';
import type { Module, Op, Region, Value } from '../ir.ts';
import { opDef } from '../ops/table.ts';

export function decompose(module: Module): Module {
  return { funcs: new Map([...module.funcs].map(([name, f]) => [name, { ...f, body: expand(f.body, new Map()) }])) };
}

function expand(region: Region, map: Map<Value, Value>): Region {
  const ops: Op[] = [];
  expandOps(region.ops, map, ops);
  return { params: region.params, ops, results: region.results.map((v) => map.get(v) ?? v) };
}

function expandOps(ops: readonly Op[], map: Map<Value, Value>, out: Op[]): void {
  for (const old of ops) {
    const op: Op = {
      ...old,
      operands: old.operands.map((v) => map.get(v) ?? v),
      regions: old.regions.map((r) => expand(r, map)),
    };
    const { lower } = opDef(op.kind);
    if (lower.kind !== 'decompose') {
      out.push(op);
      continue;
    }
    const b = new IrBuilder(op.origin);
    const results = lower.decompose(b, op);
    // An expansion may use ops that are expanded in turn.
    expandOps(b.ops, map, out);
    op.results.forEach((v, i) => map.set(v, map.get(results[i]!) ?? results[i]!));
  }
}
