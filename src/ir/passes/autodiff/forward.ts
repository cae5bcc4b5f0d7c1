/** A fresh copy of a body for differentiation: ops whose gradient is that of their expansion are expanded on the way. */
import { IrBuilder } from '../../builder.ts';
import { cloneValue } from '../../clone.ts';
import type { Op, Region, Value } from '../../ir.ts';
import { opDef } from '../../ops/table.ts';

/** A region under construction: `ops` may be replaced. */
export interface Draft {
  readonly params: Value[];
  readonly ops: Op[];
  readonly results: Value[];
}

/** `map` sends the values of the region to those of the copy; values without an entry are of an enclosing scope. */
export function forwardCopy(region: Region, map: Map<Value, Value> = new Map()): Draft {
  const params = region.params.map((p) => cloneValue(p, map));
  const ops: Op[] = [];
  copyOps(region.ops, map, ops);
  return { params, ops, results: region.results.map((v) => map.get(v) ?? v) };
}

/** As `forwardCopy`, for ops alone: `map` may already send their region's parameters to something. */
export function copyOps(ops: readonly Op[], map: Map<Value, Value>, out: Op[]): void {
  for (const op of ops) {
    const operands = op.operands.map((v) => map.get(v) ?? v);
    const { grad } = opDef(op.kind);
    if ('decompose' in grad) {
      const b = new IrBuilder(op.origin);
      const results = grad.decompose(b, { ...op, operands });
      // The expansion's own values are fresh, but its ops may decompose in turn.
      const inner = new Map<Value, Value>();
      copyOps(b.ops, inner, out);
      op.results.forEach((r, i) => map.set(r, inner.get(results[i]!) ?? results[i]!));
      continue;
    }
    const regions = op.regions.map((r) => forwardCopy(r, map));
    out.push({ ...op, operands, regions, results: op.results.map((v) => cloneValue(v, map)) });
  }
}
