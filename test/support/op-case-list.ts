/** The cases of rows whose inputs cannot be derived from a signature: shapes and attributes by op. */
import { dim } from '../../src/ir/dim.ts';
import type { Attr, Attrs } from '../../src/ir/ir.ts';
import type { OpKind } from '../../src/ir/ops/table.ts';
import type { Sample } from './op-cases.ts';

export interface Listed {
  readonly name?: string;
  readonly attrs?: Attrs;
  readonly inputs: readonly Sample[];
  readonly smooth?: false;
}

const x = (...shape: number[]): Sample => ({ shape });
const filled = (shape: readonly number[], data: readonly number[]): Sample => ({ shape, data });
const indices = (shape: readonly number[], n: number): Sample => ({ shape, elem: 'i32', range: [0, n] });
const at = (...data: number[]): Sample => ({ shape: [data.length], elem: 'i32', data });
const key: Sample = { shape: [2], elem: 'u32', data: [0x12345678, 0x9abcdef0] };
const c = (attrs: Attrs, ...inputs: Sample[]): Listed => ({ attrs, inputs });
const edge = (name: string, attrs: Attrs, ...inputs: Sample[]): Listed => ({ name, attrs, inputs, smooth: false });
const dims = (...sizes: number[]): Attr => sizes.map((n) => dim(n));

const ROWS = [3, 1, 17, 64, 65];

const reductions: readonly Listed[] = [
  ...ROWS.map((n) => c({ axes: [0] }, x(n))),
  c({ axes: [1], keepdims: true }, x(2, 3, 4)),
  c({ axes: [2] }, x(2, 3, 65)),
  c({ axes: [0, 2] }, x(2, 3, 4)),
  c({ axes: [2, 0], keepdims: true }, x(2, 3, 4)),
  c({ axes: [0, 1, 2] }, x(2, 3, 4)),
  c({ axes: [] }, x(2, 3)),
  c({ axes: [0] }, x(3, 0)),
  c({ axes: [1] }, { shape: [3, 5], elem: 'i32' }),
  edge('NaN and infinities', { axes: [1] }, filled([3, 3], [1, NaN, 2, Infinity, 3, -1, -Infinity, -2, 0])),
];
const empty = (name: string): Listed => edge(name, { axes: [1] }, x(3, 0));
const ties = edge('ties', { axes: [1] }, filled([2, 4], [1, 3, 3, 0, -1, -1, -1, -1]));

const positions: readonly Listed[] = [
  ...ROWS.map((n) => c({ axis: 0 }, x(n))),
  c({ axis: 1, keepdims: true }, x(2, 3, 4)),
  c({ axis: 2 }, x(2, 3, 65)),
  edge(
    'ties and NaN',
    { axis: 1 },
    filled([4, 4], [1, 3, 3, 0, 2, NaN, 9, NaN, -1, -1, -1, -1, 0, -Infinity, Infinity, Infinity]),
  ),
];

const extrema: readonly Listed[] = [
  ...ROWS.map((n) => c({ axis: 0 }, x(n))),
  c({ axis: 1 }, x(2, 5, 3)),
  c({ axis: 1, reverse: true }, x(2, 5, 3)),
  c({ axis: 1 }, x(2, 300)),
  c({ axis: 1 }, { shape: [2, 300], elem: 'i32', range: [-1000, 1000] }),
  c({ axis: 0 }, x(0, 3)),
  edge(
    'ties, NaN and infinities',
    { axis: 1 },
    filled([3, 4], [1, 1, 0, 1, -Infinity, 2, NaN, 3, 5, Infinity, -Infinity, 7]),
  ),
];

const rows: readonly Listed[] = [
  ...ROWS.map((n) => c({ axis: 0 }, x(n))),
  c({ axis: 1 }, x(2, 3, 4)),
  c({ axis: 2 }, x(2, 3, 65)),
  edge('big and masked', { axis: 1 }, filled([4, 3], [1000, 1001, 999, -1000, 0, 1000, -Infinity, 1, 2, 0, 0, 0])),
  edge('infinities and NaN', { axis: 1 }, filled([3, 3], [-Infinity, -Infinity, -Infinity, Infinity, 1, 2, NaN, 1, 2])),
];

