/** Values and gradients of primitives against PyTorch 2.13 (test/reference/ops), each case written in a few ops. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { IrBuilder } from '../../src/ir/builder.ts';
import { dim } from '../../src/ir/dim.ts';
import { interpret } from '../../src/ir/interpret.ts';
import type { Attrs, Value } from '../../src/ir/ir.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';
import { ndarray } from '../../src/ir/ndarray.ts';
import { math } from '../../src/ir/ops/gradients.ts';
import { vjp } from '../../src/ir/passes/autodiff.ts';
import { func, moduleOf, typed } from '../support/op-func.ts';
import { readSafetensors } from '../support/safetensors.ts';

interface Reference {
  readonly name: string;
  readonly torch: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly outputs: readonly (readonly [string, readonly number[]])[];
  readonly grads: readonly string[];
  readonly noise_f32_vs_f64: { readonly out: readonly number[]; readonly grad: Readonly<Record<string, number>> };
}

const FOLDER = new URL('../reference/ops/', import.meta.url);
const { cases } = JSON.parse(readFileSync(new URL('cases.json', FOLDER), 'utf8')) as { cases: Reference[] };
const stored = readSafetensors(new URL('cases.safetensors', FOLDER).pathname);

type Inputs = Readonly<Record<string, Value>>;
type Build = (b: IrBuilder, x: Inputs, m: ReturnType<typeof math>) => Value;

const op =
  (kind: string, attrs: Attrs = {}, ...names: string[]): Build =>
  (b, x) =>
    b.one(kind, names.length === 0 ? Object.values(x) : names.map((n) => x[n]!), attrs);
const dims = (...sizes: number[]) => sizes.map((n) => dim(n));
const square = (n: number) => [n, n];
const around = (n: number) => [n, n, n, n];
const conv =
  (attrs: Attrs = {}): Build =>
  (b, x, m) =>
    m.add(b.one('conv2d', [x['x']!, x['w']!], attrs), channels(b, x['b']!));
const transposed =
  (input: number[], attrs: Attrs = {}): Build =>
  (b, x, m) => {
    const y = b.one('conv2d_input_grad', [x['x']!, x['w']!], { ...attrs, input: dims(...input) });
    return x['b'] ? m.add(y, channels(b, x['b'])) : y;
  };
const channels = (b: IrBuilder, v: Value): Value =>
  b.one('reshape', [v], { shape: [dim(1), v.type.shape[0]!, dim(1), dim(1)] });
const pool = (kind: string, kernel: number, stride: number, padding: number, extra: Attrs = {}): Build =>
  op(kind, { kernel: square(kernel), stride: square(stride), padding: around(padding), ...extra });
const mean = (b: IrBuilder, x: Value): Value => {
  const axes = x.type.shape.map((_, i) => i);
  const n = x.type.shape.reduce((p, d) => p * d.value!, 1);
  return b.one('mul', [b.one('sum', [x], { axes }), b.constant(1 / n)]);
};
const normed =
  (axes: readonly number[], param: readonly number[] | null, eps = 1e-5): Build =>
  (b, { x, w, b: bias }, m) => {
    const [mu, v] = b.emit('moments', [x!], { axes, keepdims: true }) as readonly [Value, Value];
    let y = m.mul(m.sub(x!, mu), b.one('rsqrt', [m.add(v, eps)]));
    const as = (p: Value): Value => (param ? b.one('reshape', [p], { shape: dims(...param) }) : p);
    if (w) y = m.mul(y, as(w));
    return bias ? m.add(y, as(bias)) : y;
  };

/** The reference cases that primitives make in a few steps; the rest is the standard library's to test. */
const BUILD: Readonly<Record<string, Build>> = {
  act_tanh: op('tanh'),
  act_sigmoid: op('sigmoid'),
  act_prelu: (b, { x, a }, m) => {
    const slope = b.one('reshape', [a!], { shape: dims(3, 1) });
    return m.select(m.gt(x!, 0), x!, m.mul(x!, slope));
  },
  un_expm1: op('expm1'),
  un_sin: op('sin'),
  un_tan: (_b, { x }, m) => m.div(m.sin(x!), m.cos(x!)),
  un_erf: op('erf'),
  un_abs: op('abs'),
  un_neg: op('neg'),
  un_square: (_b, { x }, m) => m.mul(x!, x!),
  un_sign: op('sign'),
  un_floor: op('floor'),
  un_ceil: op('ceil'),
  un_round: op('round'),
  un_trunc: op('trunc'),
  un_sqrt: op('sqrt'),
  un_reciprocal: (_b, { x }, m) => m.div(1, x!),
  un_log10: (_b, { x }, m) => m.mul(m.log(x!), Math.LOG10E),
  un_clamp: (_b, { x }, m) => {
    const low = m.select(m.lt(x!, -0.5), -0.5, x!);
    return m.select(m.gt(low, 0.5), 0.5, low);
  },
  bin_sub: op('sub', {}, 'a', 'b'),
  bin_mul: op('mul', {}, 'a', 'b'),
  bin_div: op('div', {}, 'a', 'b'),
  bin_pow: op('pow', {}, 'a', 'b'),
  bin_pow2: (_b, { a }, m) => m.pow(a!, 2),
  bin_pow_neg_base_int: (_b, { a }, m) => m.pow(a!, 3),
  bin_minimum: op('minimum', {}, 'a', 'b'),
  red_sum_d1: op('sum', { axes: [1] }),
  red_sum_keep: op('sum', { axes: [2], keepdims: true }),
  red_sum_all: op('sum', { axes: [0, 1] }),
  red_empty_sum: op('sum', { axes: [1] }),
  red_prod_d1: op('prod', { axes: [1] }),
  red_prod_keep: op('prod', { axes: [2], keepdims: true }),
  red_amax_keep: op('max', { axes: [2], keepdims: true }),
  red_logsumexp_d1: op('logsumexp', { axis: 1 }),
  red_logsumexp_keep: op('logsumexp', { axis: 2, keepdims: true }),
  red_mean_multi: (b, { x }) => b.emit('moments', [x!], { axes: [0, 2] })[0]!,
  red_var_pop: (b, { x }) => b.emit('moments', [x!], { axes: [1] })[1]!,
  red_argmax: op('argmax', { axis: 1 }),
  sm_softmax_big: op('softmax', { axis: 1 }),
  sm_log_softmax: op('log_softmax', { axis: 1 }),
  sm_log_softmax_big: op('log_softmax', { axis: 1 }),
  sm_softmin: (b, { x }, m) => b.one('softmax', [m.neg(x!)], { axis: 1 }),
  sm_masked: (b, { x, m: mask }, m) => b.one('softmax', [m.select(mask!, -Infinity, x!)], { axis: 1 }),
  inf_softmax: op('softmax', { axis: 0 }),
  nan_relu: op('relu'),
  loss_ce_none: op('cross_entropy', {}, 'x', 'y'),
  loss_ce_sum: (b, { x, y }, m) => m.sum(b.one('cross_entropy', [x!, y!]), [0], false),
  loss_ce_2d: (b, { x, y }) => mean(b, b.one('cross_entropy', [x!, y!])),
  bmm: op('matmul', {}, 'a', 'b'),
  bmm_bcast: op('matmul', {}, 'a', 'b'),
  linear: (b, { x, w, b: bias }, m) => m.add(b.one('matmul', [x!, w!], { transpose_b: true }), bias!),
  einsum_attn: op('matmul', { transpose_b: true }, 'a', 'b'),
  conv_basic: conv(),
  conv_stride2_pad1: conv({ stride: [2, 2], padding: around(1) }),
  conv_stride_asym: conv({ stride: [2, 3], padding: [1, 1, 0, 0] }),
  conv_dil2: conv({ dilation: [2, 2], padding: around(2) }),
  conv_depthwise: conv({ groups: 4, padding: around(1) }),
  conv_depthwise_s2_dil2: conv({ groups: 4, stride: [2, 2], dilation: [2, 2], padding: around(2) }),
  conv_same: conv({ padding: [1, 1, 0, 1] }),
  conv_5x5_pad2: conv({ padding: around(2) }),
  conv_k_gt_input: conv({ padding: around(1) }),
  conv_rect11: conv({ stride: [4, 4], padding: around(1) }),
  convt_basic: transposed([6, 7]),
  convt_dcgan: transposed([8, 8], { stride: [2, 2], padding: around(1) }),
  convt_outpad: transposed([8, 8], { stride: [2, 2], padding: around(1) }),
  convt_dil: transposed([8, 8], { dilation: [2, 2] }),
  convt_s3_asym: transposed([9, 9], { stride: [3, 2], padding: [1, 1, 0, 0] }),
  maxpool_2: pool('max_pool2d', 2, 2, 0),
  maxpool_3_2_1: pool('max_pool2d', 3, 2, 1),
  maxpool_dil: pool('max_pool2d', 2, 1, 0, { dilation: [2, 2] }),
  maxpool_ties: pool('max_pool2d', 2, 2, 0),
  maxpool_nan: pool('max_pool2d', 2, 2, 0),
  avgpool_2: pool('avg_pool2d', 2, 2, 0),
  avgpool_3_2_1: pool('avg_pool2d', 3, 2, 1),
  avgpool_nopadcount: pool('avg_pool2d', 3, 2, 1, { count_include_pad: false }),
  avgpool_ceil: pool('avg_pool2d', 3, 2, 1, { ceil: true }),
  avgpool_ceil_nopadcount: pool('avg_pool2d', 3, 2, 1, { ceil: true, count_include_pad: false }),
  adapt_avg_1: op('adaptive_avg_pool2d', { output: [1, 1] }),
  adapt_avg_35: op('adaptive_avg_pool2d', { output: [3, 5] }),
  bn_train: normed([0, 2, 3], [3, 1, 1]),
  ln: normed([2], null),
  ln_2d_noaffine: normed([1, 2], null),
  ln_large_mean: normed([1], null),
  inorm: normed([2, 3], [3, 1, 1]),
  emb: (b, { w, i }) => b.one('take', [w!, i!]),
  index_select: (b, { x, i }) => b.one('take', [x!, i!], { axis: 1 }),
  index_add: (b, { x, i, v }, m) => m.add(x!, b.one('scatter_add', [i!, v!], { size: dim(3) })),
  masked_fill: (_b, { x, m: mask }, m) => m.select(mask!, -9, x!),
  slice_step: op('slice', { start: dims(1, 0), stop: dims(4, 7), step: [1, 2] }),
  permute: op('transpose', { perm: [2, 0, 1] }),
  cat: op('concat', { axis: 1 }, 'a', 'b'),
  expand: (b, { x }) => b.one('broadcast_to', [x!], { shape: dims(3, 2, 4) }),
  sdpa_causal: op('attention', { causal: true }, 'q', 'k', 'v'),
};

