/** Convolution and its gradients against the float64 reference: every attribute, odd sizes, sizes known at run time. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { KernelCall } from '../../src/codegen/call.ts';
import * as D from '../../src/ir/dim.ts';
import type { Value } from '../../src/ir/ir.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';
import { PAIRED_WASM, WASM } from '../../src/codegen/targets.ts';
import { conv2dCalls, conv2dInputGradCalls, conv2dWeightGradCalls, convSpec } from '../../src/runtime/kernels/conv.ts';
import { sourceOf, storeTo } from '../../src/runtime/kernels/epilogue.ts';
import { compare } from '../support/parity.ts';
import { argOf } from '../support/run-kernels.ts';
import { numbers } from '../support/sample-kernels.ts';

interface Geometry {
  readonly batch: number;
  readonly groups: number;
  readonly inPerGroup: number;
  readonly outPerGroup: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number, number, number];
  readonly dilation: readonly [number, number];
}

const PLAIN: Geometry = {
  batch: 2,
  groups: 1,
  inPerGroup: 3,
  outPerGroup: 7,
  size: [9, 11],
  kernel: [3, 3],
  stride: [1, 1],
  padding: [0, 0, 0, 0],
  dilation: [1, 1],
};

const outSize = (g: Geometry, axis: 0 | 1): number => {
  const padded = g.size[axis] + g.padding[2 * axis]! + g.padding[2 * axis + 1]!;
  return Math.floor((padded - g.dilation[axis] * (g.kernel[axis] - 1) - 1) / g.stride[axis]) + 1;
};

/** 'batch': only the batch is a symbol; 'all': sizes and channels too. */
function check(
  t: ExecutionContext,
  g: Geometry,
  symbols: 'batch' | 'all',
  data?: readonly Float32Array[],
  target = WASM,
): void {
  const [oh, ow] = [outSize(g, 0), outSize(g, 1)];
  const x = [g.batch, g.groups * g.inPerGroup, ...g.size];
  const w = [g.groups * g.outPerGroup, g.inPerGroup, ...g.kernel];
  const y = [g.batch, g.groups * g.outPerGroup, oh, ow];
  const attrs = { stride: g.stride, padding: g.padding, dilation: g.dilation, groups: g.groups };
  const env = new Map<string, number>([['B', g.batch]]);
  const symbol = (name: string, value: number): D.DimLike => {
    if (symbols === 'batch') return value;
    env.set(name, value);
    return D.sym(name);
  };
  const dims = (s: readonly number[]): readonly D.DimLike[] => {
    const [, c, h, wd] = s;
    if (s === x) return [D.sym('B'), symbol('C', c!), symbol('H', h!), symbol('W', wd!)];
    if (s === y) return [D.sym('B'), symbol('O', c!), symbol('OH', h!), symbol('OW', wd!)];
    return [symbol('O', s[0]!), symbols === 'batch' ? c! : D.div(D.sym('C'), g.groups), h!, wd!];
  };
  type Lower = (x: Value, w: Value, y: Value) => KernelCall[];
  const run = (
    kind: string,
    operands: readonly (readonly number[])[],
    extra: object,
    terms: number,
    lower: Lower,
  ): void => {
    const result = kind === 'conv2d' ? y : kind === 'conv2d_input_grad' ? x : w;
    const values = new Map<readonly number[], Value>();
    const { worst } = compare(
      {
        kind,
        shapes: operands,
        attrs: { ...attrs, ...extra },
        symbolic: (_, which) => dims(which === 'result' ? result : operands[which]!),
        symbols: env,
        terms,
        ...(data
          ? {
              data: operands.map((s, i) =>
                data[i]!.subarray(
                  0,
                  s.reduce((a, b) => a * b, 1),
                ),
              ),
            }
          : {}),
      },
      (ops, out) => {
        operands.forEach((s, i) => values.set(s, ops[i]!));
        values.set(result, out);
        return lower(values.get(x)!, values.get(w)!, values.get(y)!);
      },
      true,
    );
    if (!(worst <= 1)) t.fail(`${kind} ${symbols} ${JSON.stringify(g)}: ${worst} times the bound`);
  };
  dims(x);
  dims(y);
  const missing = (shape: readonly number[]): Value => ({
    type: { elem: 'f32', shape: dims(shape).map(D.dim) },
    hint: null,
  });
  const spec = (a?: Value, b?: Value, c?: Value) =>
    convSpec((a ?? missing(x)).type, (b ?? missing(w)).type, (c ?? missing(y)).type, attrs);
  const source = (v: Value) => sourceOf(argOf(v));
  const taps = g.kernel[0] * g.kernel[1];
  run('conv2d', [x, w], {}, g.inPerGroup * taps, (a, b, c) =>
    conv2dCalls(spec(a, b, c), source(a), source(b), storeTo(argOf(c)), target, [NO_ORIGIN]),
  );
  run('conv2d_input_grad', [y, w], { input: g.size.map(D.dim) }, g.outPerGroup * taps, (a, b, c) =>
    conv2dInputGradCalls(spec(a, b, c), source(c), source(b), storeTo(argOf(a)), target, [NO_ORIGIN]),
  );
  run('conv2d_weight_grad', [x, y], { kernel: g.kernel }, g.batch * oh * ow, (a, b, c) =>
    conv2dWeightGradCalls(spec(a, b, c), source(a), source(c), storeTo(argOf(b)), target, [NO_ORIGIN]),
  );
}