const conv = (n: number, ci: number, h: number, w: number, co: number, kh: number, kw: number, extra: Attrs = {}) => {
  const attrs = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1, ...extra };
  const out = (size: number, k: number, axis: 0 | 1): number =>
    Math.floor(
      (size + attrs.padding[2 * axis]! + attrs.padding[2 * axis + 1]! - attrs.dilation[axis]! * (k - 1) - 1) /
        attrs.stride[axis]!,
    ) + 1;
  return {
    attrs,
    x: x(n, ci, h, w),
    w: x(co, ci / attrs.groups, kh, kw),
    dy: x(n, co, out(h, kh, 0), out(w, kw, 1)),
    input: dims(h, w),
    kernel: [kh, kw],
  };
};
const convs = [
  conv(2, 3, 7, 8, 4, 3, 3),
  conv(1, 1, 5, 5, 1, 5, 5, { padding: [2, 2, 2, 2] }),
  conv(2, 4, 8, 9, 6, 3, 2, { stride: [2, 3], padding: [1, 0, 2, 1], dilation: [2, 1], groups: 2 }),
  conv(1, 3, 6, 6, 3, 3, 3, { groups: 3, padding: [1, 1, 1, 1] }),
  conv(3, 5, 4, 4, 7, 1, 1),
  conv(1, 2, 9, 9, 3, 3, 3, { stride: [4, 4] }),
  conv(1, 17, 6, 5, 9, 3, 3, { padding: [1, 1, 1, 1] }),
  conv(2, 16, 5, 6, 3, 3, 2, { stride: [2, 1], padding: [0, 1, 1, 2], dilation: [1, 2] }),
];
/** Wide enough for Winograd's form in WebAssembly, and small enough to be interpreted; other targets are asked for it by name. */
const wide = conv(1, 32, 9, 7, 32, 3, 3, { padding: [1, 1, 1, 1] });

const pool = (kernel: [number, number], extra: Attrs = {}): Attrs => ({
  kernel,
  stride: kernel,
  padding: [0, 0, 0, 0],
  ...extra,
});
const POOLS: readonly (readonly [Attrs, readonly [number, number], readonly [number, number]])[] = [
  [pool([2, 2]), [6, 8], [3, 4]],
  [pool([2, 2]), [7, 9], [3, 4]],
  [pool([3, 2], { stride: [2, 1], padding: [1, 1, 1, 0] }), [7, 8], [4, 8]],
  [pool([3, 3], { stride: [2, 2], padding: [1, 1, 1, 1], ceil: true }), [7, 8], [4, 5]],
  [pool([3, 3], { stride: [1, 1] }), [3, 3], [1, 1]],
];
const AVG_EXTRAS: readonly Attrs[] = [{}, { count_include_pad: false }, { divisor: 3 }];
const avg = POOLS.flatMap(([a, i, o]) => AVG_EXTRAS.map((e) => [{ ...a, ...e }, i, o] as const));
const dilated = [pool([2, 3], { stride: [1, 2], dilation: [2, 2], padding: [1, 1, 1, 1] }), [6, 9], [6, 4]] as const;

const ADAPTIVE = [
  [7, 8, 1, 1],
  [7, 8, 3, 5],
  [6, 6, 3, 2],
  [2, 3, 4, 4],
] as const;

const attention = (causal: boolean, scale: number | null, ...inputs: Sample[]): Listed =>
  c({ causal, scale }, ...inputs);

const slices: readonly Listed[] = [
  c({ start: dims(1), stop: dims(5), step: [1] }, x(7)),
  c({ start: dims(1, 0), stop: dims(4, 7), step: [1, 2] }, x(4, 7)),
  c({ start: dims(0, 2, 1), stop: dims(2, 2, 4), step: [1, 1, 3] }, x(2, 3, 4)),
  c({ start: dims(0, 64), stop: dims(3, 129), step: [1, 1] }, x(3, 130)),
];

const losses = [
  { name: 'rows', attrs: {}, shape: [5, 4], target: indices([5], 4) },
  { name: 'smoothed', attrs: { label_smoothing: 0.1 }, shape: [3, 17], target: indices([3], 17) },
  { name: 'pixels', attrs: { ignore_index: 1 }, shape: [2, 3, 2, 3], target: indices([2, 2, 3], 3) },
  { name: 'ignored', attrs: {}, shape: [4, 65], target: at(0, -100, 64, 3) },
  { name: 'one class', attrs: {}, shape: [3, 1], target: at(0, 0, 0) },
];
const badTarget = { attrs: { ignore_index: -7 }, shape: [4, 3], target: at(0, 3, -1, -7) };

/** Empty for rows that need none: elementwise rows, whose cases are derived, and control flow. */
export const listed = (kind: string): readonly Listed[] =>
  Object.hasOwn(LIST, kind) ? (LIST as Record<string, readonly Listed[]>)[kind]! : [];

