/** When a producer on another index space may be computed inside its reader. */
import { isReduction } from '../../codegen/rows.ts';
import { COSTLY } from './op-cost.ts';
import { sameButOnes } from '../../codegen/reshapes.ts';
import type { Op, Value } from '../ir.ts';
import { ints2 } from '../ops/attrs.ts';
import { opDef } from '../ops/table.ts';
import type { Cluster, FusionGraph } from './fuse-graph.ts';

/**
 * May `p`, on another index space, be computed wherever `c` asks for it? Only if nothing else needs it, and if `c` does not
 * ask for costly elements many times over. Scalars and what is constant along the innermost axis leave the inner loop.
 */
export function inlines(g: FusionGraph, p: Cluster, c: Cluster): boolean {
  if (g.exported(p).some((v) => (g.consumers.get(v) ?? []).some((n) => g.cluster(n) !== c) || g.results.has(v)))
    return false;
  const costly = p.nodes.some((n) => COSTLY.has(n.op.kind));
  const heavy = costly || p.nodes.length > 4;
  for (const n of c.nodes)
    for (const v of n.op.operands) {
      const from = g.producer.get(v);
      if (from && g.cluster(from) === p && repeats(n.op, v, p) && (heavy || isWindow(n.op))) return false;
    }
  return true;
}

const isWindow = (op: Op): boolean => op.kind.includes('pool2d');

/** Does the op read elements of the operand more than once, in a way that is not hoisted out of the inner loop? */
function repeats(op: Op, v: Value, p: Cluster): boolean {
  const isData = op.operands[0] === v;
  switch (op.kind) {
    case 'take':
      return isData;
    case 'max_pool2d':
    case 'avg_pool2d': {
      const [k, s] = [ints2(op.attrs, 'kernel'), ints2(op.attrs, 'stride')];
      return k[0] > s[0] || k[1] > s[1];
    }
    case 'max_pool2d_grad':
    case 'adaptive_avg_pool2d':
    case 'adaptive_avg_pool2d_grad':
      return true;
    case 'avg_pool2d_grad': {
      const [k, s] = [ints2(op.attrs, 'kernel'), ints2(op.attrs, 'stride')];
      return k[0] > s[0] || k[1] > s[1];
    }
    default: {
      const shape = v.type.shape;
      if (shape.every((d) => d.value === 1) || p.nodes.length === 0) return false;
      const stretched =
        op.results[0]!.type.shape.length > shape.length || !sameButOnes(shape, op.results[0]!.type.shape);
      const { lower } = opDef(op.kind);
      const broadcasts = lower.kind === 'elementwise' || op.kind === 'broadcast_to' || isReduction(op);
      return broadcasts && stretched && shape[shape.length - 1]!.value !== 1;
    }
  }
}
