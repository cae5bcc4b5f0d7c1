/** Before grouping: whole ops that are computations on rows are written out, so that their parts fuse with what is around them. */
import { IrBuilder } from '../builder.ts';
import { product, same } from '../dim.ts';
import type { Op, Region, Value } from '../ir.ts';
import { flag, ints2, ints4, numOrNull } from '../ops/attrs.ts';
import { opDef } from '../ops/table.ts';

/** An op to be grouped, and the op of the program that it is a part of. */
export interface Part {
  readonly op: Op;
  readonly source: Op;
}

/** The parts in order, and where the values of expanded ops went. */
export function expandWhole(ops: readonly Op[]): { parts: readonly Part[]; renamed: ReadonlyMap<Value, Value> } {
  const parts: Part[] = [];
  const renamed = new Map<Value, Value>();
  for (const old of ops) {
    const op = renameUses(old, renamed);
    const b = new IrBuilder(op.origin);
    const results = expansion(b, op);
    if (!results) {
      parts.push({ op, source: op });
      continue;
    }
    for (const part of b.ops) parts.push({ op: part, source: op });
    old.results.forEach((v, i) => renamed.set(v, results[i]!));
  }
  return { parts, renamed };
}

/** Uses in the op and in its regions, which see the values around them; fusions in there are closed. */
function renameUses(op: Op, renamed: ReadonlyMap<Value, Value>): Op {
  if (renamed.size === 0) return op;
  const rename = (v: Value): Value => renamed.get(v) ?? v;
  const inside = (r: Region): Region => ({
    params: r.params,
    ops: r.ops.map((o) => renameUses(o, renamed)),
    results: r.results.map(rename),
  });
  const regions = op.kind === 'fusion' ? op.regions : op.regions.map(inside);
  return { ...op, operands: op.operands.map(rename), regions };
}

function expansion(b: IrBuilder, op: Op): readonly Value[] | null {
  const { lower } = opDef(op.kind);
  if (lower.kind === 'rowwise') return lower.decompose(b, op);
  switch (op.kind) {
    case 'avg_pool2d':
      return coversAll(op) ? [meanOfPlanes(b, op)] : null;
    case 'adaptive_avg_pool2d':
      return op.results[0]!.type.shape.slice(2).every((d) => d.value === 1) ? [meanOfPlanes(b, op)] : null;
    case 'adaptive_avg_pool2d_grad':
      return op.operands[0]!.type.shape.slice(2).every((d) => d.value === 1) ? [spreadOverPlanes(b, op)] : null;
    default:
      return null;
  }
}

/** One window over the whole input, with the plain mean. */
function coversAll(op: Op): boolean {
  const [k, pad] = [ints2(op.attrs, 'kernel'), ints4(op.attrs, 'padding')];
  const planes = op.operands[0]!.type.shape.slice(2);
  return (
    numOrNull(op.attrs, 'divisor') === null &&
    !flag(op.attrs, 'ceil') &&
    pad.every((p) => p === 0) &&
    planes.every((d, i) => same(d, k[i]!))
  );
}

function countOf(b: IrBuilder, x: Value, elem: Value['type']['elem']): Value {
  const n = product(x.type.shape.slice(2));
  return n.value !== null ? b.constant(n.value, elem) : b.one('cast', [b.one('size', [], { dim: n })], { elem });
}

function meanOfPlanes(b: IrBuilder, op: Op): Value {
  const x = op.operands[0]!;
  const total = b.one('sum', [x], { axes: [2, 3], keepdims: true });
  return b.one('div', [total, countOf(b, x, x.type.elem)]);
}

function spreadOverPlanes(b: IrBuilder, op: Op): Value {
  const dy = op.operands[0]!;
  const each = b.one('div', [dy, countOf(b, op.results[0]!, dy.type.elem)]);
  return b.one('broadcast_to', [each], { shape: op.results[0]!.type.shape });
}
