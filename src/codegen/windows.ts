/**
 * Pooling and its gradients as expressions at a position: a window's elements are asked for one by one, so that what feeds
 * a pool and what follows its gradient fuse with it. Gradients gather: an input adds what each window over it sends, in
 * row-major order of the windows.
 */
import * as D from '../ir/dim.ts';
import { same, type Dim } from '../ir/dim.ts';
import type { Op, Value } from '../ir/ir.ts';
import { flag, ints2, ints4, numOrNull } from '../ir/ops/attrs.ts';
import * as K from './builder.ts';
import type { Coord } from './coord.ts';
import {
  clamp,
  divide,
  inside,
  isUniform,
  lanesOf,
  laneAt,
  remainder,
  scale,
  shift,
  sum,
  toValue,
  uniform,
} from './coord.ts';
import type { RegionEmitter } from './expr.ts';
import type { KExpr } from './kernel.ts';
import type { Scope } from './scope.ts';

/** The window along one axis. */
interface Window {
  /** Of the tensors. */
  readonly axis: number;
  readonly kernel: number;
  readonly stride: number;
  readonly before: number;
  readonly after: number;
  readonly dilation: number;
  readonly input: Dim;
  readonly output: Dim;
}

/** A place along one axis with what must hold for it to exist. */
interface Place {
  readonly at: Coord;
  readonly ok: readonly KExpr[];
}

export function windowOf(e: RegionEmitter, op: Op, at: readonly Coord[]): KExpr | null {
  switch (op.kind) {
    case 'max_pool2d':
      return maxPool(e, op, at);
    case 'max_pool2d_grad':
      return maxPoolGrad(e, op, at);
    case 'avg_pool2d':
      return avgPool(e, op, at);
    case 'avg_pool2d_grad':
      return avgPoolGrad(e, op, at);
    case 'adaptive_avg_pool2d':
      return adaptivePool(e, op, at);
    case 'adaptive_avg_pool2d_grad':
      return adaptivePoolGrad(e, op, at);
    default:
      return null;
  }
}

/** Output places [from, to) along the columns of a pool whose windows meet no padding, or null where none does. */
export function interiorOf(op: Op): readonly [Dim, Dim] | null {
  if (op.kind !== 'max_pool2d' && op.kind !== 'avg_pool2d') return null;
  const [, w] = windowsOf(op, op.operands[0]!, op.results[0]!);
  if (unpadded(w)) return null;
  const last = D.add(w.input, w.before - (w.kernel - 1) * w.dilation - 1);
  return [D.dim(Math.ceil(w.before / w.stride)), D.add(D.div(last, w.stride), 1)];
}

/** Do the windows of a max pool tile its input, so that its gradient is a gather of one window for each element? */
export function tilesInput(op: Op): boolean {
  const windows = windowsOf(op, op.operands[0]!, op.operands[1]!);
  return windows.every(
    (w) => unpadded(w) && w.dilation === 1 && w.kernel === w.stride && same(w.input, w.output.value! * w.stride),
  );
}

/** Pooling to or from counts that do not divide the input has windows of unequal size: positions must be scalar. */
export const needsScalar = (op: Op): boolean =>
  op.kind === 'adaptive_avg_pool2d' || op.kind === 'adaptive_avg_pool2d_grad';

function windowsOf(op: Op, input: Value, output: Value): readonly [Window, Window] {
  const [k, s] = [ints2(op.attrs, 'kernel'), ints2(op.attrs, 'stride')];
  const [top, bottom, left, right] = ints4(op.attrs, 'padding');
  const d = op.attrs['dilation'] === undefined ? [1, 1] : ints2(op.attrs, 'dilation');
  const one = (i: 0 | 1, before: number, after: number): Window => ({
    axis: 2 + i,
    kernel: k[i],
    stride: s[i],
    before,
    after,
    dilation: d[i]!,
    input: input.type.shape[2 + i]!,
    output: output.type.shape[2 + i]!,
  });
  return [one(0, top, bottom), one(1, left, right)];
}

/** Every window lies inside the input, and the windows tile it when also stride = kernel. */
const unpadded = (w: Window): boolean =>
  w.before === 0 &&
  w.input.value !== null &&
  w.output.value !== null &&
  (w.output.value - 1) * w.stride + (w.kernel - 1) * w.dilation < w.input.value;

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Input places of the window at output place `c`, first to last. */
function inputsOf(e: RegionEmitter, op: Op, w: Window, c: Coord): Place[] {
  const s = e.scope;
  const start = scale(s, c, K.i32(w.stride));
  return range(w.kernel).map((k) => {
    const at = shift(s, start, K.i32(k * w.dilation - w.before));
    if (unpadded(w) || e.facts.get(op) === w.axis) return { at, ok: [] };
    const n = e.size(w.input);
    return { at: clamp(s, at, n), ok: [inside(s, at, n)] };
  });
}

