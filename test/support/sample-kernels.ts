/** A matrix product, a row softmax and a convolution as kernel calls: what every printer must carry. */
import {
  add,
  bin,
  div,
  f32,
  KernelBuilder,
  load,
  mul,
  reduceLanes,
  rem,
  splat,
  sub,
} from '../../src/codegen/builder.ts';
import type { KernelCall, Target } from '../../src/codegen/call.ts';
import type { Kernel, KExpr } from '../../src/codegen/kernel.ts';
import { exp } from '../../src/codegen/math.ts';
import * as D from '../../src/ir/dim.ts';
import type { Value } from '../../src/ir/ir.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';
import { conv2dCalls, convSpec } from '../../src/runtime/kernels/conv.ts';
import { sourceOf, storeTo } from '../../src/runtime/kernels/epilogue.ts';
import { matmulCalls, matmulSpec } from '../../src/runtime/kernels/matmul.ts';
import { argOf, valueOf } from './run-kernels.ts';

export interface Sample {
  readonly name: string;
  readonly call: KernelCall;
  readonly inputs: readonly Value[];
  readonly output: Value;
}

/** Row softmax; exp is the polynomial that every target shares. */
export function softmaxKernel(lanes: number): Kernel {
  const k = new KernelBuilder();
  const x = k.buffer('x', 'f32');
  const out = k.buffer('out', 'f32', 'readwrite');
  const rows = k.scalar('rows');
  const cols = k.scalar('cols');
  const whole = k.let(sub(cols, rem(cols, lanes)), 'whole');
  k.for(0, rows, 1, (r) => {
    const base = k.let(mul(r, cols), 'base');
    const sweep = (vectors: (i: KExpr) => void, scalars: (i: KExpr) => void): void => {
      k.for(0, whole, lanes, (c) => vectors(k.let(add(base, c), 'at')));
      k.for(whole, cols, 1, (c) => scalars(k.let(add(base, c), 'at')));
    };
    const reduce = (op: 'max' | 'add', first: number, of: (i: KExpr, n: number) => KExpr): KExpr => {
      const wide = k.mutable(splat(f32(first), lanes), 'wide');
      const rest = k.mutable(f32(first), 'rest');
      sweep(
        (i) => k.set(wide, bin(op, wide, of(i, lanes))),
        (i) => k.set(rest, bin(op, rest, of(i, 1))),
      );
      return k.let(bin(op, reduceLanes(k, op, wide), rest), op);
    };
    const most = reduce('max', -Infinity, (i, n) => load(x, i, n));
    const total = reduce('add', 0, (i, n) => {
      const e = k.let(exp(k, k.let(sub(load(x, i, n), most))), 'e');
      k.store(out, i, e);
      return e;
    });
    const scale = (n: number) => (i: KExpr) => k.store(out, i, div(load(out, i, n), total));
    sweep(scale(lanes), scale(1));
  });
  return k.finish('softmax', [NO_ORIGIN]);
}

export function samples(target: Target): readonly Sample[] {
  const [a, b, c] = [valueOf('f32', 13, 21), valueOf('f32', 19, 21), valueOf('f32', 13, 19)];
  const matmul = matmulCalls(
    matmulSpec(a.type, b.type, false, true),
    sourceOf(argOf(a), 'f32', 'a'),
    sourceOf(argOf(b), 'f32', 'b'),
    storeTo(argOf(c)),
    target,
    [NO_ORIGIN],
  )[0]!;
  const [x, w, y] = [valueOf('f32', 2, 3, 9, 11), valueOf('f32', 7, 3, 3, 3), valueOf('f32', 2, 7, 5, 6)];
  const spec = convSpec(x.type, w.type, y.type, { stride: [2, 2], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 });
  const conv = conv2dCalls(
    spec,
    sourceOf(argOf(x), 'f32', 'x'),
    sourceOf(argOf(w), 'f32', 'w'),
    storeTo(argOf(y)),
    target,
    [NO_ORIGIN],
  )[0]!;
  const [s, t] = [valueOf('f32', 5, 23), valueOf('f32', 5, 23)];
  const softmax: KernelCall = {
    kernel: softmaxKernel(target.lanes),
    args: [argOf(s), argOf(t), { kind: 'size', size: D.dim(5) }, { kind: 'size', size: D.dim(23) }],
    inPlace: [],
    origin: NO_ORIGIN,
  };
  return [
    { name: 'matmul', call: matmul, inputs: [a, b], output: c },
    { name: 'softmax', call: softmax, inputs: [s], output: t },
    { name: 'conv2d', call: conv, inputs: [x, w], output: y },
  ];
}

export const sizeOfValue = (v: Value): number => v.type.shape.reduce((n, d) => n * d.value!, 1);

/** Numbers in [-1, 1), the same in every run. */
export function numbers(count: number, seed = 1): Float32Array {
  const out = new Float32Array(count);
  let h = seed >>> 0;
  for (let i = 0; i < count; i++) {
    h = (Math.imul(h, 1664525) + 1013904223) >>> 0;
    out[i] = (h >>> 8) / 2 ** 23 - 1;
  }
  return out;
}
