/** Winograd's convolution against float64: within the bound that its sums have in theory, and as near as the direct form. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { KernelCall, Target } from '../../src/codegen/call.ts';
import * as D from '../../src/ir/dim.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';
import { PAIRED_WASM, WASM } from '../../src/codegen/targets.ts';
import { convolution } from '../../src/runtime/kernels/conv-forward.ts';
import { convInputGrad } from '../../src/runtime/kernels/conv-input.ts';
import { tileSizes } from '../../src/runtime/kernels/conv-tile.ts';
import { conv2dInputGradView, conv2dView, convSpec, type ConvSpec } from '../../src/runtime/kernels/conv.ts';
import { sourceOf, storeTo } from '../../src/runtime/kernels/epilogue.ts';
import { winograd, winogradForward, winogradInputGrad } from '../../src/runtime/kernels/winograd.ts';
import { argOf, prepare, valueOf } from '../support/run-kernels.ts';
import { numbers } from '../support/sample-kernels.ts';

interface Shape {
  readonly batch: number;
  readonly depth: number;
  readonly channels: number;
  readonly size: readonly [number, number];
  readonly padding: readonly [number, number, number, number];
}

const PLAIN: Shape = { batch: 1, depth: 5, channels: 7, size: [8, 8], padding: [1, 1, 1, 1] };

type Matrix = readonly (readonly number[])[];
const INPUT: Matrix = [
  [1, 0, -1, 0],
  [0, 1, 1, 0],
  [0, -1, 1, 0],
  [0, 1, 0, -1],
];
const FILTER: Matrix = [
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
];
const OUTPUT: Matrix = [
  [1, 1, 1, 0],
  [0, 1, -1, -1],
];
const absolute = (m: Matrix): Matrix => m.map((r) => r.map(Math.abs));
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((r) => b[0]!.map((_, j) => r.reduce((s, v, i) => s + v * b[i]![j]!, 0)));
const turned = (m: Matrix): Matrix => m[0]!.map((_, j) => m.map((r) => r[j]!));
const around = (m: Matrix, x: Matrix): Matrix => product(product(m, x), turned(m));

/** Of `count` blocks of numbers, each transformed on both sides: absolute values. */
function transformed(m: Matrix, data: ArrayLike<number>, side: number, count: number): Float64Array {
  const out = new Float64Array(count * 16);
  for (let i = 0; i < count; i++) {
    const block = Array.from({ length: side }, (_, r) =>
      Array.from({ length: side }, (_v, c) => Math.abs(data[(i * side + r) * side + c]!)),
    );
    out.set(around(absolute(m), block).flat(), i * 16);
  }
  return out;
}

/** Float64: the convolution of x with w, and what its tiles' sums of absolute values are. */
function reference(s: ConvSpec, x: Float32Array, w: Float32Array): { want: Float64Array; sizes: Float64Array } {
  const { batch, inChannels, outChannels, height, width, outHeight, outWidth } = s;
  const all = [batch, inChannels, outChannels, height, width, outHeight, outWidth].map((d) => d.value!);
  const [images, depth, channels, h, wd, oh, ow] = all as [number, number, number, number, number, number, number];
  const [want, sizes] = [new Float64Array(images * channels * oh * ow), new Float64Array(images * channels * oh * ow)];
  const filters = transformed(FILTER, w, 3, channels * depth);
  const tile = new Float64Array(depth * 16);
  for (let n = 0; n < images; n++)
    for (let ty = 0; ty < oh; ty += 2)
      for (let tx = 0; tx < ow; tx += 2) {
        for (let i = 0; i < tile.length; i++) {
          const [c, y, xx] = [i >> 4, ty + ((i >> 2) & 3) - s.padding[0], tx + (i & 3) - s.padding[2]];
          const inside = y >= 0 && y < h && xx >= 0 && xx < wd;
          tile[i] = inside ? x[((n * depth + c) * h + y) * wd + xx]! : 0;
        }
        const places = transformed(INPUT, tile, 4, depth);
        for (let o = 0; o < channels; o++) {
          const sums = new Float64Array(16);
          for (let i = 0; i < tile.length; i++) sums[i & 15]! += places[i]! * filters[o * tile.length + i]!;
          const bounds = around(
            absolute(OUTPUT),
            [0, 1, 2, 3].map((r) => [...sums.subarray(4 * r, 4 * r + 4)]),
          );
          for (const y of [0, 1])
            for (const xx of [0, 1]) {
              if (ty + y >= oh || tx + xx >= ow) continue;
              let sum = 0;
              for (let i = 0; i < 9 * depth; i++) {
                const [c, tap] = [Math.floor(i / 9), i % 9];
                sum += w[o * depth * 9 + i]! * tile[c * 16 + (y + Math.floor(tap / 3)) * 4 + xx + (tap % 3)]!;
              }
              const place = ((n * channels + o) * oh + ty + y) * ow + tx + xx;
              want[place] = sum;
              sizes[place] = bounds[y]![xx]!;
            }
        }
      }
  return { want, sizes };
}