/** Output places whose window covers input place `c`, first to last, with the tap by which it does. */
function outputsOf(e: RegionEmitter, w: Window, c: Coord): (Place & { readonly tap: Coord })[] {
  const s = e.scope;
  const span = (w.kernel - 1) * w.dilation + 1;
  const last = shift(s, c, K.i32(w.before));
  const tiles =
    span === w.stride && w.before === 0 && w.output.value !== null && same(w.input, w.output.value * w.stride);
  const home = divide(s, last, K.i32(w.stride));
  return range(Math.ceil(span / w.stride))
    .reverse()
    .map((t) => {
      const at = shift(s, home, K.i32(-t));
      // Distance from the window's first element: the remainder and t whole strides.
      const distance = shift(s, remainder(s, last, K.i32(w.stride)), K.i32(t * w.stride));
      if (tiles && w.dilation === 1) return { at, ok: [], tap: distance };
      const n = e.size(w.output);
      const ok = [inside(s, at, n), s.share(K.lt(toValue(s, distance), span))];
      if (w.dilation > 1) ok.push(s.share(K.eq(toValue(s, remainder(s, distance, K.i32(w.dilation))), 0)));
      return { at: clamp(s, at, n), ok, tap: divide(s, distance, K.i32(w.dilation)) };
    });
}

function when(s: Scope, ok: readonly KExpr[], a: KExpr, other: KExpr): KExpr {
  if (ok.length === 0) return a;
  return s.share(
    K.select(
      ok.reduce((x, y) => s.share(K.and(x, y))),
      a,
      other,
    ),
  );
}

const add = (s: Scope, a: KExpr | null, b: KExpr): KExpr => (a === null ? b : s.share(K.add(a, b)));

function maxPool(e: RegionEmitter, op: Op, [n, c, h, w]: readonly Coord[]): KExpr {
  const s = e.scope;
  const [rows, columns] = windowsOf(op, op.operands[0]!, op.results[0]!);
  let best: KExpr | null = null;
  for (const y of inputsOf(e, op, rows, h!))
    for (const x of inputsOf(e, op, columns, w!)) {
      const v = when(s, [...y.ok, ...x.ok], e.value(op.operands[0]!, [n!, c!, y.at, x.at]), K.f32(-Infinity));
      best = best === null ? v : s.share(K.max(best, v));
    }
  return best!;
}

/** Of windows that tile the input: see `tilesInput`. Each element belongs to one, and either won it or not. */
function maxPoolGrad(e: RegionEmitter, op: Op, [n, c, h, w]: readonly Coord[]): KExpr {
  const s = e.scope;
  const [input, dy] = [op.operands[0]!, op.operands[1]!];
  const [rows, columns] = windowsOf(op, input, dy);
  const [y, x] = [outputsOf(e, rows, h!)[0]!, outputsOf(e, columns, w!)[0]!];
  const at = [n!, c!, y.at, x.at];
  const own = toValue(s, sum(s, [scale(s, y.tap, K.i32(columns.kernel)), x.tap]));
  const won = s.share(K.eq(winner(e, op, at), own));
  return s.share(K.select(won, e.value(dy, at), K.f32(0)));
}

/** The tap of a window's first maximum, in row-major order; a NaN wins, and the first of them. */
function winner(e: RegionEmitter, op: Op, [n, c, h, w]: readonly Coord[]): KExpr {
  const s = e.scope;
  const [rows, columns] = windowsOf(op, op.operands[0]!, op.operands[1]!);
  const xs = inputsOf(e, op, columns, w!);
  const values = inputsOf(e, op, rows, h!).flatMap((y) =>
    xs.map((x) => e.value(op.operands[0]!, [n!, c!, y.at, x.at])),
  );
  let best = values[0]!;
  let index: KExpr = K.i32(0);
  values.slice(1).forEach((v, i) => {
    // Not (v <= best) is true for a greater v and for a NaN on either side; a best that is NaN stays.
    const better = s.share(K.and(s.share(K.un('not', K.le(v, best))), s.share(K.eq(best, best))));
    best = s.share(K.select(better, v, best));
    index = s.share(K.select(better, K.i32(i + 1), index));
  });
  return index;
}

/** How many elements the window at `c` averages over along an axis: a number, or an expression where windows differ. */
function extent(e: RegionEmitter, op: Op, w: Window, c: Coord, includePad: boolean): KExpr | number {
  if (unpadded(w) || e.facts.get(op) === w.axis) return w.kernel;
  const s = e.scope;
  const start = toValue(s, shift(s, scale(s, c, K.i32(w.stride)), K.i32(-w.before)));
  const n = e.size(w.input);
  const end = s.share(K.min(s.share(K.add(start, w.kernel)), s.share(K.add(n, includePad ? w.after : 0))));
  return s.share(K.sub(end, includePad ? start : s.share(K.max(start, 0))));
}

