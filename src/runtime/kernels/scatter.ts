/** scatter_add: slices are added one after the other in the order of the indices, so equal indices sum in a fixed order. */
import * as K from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import { product } from '../../ir/dim.ts';
import type { Op } from '../../ir/ir.ts';
import { num } from '../../ir/ops/attrs.ts';
import { vectorLoop } from './loops.ts';
import { originsOf } from './region.ts';

/** The kernel of a `fusion {scatter_add}` op. */
export function scatterAddKernel(op: Op, target: Target, name: string): KernelCall {
  const core = op.regions[0]!.ops[0]!;
  const place = (i: number): number => op.regions[0]!.params.indexOf(core.operands[i]!);
  const [indices, dy, out] = [op.operands[place(0)]!, op.operands[place(1)]!, op.results[0]!];
  const axis = num(core.attrs, 'axis');
  const shape = out.type.shape;

  const a = new KernelArgs();
  const { k, scope: s } = a;
  const from = a.buffer(indices, 'read', 'indices');
  const source = a.buffer(dy, 'read', 'dy');
  const sink = a.buffer(out, 'readwrite', 'out');
  const before = a.sizeParam(product(shape.slice(0, axis)));
  const rows = a.sizeParam(shape[axis]!);
  const inner = product(shape.slice(axis + 1));
  const after = a.sizeParam(inner);
  const count = a.sizeParam(product(indices.type.shape));
  const lanes = inner.value === 1 ? 1 : target.lanes;
  const zero = K.coerce(0, { elem: K.loadedElem(sink.elem), lanes: 1 });

  const total = s.share(K.mul(s.share(K.mul(before, rows)), after));
  vectorLoop(s, K.i32(0), total, target.lanes, 1, ([at]) =>
    k.store(sink, at!.base, K.splat(zero, at!.steps.length || 1)),
  );
  const add = (to: KExpr, at: KExpr, width: number): void =>
    k.store(sink, to, K.add(K.load(sink, to, width), K.load(source, at, width)));
  s.loop(0, before, 1, (p) =>
    s.loop(0, count, 1, (i) => {
      const row = k.let(K.load(from, i), 'row');
      s.if(K.and(K.ge(row, 0), K.lt(row, rows)), () => {
        const to = k.let(K.mul(K.add(K.mul(p, rows), row), after), 'to');
        const at = k.let(K.mul(K.add(K.mul(p, count), i), after), 'at');
        vectorLoop(s, K.i32(0), after, lanes, 1, ([q]) =>
          add(K.add(to, q!.base), K.add(at, q!.base), q!.steps.length || 1),
        );
      });
    }),
  );
  return a.finish(name, originsOf(op));
}
