/** random_bits on a GPU: an invocation makes a run of sixteen elements, which is four whole blocks of the generator. */
import * as K from '../../../codegen/builder.ts';
import type { KernelCall } from '../../../codegen/call.ts';
import { KernelArgs } from '../../../codegen/kernel-args.ts';
import { philoxVectors, philoxWord } from '../../../codegen/random.ts';
import { product } from '../../../ir/dim.ts';
import type { Op } from '../../../ir/ir.ts';
import { originsOf } from '../region.ts';
import { ceilDiv, eachIndex } from './grid.ts';

const RUN = 16;

/** The kernel of a `fusion {random_bits}` op. */
export function randomBitsOnGrid(op: Op, name: string): KernelCall {
  const [key, out] = [op.operands[0]!, op.results[0]!];
  const a = new KernelArgs();
  const { k, scope: s } = a;
  const from = a.buffer(key, 'read', 'key');
  const sink = a.buffer(out, 'write', 'out');
  const n = a.sizeParam(product(out.type.shape));
  eachIndex(s, ceilDiv(n, RUN), (run) => {
    const [key0, key1] = [k.let(K.load(from, 0)), k.let(K.load(from, 1))];
    const first = k.let(K.mul(run, RUN), 'first');
    k.if(
      K.le(K.add(first, RUN), n),
      () => philoxVectors(k, key0, key1, first).forEach((words, i) => k.store(sink, k.let(K.add(first, 4 * i)), words)),
      () => k.for(first, n, 1, (i) => k.store(sink, i, philoxWord(k, key0, key1, i))),
    );
  });
  return a.finish(name, originsOf(op));
}
