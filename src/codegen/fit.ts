/** Smaller fusions in place of one whose kernel would have too many arguments: they compute the same, to the bit. */
import { IrBuilder } from '../ir/builder.ts';
import type { Op, Region, Value } from '../ir/ir.ts';
import { fuseSmaller } from '../ir/passes/fuse.ts';

/** Ops whose kernels have fewer arguments each; null where there is nothing to take apart. */
export function smaller(op: Op, most: number): readonly Op[] | null {
  const region = joinInTurns(op.regions[0]!, most);
  for (let tensors = op.operands.length + op.results.length; tensors > 1;) {
    tensors = Math.ceil(tensors / 2);
    const { ops, results } = fuseSmaller(region, tensors);
    const pieces = ops.filter((o) => o.kind === 'fusion');
    if (pieces.length > 1) return inPlaceOf(op, { params: region.params, ops, results });
  }
  return null;
}

/** Tensors that are joined along an axis are joined in groups first, where one kernel would read too many. */
function joinInTurns(region: Region, most: number): Region {
  // What else the kernel is told: its result, and the sizes of any rank.
  const room = Math.max(2, most - 16);
  const ops = region.ops.flatMap((op) => {
    if (op.kind !== 'concat' || op.operands.length <= room) return [op];
    const b = new IrBuilder(op.origin);
    const groups: Value[] = [];
    for (let i = 0; i < op.operands.length; i += room)
      groups.push(b.one('concat', op.operands.slice(i, i + room), op.attrs));
    return [...b.ops, { ...op, operands: groups }];
  });
  return { ...region, ops };
}

/** The ops of a region, on the operands and results of the op that had it. */
function inPlaceOf(op: Op, region: Region): readonly Op[] {
  const known = new Map<Value, Value>();
  region.params.forEach((v, i) => known.set(v, op.operands[i]!));
  region.results.forEach((v, i) => known.set(v, op.results[i]!));
  const own = (v: Value): Value => known.get(v) ?? v;
  return region.ops.map((o) => ({ ...o, operands: o.operands.map(own), results: o.results.map(own) }));
}