const LIST: Partial<Record<OpKind, readonly Listed[]>> = {
  constant: [
    c({ value: 2.5, shape: dims(2, 3) }),
    c({ value: -7, elem: 'i32', shape: dims() }),
    c({ value: 1, elem: 'bool', shape: dims(5) }),
    c({ value: 4294967295, elem: 'u32', shape: dims(17) }),
    c({ value: -Infinity, shape: dims(0) }),
  ],
  // With elements there would be something to compare, which nobody may look at.
  unwritten: [c({ shape: dims(0, 3) }), c({ elem: 'i32', shape: dims(0) })],
  iota: [c({ shape: dims(17) }), c({ shape: dims(2, 5), axis: 1 }), c({ shape: dims(3, 65), axis: 0, elem: 'f32' })],
  size: [c({ dim: dim(12) })],
  random_bits: [1, 3, 17, 64, 65].map((n) => c({ shape: dims(n) }, key)).concat(c({ shape: dims(3, 7) }, key)),
  fold_in: [
    c({ data: 0 }, key),
    c({ data: 123456789 }, key),
    c({}, key, { shape: [], elem: 'i32', data: [-5] }),
    c({}, key, { shape: [], elem: 'u32', data: [0xffffffff] }),
  ],
  again: [c({}, x(2, 3)), c({}, x(65))],
  reshape: [
    c({ shape: dims(6) }, x(2, 3)),
    c({ shape: dims() }, x(1, 1)),
    c({ shape: dims(13, 5) }, x(65)),
    c({ shape: dims(0, 4) }, x(2, 0)),
  ],
  broadcast_to: [
    c({ shape: dims(3) }, x()),
    c({ shape: dims(4, 2, 3) }, x(2, 1)),
    c({ shape: dims(2, 65) }, x(65)),
    c({ shape: dims(0, 3) }, x(1, 3)),
  ],
  transpose: [
    c({ perm: [1, 0] }, x(17, 3)),
    c({ perm: [2, 0, 1] }, x(2, 3, 4)),
    c({ perm: [] }, x()),
    c({ perm: [0, 2, 1] }, x(2, 65, 5)),
  ],
  slice: slices,
  pad: [
    c({ low: dims(1), high: dims(2), value: -1.5 }, x(3)),
    c({ low: dims(0, 2), high: dims(1, 0) }, x(2, 17)),
    c({ low: dims(1, 0), high: dims(1, 3), gap: [2, 0] }, x(3, 4)),
    c({ low: dims(2), high: dims(0) }, x(0)),
  ],
  flip: [c({ axes: [0] }, x(17)), c({ axes: [0, 2] }, x(2, 3, 4)), c({ axes: [] }, x(2))],
  concat: [c({ axis: 0 }, x(3), x(17), x(1)), c({ axis: 1 }, x(2, 3), x(2, 0), x(2, 4)), c({ axis: 0 }, x(2, 3))],
  view: [
    c({ offset: dim(2), shape: dims(3, 4) }, x(20)),
    c({ offset: dim(0), shape: dims(5) }, x(5)),
    c({ offset: dim(4), shape: dims() }, x(5)),
  ],
  pack: [c({}, x(2, 3), x(), x(5)), c({}, x(4)), c({}, x(0), x(3))],
  sum: [...reductions, empty('nothing')],
  prod: [...reductions, empty('nothing'), edge('zeros', { axes: [1] }, filled([3, 3], [1, 0, 2, 0, 0, 3, 1, 2, 3]))],
  max: [...reductions, ties],
  min: [...reductions, ties],
  argmax: positions,
  argmin: positions,
  softmax: rows,
  log_softmax: rows,
  logsumexp: [...rows, c({ axis: 1, keepdims: true }, x(2, 3, 4))],
  moments: [
    ...[3, 17, 64, 65].map((n) => c({ axes: [0] }, x(n))),
    c({ axes: [0, 2, 3], keepdims: true }, x(2, 3, 4, 5)),
    c({ axes: [2] }, x(2, 3, 4)),
    c({ axes: [1], keepdims: true }, x(3, 65)),
    edge('far from zero', { axes: [1] }, { shape: [2, 64], range: [1000, 1001] }),
  ],
  matmul: [
    c({}, x(3, 4), x(4, 5)),
    c({}, x(1, 1), x(1, 1)),
    c({}, x(17, 65), x(65, 33)),
    c({}, x(1, 64), x(64, 10)),
    c({ transpose_a: true }, x(4, 3), x(4, 5)),
    c({ transpose_a: true }, x(9, 41), x(9, 7)),
    c({ transpose_b: true }, x(3, 4), x(5, 4)),
    c({ transpose_a: true, transpose_b: true }, x(4, 3), x(5, 4)),
    c({}, x(2, 3, 4), x(4, 5)),
    c({ transpose_b: true }, x(2, 3, 4), x(5, 4)),
    c({ transpose_a: true }, x(2, 4, 3), x(4, 5)),
    c({}, x(3, 4), x(2, 4, 5)),
    c({}, x(2, 1, 3, 4), x(3, 4, 5)),
    c({ transpose_a: true, transpose_b: true }, x(2, 1, 4, 3), x(1, 2, 5, 4)),
    c({}, x(3, 0), x(0, 5)),
    c({}, x(0, 3), x(3, 5)),
  ],
  attention: [
    attention(false, null, x(1, 2, 5, 4), x(1, 2, 5, 4), x(1, 2, 5, 4)),
    attention(true, null, x(2, 5, 4), x(2, 5, 4), x(2, 5, 3)),
    attention(false, 0.3, x(3, 4), x(6, 4), x(6, 2)),
    attention(false, null, x(2, 3, 4), x(2, 5, 4), x(2, 5, 4), x(3, 5)),
    attention(true, null, x(2, 3, 4), x(1, 3, 4), x(1, 3, 4), {
      shape: [2, 1, 3],
      elem: 'bool',
      data: [1, 1, 1, 0, 1, 1],
    }),
    edge('a blind query', { causal: false }, x(2, 3), x(4, 3), x(4, 3), {
      shape: [2, 4],
      elem: 'bool',
      data: [0, 0, 0, 0, 1, 0, 1, 0],
    }),
  ],
  attention_dropout: [
    c({ causal: true, scale: null, p: 0.5 }, key, x(2, 5, 4), x(2, 5, 4), x(2, 5, 3)),
    c({ causal: false, scale: 0.3, p: 0.25 }, key, x(2, 1, 3, 4), x(3, 6, 4), x(6, 2), x(3, 6)),
    edge('nothing is left', { causal: false, p: 1 }, key, x(2, 3), x(4, 3), x(4, 3)),
  ],
  conv2d: [...convs.map((v) => c(v.attrs, v.x, v.w)), edge('many tiles and channels', wide.attrs, wide.x, wide.w)],
  conv2d_input_grad: [
    ...convs.map((v) => c({ ...v.attrs, input: v.input }, v.dy, v.w)),
    edge('many tiles and channels', { ...wide.attrs, input: wide.input }, wide.dy, wide.w),
  ],
  conv2d_weight_grad: convs.map((v) => c({ ...v.attrs, kernel: v.kernel }, v.x, v.dy)),
  max_pool2d: [
    ...[...POOLS, dilated].map(([a, i]) => c(a, x(2, 3, ...i))),
    edge('ties and NaN', pool([2, 2]), filled([1, 1, 2, 6], [1, 1, 2, NaN, -1, -2, 1, 1, NaN, 3, -Infinity, -1])),
  ],
  max_pool2d_grad: [
    ...[...POOLS, dilated].map(([a, i, o]) => c(a, x(2, 3, ...i), x(2, 3, ...o))),
    edge(
      'ties and NaN',
      pool([2, 2]),
      filled([1, 1, 2, 6], [1, 1, 2, NaN, -1, -2, 1, 1, NaN, 3, -Infinity, -1]),
      x(1, 1, 1, 3),
    ),
  ],
  avg_pool2d: avg.map(([a, i]) => c(a, x(2, 3, ...i))),
  avg_pool2d_grad: avg.map(([a, i, o]) => c({ ...a, input: dims(...i) }, x(2, 3, ...o))),
  adaptive_avg_pool2d: ADAPTIVE.map(([h, w, p, q]) => c({ output: [p, q] }, x(2, 3, h, w))),
  adaptive_avg_pool2d_grad: ADAPTIVE.map(([h, w, p, q]) => c({ input: dims(h, w) }, x(2, 3, p, q))),
  take: [
    c({}, x(5, 4), indices([2, 3], 5)),
    c({ axis: 1 }, x(3, 4), indices([65], 4)),
    c({ axis: 1 }, x(2, 3, 5), indices([], 3)),
    c({}, { shape: [5], elem: 'i32' }, indices([7], 5)),
    c({}, x(5, 3), indices([0], 5)),
    edge('outside', {}, x(3, 2), at(0, 3, -1, 2)),
    edge('outside, integers', {}, { shape: [3], elem: 'i32' }, at(0, 3, -1, 2)),
  ],
  scatter_add: [
    c({ size: dim(5) }, indices([2, 3], 5), x(2, 3, 4)),
    c({ axis: 1, size: dim(4) }, indices([65], 4), x(3, 65)),
    c({ axis: 1, size: dim(3) }, indices([], 3), x(2, 5)),
    c({ size: dim(3) }, at(1, 1, 1, 1), x(4, 2)),
    c({ size: dim(4) }, indices([0], 4), x(0, 2)),
    { name: 'outside', attrs: { size: dim(3) }, inputs: [at(0, 3, -1, 2), x(4, 2)] },
  ],
  index_add: [
    c({}, x(5, 4), indices([2, 3], 5), x(2, 3, 4)),
    c({ axis: 1 }, x(3, 4), indices([65], 4), x(3, 65)),
    c({ axis: 1 }, x(2, 3, 5), indices([], 3), x(2, 5)),
    c({}, x(3, 2), at(1, 1, 1, 1), x(4, 2)),
    { name: 'outside', inputs: [x(3, 2), at(0, 3, -1, 2), x(4, 2)] },
    { name: 'outside a middle axis', attrs: { axis: 1 }, inputs: [x(2, 3, 2), at(0, 3, -1, 2), x(2, 4, 2)] },
  ],
  cumsum: [
    ...[...ROWS, 700].map((n) => c({ axis: 0 }, x(n))),
    c({ axis: 1 }, x(2, 3, 5)),
    c({ axis: 0, reverse: true }, x(300, 3)),
    c({ axis: 1, reverse: true }, { shape: [2, 9], elem: 'i32' }),
    c({ axis: 0 }, { shape: [4, 2], elem: 'u32' }),
    c({ axis: 0 }, x(0, 3)),
    edge('NaN and infinities', { axis: 1 }, filled([2, 4], [1, Infinity, 2, -Infinity, 1, NaN, 2, 3])),
  ],
  cummax: extrema,
  cummin: extrema,
  recurrence: [
    ...[1, 3, 17].map((n) => c({ axis: 0 }, x(n), x(n))),
    // Factors below 1, as where it is used: products of many larger ones have no size that a tolerance could refer to.
    c({ axis: 0 }, { shape: [700], range: [-1, 1] }, x(700)),
    c({ axis: 1 }, x(2, 3, 5), x(2, 3, 5)),
    c({ axis: 0, reverse: true }, { shape: [65, 3], range: [-1, 1] }, x(65, 3)),
    edge('zero and infinite factors', { axis: 0 }, filled([5], [Infinity, 2, 0, 3, 0.5]), x(5)),
  ],
  argsort: [
    ...[...ROWS, 300].map((n) => c({ axis: 0 }, x(n))),
    c({ axis: 1 }, x(2, 33, 3)),
    c({ axis: 1, descending: true }, x(3, 40)),
    c({ axis: 0 }, { shape: [700], elem: 'i32', range: [0, 9] }),
    c({ axis: 0, descending: true }, { shape: [100], elem: 'i32', range: [0, 4] }),
    c({ axis: 0 }, { shape: [6], elem: 'u32', data: [4294967295, 0, 2147483648, 1, 2147483647, 0] }),
    c({ axis: 0 }, { shape: [5], elem: 'i32', data: [2147483647, -2147483648, 0, -1, 1] }),
    c({ axis: 1 }, x(2, 0)),
    edge('NaN, infinities, zeros', { axis: 0 }, filled([9], [NaN, 1, -Infinity, -0, 0, Infinity, -1, NaN, -0])),
    edge(
      'the same from above',
      { axis: 0, descending: true },
      filled([9], [NaN, 1, -Infinity, -0, 0, Infinity, -1, NaN, -0]),
    ),
  ],
  put: [
    c({ axis: 1 }, x(3, 4), { shape: [], elem: 'i32', data: [2] }, x(3)),
    c({ axis: 0 }, x(17), { shape: [], elem: 'i32', data: [16] }, x()),
    c({ axis: 1 }, x(2, 3, 5), { shape: [], elem: 'i32', data: [0] }, x(2, 5)),
    { name: 'outside', attrs: { axis: 0 }, inputs: [x(3, 2), { shape: [], elem: 'i32', data: [3] }, x(2)] },
  ],
  cross_entropy: [
    ...losses.map((l) => ({ name: l.name, attrs: l.attrs, inputs: [x(...l.shape), l.target] })),
    edge('no class', badTarget.attrs, x(...badTarget.shape), badTarget.target),
  ],
  cross_entropy_grad: [
    ...losses.map((l) => ({
      name: l.name,
      attrs: l.attrs,
      inputs: [x(...l.shape), l.target, x(l.shape[0]!, ...l.shape.slice(2))],
    })),
    edge('no class', badTarget.attrs, x(...badTarget.shape), badTarget.target, x(4)),
  ],
};
