/**
 * Rows that write slices at indices: scatter_add (onto zeros), index_add (onto x) and put (one slice, replaced). Slices go
 * one after the other in the order of the indices, so equal indices sum in a fixed order. The result of index_add and put
 * starts as x, which the linker copies or, where x is not needed again, leaves in place: then only slices are touched.
 */
import * as K from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { Coord } from '../../codegen/coord.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import { product } from '../../ir/dim.ts';
import type { Op, Value } from '../../ir/ir.ts';
import { num } from '../../ir/ops/attrs.ts';
import { vectorLoop } from './loops.ts';
import { coreOf, operandOf, originsOf } from './region.ts';
import { everybody } from './team.ts';

/** What the result of a fusion starts as: `source` for the rows that change a tensor, else null. */
export function startOf(op: Op): Value | null {
  return coreOf(op).kind === 'scatter_add' ? null : operandOf(op, 0);
}

/** The kernel of a fusion of one of these rows; the result holds what `startOf` says before it runs. */
export function scatterKernel(op: Op, target: Target, name: string): KernelCall {
  const core = coreOf(op);
  const fresh = core.kind === 'scatter_add';
  const [indices, slices] = fresh ? [operandOf(op, 0), operandOf(op, 1)] : [operandOf(op, 1), operandOf(op, 2)];
  const out = op.results[0]!;
  const axis = num(core.attrs, 'axis');
  const shape = out.type.shape;

  const a = new KernelArgs();
  const { k, scope: s } = a;
  const from = a.buffer(indices, 'read', 'indices');
  const source = a.buffer(slices, 'read', 'slices');
  const sink = a.buffer(out, 'readwrite', 'out');
  const before = a.sizeParam(product(shape.slice(0, axis)));
  const rows = a.sizeParam(shape[axis]!);
  const inner = product(shape.slice(axis + 1));
  const after = a.sizeParam(inner);
  const count = a.sizeParam(product(indices.type.shape));
  const lanes = inner.value === 1 ? 1 : target.lanes;

  if (fresh) {
    const zero = K.coerce(0, { elem: K.loadedElem(sink.elem), lanes: 1 });
    const total = s.share(K.mul(s.share(K.mul(before, rows)), after));
    const clear = ([at]: readonly Coord[]): void => k.store(sink, at!.base, K.splat(zero, at!.steps.length || 1));
    vectorLoop(s, K.i32(0), total, target.lanes, 1, clear, undefined, 'parallel');
  }
  const write = (to: KExpr, at: KExpr, width: number): void => {
    const v = K.load(source, at, width);
    k.store(sink, to, core.kind === 'put' ? v : K.add(K.load(sink, to, width), v));
  };
  // A thread has its part of every slice: each element sums in the order of the indices.
  const { from: first, to: end } = everybody(k).share(k, 0, after, lanes);
  s.loop(0, before, 1, (p) =>
    s.loop(0, count, 1, (i) => {
      const row = k.let(K.load(from, i), 'row');
      s.if(K.and(K.ge(row, 0), K.lt(row, rows)), () => {
        const to = k.let(K.mul(K.add(K.mul(p, rows), row), after), 'to');
        const at = k.let(K.mul(K.add(K.mul(p, count), i), after), 'at');
        const part = ([q]: readonly Coord[]): void =>
          write(K.add(to, q!.base), K.add(at, q!.base), q!.steps.length || 1);
        vectorLoop(s, first, end, lanes, 1, part, lanes);
      });
    }),
  );
  return a.finish(name, originsOf(op));
}