/** v over the divisor of the window at a position. */
function average(e: RegionEmitter, op: Op, v: KExpr, rows: Window, columns: Window, h: Coord, w: Coord): KExpr {
  const s = e.scope;
  const fixed = numOrNull(op.attrs, 'divisor');
  const include = flag(op.attrs, 'count_include_pad');
  const [a, b] = fixed !== null ? [fixed, 1] : [extent(e, op, rows, h, include), extent(e, op, columns, w, include)];
  if (typeof a === 'number' && typeof b === 'number') {
    const n = a * b;
    // A power of two has an exact reciprocal.
    return s.share(Number.isInteger(Math.log2(Math.abs(n))) ? K.mul(v, 1 / n) : K.div(v, n));
  }
  const count = typeof a === 'number' ? K.mul(b, a) : K.mul(a, b);
  return s.share(K.div(v, s.share(K.cast(s.share(count), 'f32'))));
}

function avgPool(e: RegionEmitter, op: Op, [n, c, h, w]: readonly Coord[]): KExpr {
  const s = e.scope;
  const [rows, columns] = windowsOf(op, op.operands[0]!, op.results[0]!);
  let total: KExpr | null = null;
  for (const y of inputsOf(e, op, rows, h!))
    for (const x of inputsOf(e, op, columns, w!)) {
      const v = e.value(op.operands[0]!, [n!, c!, y.at, x.at]);
      total = add(s, total, when(s, [...y.ok, ...x.ok], v, K.f32(0)));
    }
  return average(e, op, total!, rows, columns, h!, w!);
}

function avgPoolGrad(e: RegionEmitter, op: Op, [n, c, h, w]: readonly Coord[]): KExpr {
  const s = e.scope;
  const dy = op.operands[0]!;
  const [rows, columns] = windowsOf(op, op.results[0]!, dy);
  let total: KExpr | null = null;
  for (const y of outputsOf(e, rows, h!))
    for (const x of outputsOf(e, columns, w!)) {
      const v = average(e, op, e.value(dy, [n!, c!, y.at, x.at]), rows, columns, y.at, x.at);
      total = add(s, total, when(s, [...y.ok, ...x.ok], v, K.f32(0)));
    }
  return total!;
}

/** floor(i * n / m), and its ceiling. */
const cut = (s: Scope, i: KExpr, n: KExpr, m: KExpr): KExpr => s.share(K.div(K.mul(i, n), m));
const cutUp = (s: Scope, i: KExpr, n: KExpr, m: KExpr): KExpr => s.share(K.div(K.add(K.mul(i, n), K.sub(m, 1)), m));

const scalarBase = (c: Coord): KExpr => {
  if (!isUniform(c)) throw new Error(`adaptive pooling at ${lanesOf(c)} lanes`);
  return laneAt(c, 0);
};

function adaptivePool(e: RegionEmitter, op: Op, [n, c, ...hw]: readonly Coord[]): KExpr {
  const s = e.scope;
  const x = op.operands[0]!;
  const spans = hw.map((p, i) => {
    const [size, count] = [e.size(x.type.shape[2 + i]!), e.size(op.results[0]!.type.shape[2 + i]!)];
    const base = scalarBase(p);
    return { from: cut(s, base, size, count), to: cutUp(s, K.add(base, 1), size, count) };
  });
  const [y, z] = spans as [(typeof spans)[0], (typeof spans)[0]];
  const total = s.k.mutable(K.f32(0), 'total');
  s.loop(y.from, y.to, 1, (i) =>
    s.loop(z.from, z.to, 1, (j) => {
      s.k.set(total, K.add(total, e.value(x, [n!, c!, uniform(i), uniform(j)])));
    }),
  );
  const count = s.share(K.cast(K.mul(K.sub(y.to, y.from), K.sub(z.to, z.from)), 'f32'));
  return s.share(K.div(total, count));
}

function adaptivePoolGrad(e: RegionEmitter, op: Op, [n, c, ...hw]: readonly Coord[]): KExpr {
  const s = e.scope;
  const dy = op.operands[0]!;
  const axes = hw.map((p, i) => {
    const [size, count] = [e.size(op.results[0]!.type.shape[2 + i]!), e.size(dy.type.shape[2 + i]!)];
    const base = scalarBase(p);
    const length = (o: KExpr): KExpr =>
      s.share(K.sub(cutUp(s, s.share(K.add(o, 1)), size, count), cut(s, o, size, count)));
    return { from: cut(s, base, count, size), to: cutUp(s, K.add(base, 1), count, size), length };
  });
  const [y, z] = axes as [(typeof axes)[0], (typeof axes)[0]];
  const total = s.k.mutable(K.f32(0), 'total');
  s.loop(y.from, y.to, 1, (i) =>
    s.loop(z.from, z.to, 1, (j) => {
      const area = s.share(K.cast(K.mul(y.length(i), z.length(j)), 'f32'));
      s.k.set(total, K.add(total, s.share(K.div(e.value(dy, [n!, c!, uniform(i), uniform(j)]), area))));
    }),
  );
  return s.share(total);
}