interface Errors {
  /** The largest error as a part of its bound, and the root of the mean square of all. */
  readonly worst: number;
  readonly mean: number;
}

const sizeOf = (...shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Runs the forward pass or the input gradient, in both forms. */
function errors(
  g: Shape,
  kind: 'forward' | 'gradient',
  target: Target,
  symbolic = false,
): { fast: Errors; direct: Errors } {
  const [h, w] = g.size;
  const [oh, ow] = [h + g.padding[0] + g.padding[1] - 2, w + g.padding[2] + g.padding[3] - 2];
  const env = new Map([['B', g.batch]]);
  const size = (name: string, value: number): D.DimLike => {
    env.set(name, value);
    return symbolic ? D.sym(name) : value;
  };
  const [x, weight, y] = [
    valueOf('f32', D.sym('B'), g.depth, size('H', h), size('W', w)),
    valueOf('f32', g.channels, g.depth, 3, 3),
    valueOf('f32', D.sym('B'), g.channels, size('OH', oh), size('OW', ow)),
  ];
  const attrs = { stride: [1, 1], padding: g.padding, dilation: [1, 1], groups: 1 } as const;
  const spec = convSpec(x.type, weight.type, y.type, attrs);
  const forward = kind === 'forward';
  const [from, to] = forward ? [x, y] : [y, x];
  const data = numbers(forward ? sizeOf(g.batch, g.depth, h, w) : sizeOf(g.batch, g.channels, oh, ow), 1);
  const weights = numbers(sizeOf(g.channels, g.depth, 9), 2);
  const run = (calls: readonly KernelCall[]): Float32Array => {
    const length = forward ? sizeOf(g.batch, g.channels, oh, ow) : sizeOf(g.batch, g.depth, h, w);
    const inputs = new Map([
      [from, data],
      [weight, weights],
      [to, new Float32Array(length).fill(NaN)],
    ]);
    const prepared = prepare(calls, inputs, env);
    prepared.run();
    return prepared.read(to);
  };
  const operands = [sourceOf(argOf(from)), sourceOf(argOf(weight)), storeTo(argOf(to))] as const;
  const fast = forward ? winogradForward(spec)! : winogradInputGrad(spec)!;
  const view = forward ? conv2dView(spec) : conv2dInputGradView(spec);
  const form = forward ? convolution : convInputGrad;
  const tile = tileSizes(D.dim(8), D.dim(64), target)[0].value;
  const got = run(winograd('conv', fast, view, ...operands, target, [NO_ORIGIN]));
  const plain = run([form(spec, ...operands, target, { ...tile, channelsOutside: false }, [NO_ORIGIN])]);
  const { want, sizes } = forward
    ? reference(known(spec, env), data, weights)
    : reference(...asForward(known(spec, env), g, weights, data));
  const depth = forward ? g.depth : g.channels;
  const measured = (result: Float32Array): Errors => {
    let [worst, squares] = [0, 0];
    want.forEach((v, i) => {
      const error = Math.abs(result[i]! - v);
      // Higham: n u times the sum of absolute values. Around `depth` products and sums stand 2 sums of a tile, 6 roundings of a
      // filter and 4 sums of the results.
      const part = error / ((depth + 13) * 2 ** -24 * sizes[i]! + 2 ** -140);
      if (!(part <= worst)) worst = Number.isNaN(part) ? Infinity : part;
      squares += error * error;
    });
    return { worst, mean: Math.sqrt(squares / want.length) };
  };
  return { fast: measured(got), direct: measured(plain) };
}

function known(s: ConvSpec, env: ReadonlyMap<string, number>): ConvSpec {
  const { batch, height, width, outHeight, outWidth } = s;
  const dims = Object.entries({ batch, height, width, outHeight, outWidth });
  return { ...s, ...Object.fromEntries(dims.map(([name, d]) => [name, D.dim(D.evaluate(d, env))])) };
}

/** The gradient as a convolution: in and out exchanged, the kernel turned around. */
function asForward(
  s: ConvSpec,
  g: Shape,
  weights: Float32Array,
  dy: Float32Array,
): [ConvSpec, Float32Array, Float32Array] {
  const turned = Float32Array.from(weights, (_, i) => {
    const [tap, o, c] = [i % 9, Math.floor(i / 9) % g.channels, Math.floor(i / 9 / g.channels)];
    return weights[(o * g.depth + c) * 9 + 8 - tap]!;
  });
  const { inChannels: outChannels, outChannels: inChannels, height: outHeight, width: outWidth } = s;
  const [top, , left] = s.padding;
  const sizes = { inChannels, outChannels, height: s.outHeight, width: s.outWidth, outHeight, outWidth };
  return [{ ...s, ...sizes, padding: [2 - top, 0, 2 - left, 0] }, dy, turned];
}

function check(t: ExecutionContext, shape: Partial<Shape>, targets: readonly Target[] = [WASM, PAIRED_WASM]): void {
  const g = { ...PLAIN, ...shape };
  for (const target of targets)
    for (const kind of ['forward', 'gradient'] as const)
      for (const symbolic of [false, true]) {
        const { fast } = errors(g, kind, target, symbolic);
        t.true(
          fast.worst <= 1,
          `${kind} ${symbolic ? 'symbolic ' : ''}${JSON.stringify(g)}: ${fast.worst} times the bound`,
        );
      }
}

test('sizes around the edges of tiles and vectors', (t) => {
  for (const n of [1, 2, 3, 4, 5, 7, 9, 15, 16, 17]) check(t, { size: [n, n] });
  check(t, { size: [3, 37] });
  check(t, { size: [37, 3] });
  check(t, { size: [1, 1] });
});

test('padding on each side, none, and more than the kernel reaches', (t) => {
  check(t, { padding: [0, 0, 0, 0] });
  check(t, { padding: [2, 1, 0, 2] });
  check(t, { padding: [4, 3, 5, 2] });
});

test('channels around the edges of register tiles', (t) => {
  for (const n of [1, 2, 4, 6, 8, 13]) check(t, { depth: n, channels: n });
  check(t, { depth: 1, channels: 40 });
  check(t, { depth: 40, channels: 1 });
});

test('blocks of images, blocks of rows, chunks of channels, and what is left of each', (t) => {
  check(t, { batch: 0 });
  check(t, { batch: 7, depth: 64, channels: 20, size: [4, 4] });
  check(t, { batch: 3, depth: 300, channels: 9, size: [7, 6] });
  check(t, { depth: 64, channels: 130, size: [23, 30] });
});

test('errors are those of the direct form', (t) => {
  for (const kind of ['forward', 'gradient'] as const) {
    const { fast, direct } = errors({ ...PLAIN, depth: 64, channels: 64, size: [28, 28] }, kind, WASM);
    t.log(kind, fast, direct);
    // Fewer products are summed one after the other, which is worth more than the sums around them: measured 0.6 times.
    t.true(fast.mean < direct.mean);
  }
});

test('what is not finite stays in its tiles, and large numbers are finite', (t) => {
  const [x, w, y] = [valueOf('f32', 1, 4, 8, 8), valueOf('f32', 4, 4, 3, 3), valueOf('f32', 1, 4, 8, 8)];
  const spec = convSpec(x.type, w.type, y.type, {
    stride: [1, 1],
    padding: [1, 1, 1, 1],
    dilation: [1, 1],
    groups: 1,
  });
  const run = (data: Float32Array): Float32Array => {
    const operands = [sourceOf(argOf(x)), sourceOf(argOf(w)), storeTo(argOf(y))] as const;
    const calls = winograd('conv', winogradForward(spec)!, conv2dView(spec), ...operands, WASM, [NO_ORIGIN]);
    const prepared = prepare(
      calls,
      new Map([
        [x, data],
        [w, numbers(144, 2).map((v) => v / 64)],
        [y, new Float32Array(256).fill(NaN)],
      ]),
    );
    prepared.run();
    return prepared.read(y);
  };
  const data = numbers(256, 1);
  data[2 * 8 + 3] = NaN;
  // Element (2, 3) is in the tiles of results 0 to 3 down and 2 to 5 across; 1 to 3 and 2 to 4 depend on it.
  run(data).forEach((v, i) => {
    const [row, col] = [(i >> 3) & 7, i & 7];
    const inside = row <= 3 && col >= 2 && col <= 5;
    const depends = row >= 1 && row <= 3 && col >= 2 && col <= 4;
    if (Number.isNaN(v) ? !inside : depends) t.fail(`result ${row}, ${col} is ${v}`);
  });
  const largest = Math.fround(2 ** 125);
  t.true(run(numbers(256, 1).map((v) => Math.sign(v) * largest)).every(Number.isFinite));
});
