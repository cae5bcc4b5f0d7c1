/**
 * Random words. random_bits is a kernel of its own, because a whole run of sixteen elements costs as much as any four of
 * them: fused into what reads it, each element would throw three quarters of its block away. fold_in is one so that a
 * program has it once.
 */
import * as K from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import { philoxBlock, philoxFoldIn, philoxVectors, philoxWord } from '../../codegen/random.ts';
import { dim, product } from '../../ir/dim.ts';
import type { Op } from '../../ir/ir.ts';
import { num } from '../../ir/ops/attrs.ts';
import { originsOf } from './region.ts';

const RUN = 16;

/** The kernel of a `fusion {random_bits}` op. */
export function randomBitsKernel(op: Op, target: Target, name: string): KernelCall {
  const [key, out] = [op.operands[0]!, op.results[0]!];
  const a = new KernelArgs();
  const { k } = a;
  const from = a.buffer(key, 'read', 'key');
  const sink = a.buffer(out, 'write', 'out');
  const n = a.sizeParam(product(out.type.shape));
  const [key0, key1] = [k.let(K.load(from, 0)), k.let(K.load(from, 1))];
  const whole = k.let(K.bin('and', n, -RUN), 'whole');
  const run = (first: KExpr): void => {
    if (target.lanes > 1)
      philoxVectors(k, key0, key1, first).forEach((words, i) => k.store(sink, K.add(first, 4 * i), words));
    else
      k.for(0, 4, 1, (lane) => {
        const counter = k.let(K.bitcast(K.add(K.div(first, 4), lane), 'u32'));
        const at = k.let(K.add(first, lane));
        philoxBlock(k, key0, key1, counter, K.u32(0)).forEach((word, i) => k.store(sink, K.add(at, 4 * i), word));
      });
  };
  k.for(0, whole, RUN, run, 'parallel');
  k.for(whole, n, 1, (i) => k.store(sink, i, philoxWord(k, key0, key1, i)));
  return a.finish(name, originsOf(op));
}

/** The kernel of a `fusion {fold_in}` op. The number is an argument: a network folds many into one key. */
export function foldInKernel(op: Op, name: string): KernelCall {
  const core = op.regions[0]!.ops[0]!;
  const [key, number] = core.operands.map((v) => op.operands[op.regions[0]!.params.indexOf(v)]!);
  const a = new KernelArgs();
  const { k } = a;
  const from = a.buffer(key!, 'read', 'key');
  const data = number ? K.load(a.buffer(number, 'read', 'number'), 0) : a.sizeParam(dim(num(core.attrs, 'data')));
  const sink = a.buffer(op.results[0]!, 'write', 'out');
  const [key0, key1] = [k.let(K.load(from, 0)), k.let(K.load(from, 1))];
  const word = data.type.elem === 'u32' ? data : K.bitcast(data, 'u32');
  philoxFoldIn(k, key0, key1, k.let(word)).forEach((w, i) => k.store(sink, i, w));
  return a.finish(name, originsOf(op));
}
