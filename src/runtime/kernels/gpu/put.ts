/** put on a GPU: an invocation replaces one element of the slice. The rest of the result is there before it runs. */
import * as K from '../../../codegen/builder.ts';
import type { KernelCall } from '../../../codegen/call.ts';
import { KernelArgs } from '../../../codegen/kernel-args.ts';
import { product } from '../../../ir/dim.ts';
import type { Op } from '../../../ir/ir.ts';
import { num } from '../../../ir/ops/attrs.ts';
import { coreOf, operandOf, originsOf } from '../region.ts';
import { eachIndex, volume } from './grid.ts';

/** The kernel of a `fusion {put}` op. */
export function putOnGrid(op: Op, name: string): KernelCall {
  const a = new KernelArgs();
  const { k } = a;
  const index = a.buffer(operandOf(op, 1), 'read', 'index');
  const slice = a.buffer(operandOf(op, 2), 'read', 'slice');
  const out = a.buffer(op.results[0]!, 'write', 'out');
  const axis = num(coreOf(op).attrs, 'axis');
  const { shape } = op.results[0]!.type;
  const before = a.sizeParam(product(shape.slice(0, axis)));
  const rows = a.sizeParam(shape[axis]!);
  const after = a.sizeParam(product(shape.slice(axis + 1)));
  eachIndex(a.scope, volume([before, after]), (at) => {
    const row = k.let(K.load(index, 0), 'row');
    k.if(K.and(K.ge(row, 0), K.lt(row, rows)), () => {
      const to = K.add(K.mul(K.add(K.mul(K.div(at, after), rows), row), after), K.rem(at, after));
      k.store(out, k.let(to, 'to'), K.load(slice, at));
    });
  });
  return a.finish(name, originsOf(op));
}