const both = (t: ExecutionContext, g: Partial<Geometry>): void => {
  check(t, { ...PLAIN, ...g }, 'batch');
  check(t, { ...PLAIN, ...g }, 'all');
  check(t, { ...PLAIN, ...g }, 'batch', undefined, PAIRED_WASM);
};

test('stride, padding on each side, dilation', (t) => {
  both(t, {});
  both(t, { stride: [2, 3] });
  both(t, { padding: [2, 1, 0, 3] });
  both(t, { dilation: [2, 3] });
  both(t, { stride: [3, 2], padding: [1, 2, 3, 0], dilation: [3, 2] });
  both(t, { inPerGroup: 4, stride: [3, 2], padding: [1, 2, 3, 0], dilation: [3, 2] });
  both(t, { kernel: [1, 1], stride: [2, 2] });
  t.pass();
});

test('padding wider than the kernel', (t) => {
  both(t, { padding: [4, 4, 5, 3] });
  t.pass();
});

test('groups, depthwise included', (t) => {
  both(t, { groups: 2, inPerGroup: 3, outPerGroup: 5 });
  both(t, { groups: 6, inPerGroup: 1, outPerGroup: 1 });
  both(t, { groups: 3, inPerGroup: 1, outPerGroup: 2 });
  both(t, { groups: 2, inPerGroup: 4, outPerGroup: 5, stride: [2, 1], padding: [1, 2, 0, 3] });
  t.pass();
});

test('sizes around the edges of tiles and vectors', (t) => {
  for (const n of [1, 3, 17]) both(t, { size: [n + 2, n + 2] });
  for (const c of [1, 2, 3, 4, 5, 6, 15, 16, 17]) both(t, { inPerGroup: c, outPerGroup: c });
  both(t, { size: [1, 65], kernel: [1, 5], batch: 3 });
  both(t, { size: [64, 1], kernel: [7, 1] });
  both(t, { size: [3, 3], batch: 1 });
  t.pass();
});

test('an empty batch: nothing, and a weight gradient of zeros', (t) => {
  both(t, { batch: 0 });
  t.pass();
});

test('many images: partial sums over several blocks', (t) => {
  both(t, { batch: 19, size: [6, 6], inPerGroup: 2, outPerGroup: 3 });
  both(t, { batch: 35, size: [6, 6], inPerGroup: 8, outPerGroup: 3 });
  t.pass();
});

// In the operand that is padded: a weight that is not finite also meets the zeros of the padding, as in any product.
test('NaN and infinities reach exactly the results that depend on them', (t) => {
  const data = [numbers(4000, 1), numbers(4000, 2)];
  data[0]![14] = NaN;
  data[0]![37] = Infinity;
  data[0]![60] = -Infinity;
  check(t, { ...PLAIN, padding: [1, 1, 1, 1] }, 'batch', data);
  check(t, { ...PLAIN, stride: [2, 2] }, 'all', data);
  t.pass();
});

test('random geometries', (t) => {
  const small = fc.integer({ min: 1, max: 3 });
  const pad = fc.integer({ min: 0, max: 3 });
  const geometry = fc
    .record({
      batch: fc.integer({ min: 1, max: 3 }),
      groups: fc.integer({ min: 1, max: 3 }),
      inPerGroup: fc.integer({ min: 1, max: 4 }),
      outPerGroup: fc.integer({ min: 1, max: 9 }),
      size: fc.tuple(fc.integer({ min: 1, max: 14 }), fc.integer({ min: 1, max: 14 })),
      kernel: fc.tuple(small, fc.integer({ min: 1, max: 5 })),
      stride: fc.tuple(small, small),
      padding: fc.tuple(pad, pad, pad, pad),
      dilation: fc.tuple(small, small),
    })
    .filter((g) => outSize(g, 0) > 0 && outSize(g, 1) > 0);
  fc.assert(
    fc.property(geometry, fc.constantFrom('batch', 'all'), (g, symbols) => check(t, g, symbols as 'batch' | 'all')),
    { numRuns: 150 },
  );
  t.pass();
});