const inputOf = (name: string, key: string): NdArray => {
  const s = stored.get(`${name}/in/${key}`)!;
  const elem = s.dtype === 'BOOL' ? 'bool' : s.dtype.startsWith('I') ? 'i32' : 'f32';
  return ndarray(elem, s.shape, s.data);
};

/** 1e-5 of the largest magnitude, or eight times what float32 costs PyTorch itself. */
function worstExcess(got: NdArray, want: ArrayLike<number>, noise: number): number {
  const values = Array.from(want);
  const scale = values.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0);
  const allowed = Math.max(1e-5 * scale, 8 * noise, 1e-30);
  return values.reduce((worst, v, i) => {
    const g = got.data[i]!;
    return Object.is(g, v) || g === v
      ? worst
      : Math.max(worst, Number.isNaN(g - v) ? Infinity : Math.abs(g - v) / allowed);
  }, 0);
}

test('every case that is built exists', (t) => {
  const known = new Set(cases.map((c) => c.name));
  t.deepEqual(
    Object.keys(BUILD).filter((name) => !known.has(name)),
    [],
  );
});

for (const c of cases) {
  const build = BUILD[c.name];
  if (!build) continue;
  test(`${c.name}: ${c.torch}`, (t) => {
    const names = Object.keys(c.inputs);
    const arrays = names.map((key) => inputOf(c.name, key));
    const params = arrays.map(typed);
    const cotangent = c.grads.length > 0 ? stored.get(`${c.name}/cot/0`) : undefined;
    const b = new IrBuilder();
    const y = build(b, Object.fromEntries(names.map((key, i) => [key, params[i]!])), math(b));
    const want = stored.get(`${c.name}/out/0`)!;
    const module = moduleOf(func('main', params, b.ops, [y]));
    const [got] = interpret(module, 'main', arrays);
    t.deepEqual([...got!.shape], [...want.shape]);
    t.true(worstExcess(got!, want.data, c.noise_f32_vs_f64.out[0]!) <= 1, `got ${got!.data.join(', ')}`);
    if (!cotangent) return;
    const weight = ndarray('f32', cotangent.shape, cotangent.data);
    const w = typed(weight);
    const axes = weight.shape.map((_, i) => i);
    const loss = b.one('sum', [b.one('mul', [y, w])], { axes });
    const made = vjp(
      moduleOf(func('loss', [...params, w], b.ops, [loss])),
      'loss',
      c.grads.map((g) => names.indexOf(g)),
    );
    const grads = interpret(made.module, made.func, [...arrays, weight]).slice(1);
    c.grads.forEach((g, i) => {
      const expected = stored.get(`${c.name}/grad/${g}`)!.data;
      const excess = worstExcess(grads[i]!, expected, c.noise_f32_vs_f64.grad[g]!);
      t.true(
        excess <= 1,
        `gradient of ${g}: ${grads[i]!.data.join(', ')} where PyTorch has ${Array.from(expected).join(', ')}`,
      );
    });
  });
}
