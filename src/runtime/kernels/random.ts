/**
 * random_bits: a kernel of its own, because a whole run of sixteen elements costs as much as any four of them. Fused into
 * what reads it, each element would throw three quarters of its block away.
 */
import * as K from '../../codegen/builder.ts';
import type { KernelCall } from '../../codegen/call.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import { philoxVectors, philoxWord } from '../../codegen/random.ts';
import { product } from '../../ir/dim.ts';
import type { Op } from '../../ir/ir.ts';
import { originsOf } from './region.ts';

const RUN = 16;

/** The kernel of a `fusion {random_bits}` op. */
export function randomBitsKernel(op: Op, name: string): KernelCall {
  const [key, out] = [op.operands[0]!, op.results[0]!];
  const a = new KernelArgs();
  const { k } = a;
  const from = a.buffer(key, 'read', 'key');
  const sink = a.buffer(out, 'write', 'out');
  const n = a.sizeParam(product(out.type.shape));
  const [key0, key1] = [k.let(K.load(from, 0)), k.let(K.load(from, 1))];
  const whole = k.let(K.bin('and', n, -RUN), 'whole');
  k.for(0, whole, RUN, (first) =>
    philoxVectors(k, key0, key1, first).forEach((words, i) => k.store(sink, K.add(first, 4 * i), words)),
  );
  k.for(whole, n, 1, (i) => k.store(sink, i, philoxWord(k, key0, key1, i)));
  return a.finish(name, originsOf(op));
}
