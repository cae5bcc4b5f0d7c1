/** Float64 references of pooling: which inputs belong to which window, and what is done with them. */
import type { Attrs } from '../../ir.ts';
import type { NdArray } from '../../ndarray.ts';
import { flag, ints2, ints4, numOrNull } from '../attrs.ts';

/** One window on one axis: the inputs [from, to) step by step, and its extent with padding counted. */
interface Span {
  readonly at: readonly number[];
  readonly padded: number;
}

/** The windows of an axis of n inputs. */
function spans(
  n: number,
  count: number,
  kernel: number,
  stride: number,
  before: number,
  after: number,
  dilation: number,
): Span[] {
  return Array.from({ length: count }, (_, i) => {
    const start = i * stride - before;
    const at: number[] = [];
    for (let k = 0; k < kernel; k++) {
      const p = start + k * dilation;
      if (p >= 0 && p < n) at.push(p);
    }
    return { at, padded: Math.min(start + kernel, n + after) - start };
  });
}

function windowsOf(
  attrs: Attrs,
  input: readonly number[],
  output: readonly number[],
  dilated: boolean,
): [Span[], Span[]] {
  const [k, s] = [ints2(attrs, 'kernel'), ints2(attrs, 'stride')];
  const [top, bottom, left, right] = ints4(attrs, 'padding');
  const d = dilated ? ints2(attrs, 'dilation') : [1, 1];
  return [
    spans(input[2]!, output[2]!, k[0], s[0], top, bottom, d[0]!),
    spans(input[3]!, output[3]!, k[1], s[1], left, right, d[1]!),
  ];
}

/** PyTorch's adaptive windows: floor(i * n / count) to ceil((i + 1) * n / count). */
function adaptiveSpans(n: number, count: number): Span[] {
  return Array.from({ length: count }, (_, i) => {
    const from = Math.floor((i * n) / count);
    const to = Math.ceil(((i + 1) * n) / count);
    return { at: Array.from({ length: to - from }, (_, k) => from + k), padded: to - from };
  });
}

/** Calls f with each output position and the input positions of its window in row-major order. */
function eachWindow(
  input: readonly number[],
  [rows, columns]: readonly [Span[], Span[]],
  f: (out: number, inputs: readonly number[], row: Span, column: Span) => void,
): void {
  const [h, w] = [input[2]!, input[3]!];
  for (let plane = 0; plane < input[0]! * input[1]!; plane++)
    for (let i = 0; i < rows.length; i++)
      for (let j = 0; j < columns.length; j++) {
        const [r, c] = [rows[i]!, columns[j]!];
        const inputs = r.at.flatMap((y) => c.at.map((x) => (plane * h + y) * w + x));
        f((plane * rows.length + i) * columns.length + j, inputs, r, c);
      }
}

/** The first maximum of a window; a NaN wins. -1 for an empty window. */
function winner(x: NdArray, inputs: readonly number[]): number {
  let best = -1;
  for (const p of inputs) {
    if (best >= 0 && Number.isNaN(x.data[best]!)) break;
    if (best < 0 || Number.isNaN(x.data[p]!) || x.data[p]! > x.data[best]!) best = p;
  }
  return best;
}

export function maxPool(x: NdArray, attrs: Attrs, y: NdArray): NdArray {
  eachWindow(x.shape, windowsOf(attrs, x.shape, y.shape, true), (out, inputs) => {
    const best = winner(x, inputs);
    y.data[out] = best < 0 ? -Infinity : x.data[best]!;
  });
  return y;
}

export function maxPoolGrad(x: NdArray, dy: NdArray, attrs: Attrs, dx: NdArray): NdArray {
  eachWindow(x.shape, windowsOf(attrs, x.shape, dy.shape, true), (out, inputs) => {
    const best = winner(x, inputs);
    if (best >= 0) dx.data[best]! += dy.data[out]!;
  });
  return dx;
}

const divisorOf = (attrs: Attrs, r: Span, c: Span): number =>
  numOrNull(attrs, 'divisor') ?? (flag(attrs, 'count_include_pad') ? r.padded * c.padded : r.at.length * c.at.length);

export function avgPool(x: NdArray, attrs: Attrs, y: NdArray): NdArray {
  eachWindow(x.shape, windowsOf(attrs, x.shape, y.shape, false), (out, inputs, r, c) => {
    y.data[out] = inputs.reduce((sum, p) => sum + x.data[p]!, 0) / divisorOf(attrs, r, c);
  });
  return y;
}

export function avgPoolGrad(dy: NdArray, attrs: Attrs, dx: NdArray): NdArray {
  eachWindow(dx.shape, windowsOf(attrs, dx.shape, dy.shape, false), (out, inputs, r, c) => {
    for (const p of inputs) dx.data[p]! += dy.data[out]! / divisorOf(attrs, r, c);
  });
  return dx;
}

const adaptive = (input: readonly number[], output: readonly number[]): [Span[], Span[]] => [
  adaptiveSpans(input[2]!, output[2]!),
  adaptiveSpans(input[3]!, output[3]!),
];

export function adaptiveAvgPool(x: NdArray, y: NdArray): NdArray {
  eachWindow(x.shape, adaptive(x.shape, y.shape), (out, inputs) => {
    y.data[out] = inputs.reduce((sum, p) => sum + x.data[p]!, 0) / inputs.length;
  });
  return y;
}

export function adaptiveAvgPoolGrad(dy: NdArray, dx: NdArray): NdArray {
  eachWindow(dx.shape, adaptive(dx.shape, dy.shape), (out, inputs) => {
    for (const p of inputs) dx.data[p]! += dy.data[out]! / inputs.length;
  });
  return dx;
}
