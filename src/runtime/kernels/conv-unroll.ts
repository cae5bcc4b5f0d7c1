/**
 * The input of a convolution laid out so that every tap of the kernel reads consecutive memory for consecutive outputs.
 *
 * For each channel c, kernel column kx and vertical phase, a plane holds the input columns that kx meets, one per output
 * column: a stride or dilation along x is resolved here, and padding is zeros. Rows that the same kernel row meets are
 * `stride` apart, so that they share a phase and lie one after the other. Tap (c, ky, kx) of output q = y * ow + x is then
 * at `tap offset + q`: convolution becomes a matrix product whose second operand is never built (it would be KH times
 * larger). A source with zeros between its rows and columns (`stuff`) serves transposed convolution.
 * Zeros are multiplied like other numbers: a weight that is not finite makes NaN where it meets them.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, div, f32, i32, max, min, mul, shuffle, splat, sub } from '../../codegen/builder.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { ReadSource } from './epilogue.ts';

export type Pair = readonly [vertical: number, horizontal: number];

export interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  /** Zeros before the first row and column; negative cuts. */
  readonly padding: Pair;
  /** The source counts as having stuff - 1 zeros between its elements; then the stride is 1. */
  readonly stuff: Pair;
}

/** Sizes of one image as kernel expressions. */
export interface ImageSizes {
  readonly channels: KExpr;
  readonly height: KExpr;
  readonly width: KExpr;
  readonly outHeight: KExpr;
  readonly outWidth: KExpr;
}

/** Elements past the last plane that a tile may read without using them. */
const SLACK = 64;

/** How many rows further down the last kernel row starts, in rows of its phase. */
const extraRows = (w: Window): number => Math.floor(((w.kernel[0] - 1) * w.dilation[0]) / w.stride[0]);

function phasesOf(w: Window): readonly number[] {
  const all = Array.from({ length: w.kernel[0] }, (_, ky) => (ky * w.dilation[0]) % w.stride[0]);
  return [...new Set(all)].sort((a, b) => a - b);
}

/** Elements of the planes of one image. */
export const unrolledSize = (w: Window, channels: Dim, outHeight: Dim, outWidth: Dim): Dim =>
  D.mul(D.mul(channels, w.kernel[1] * phasesOf(w).length), D.mul(D.add(outHeight, extraRows(w)), outWidth));

export const unrolledBytes = (images: number, size: Dim): Dim => D.mul(4, D.add(D.mul(images, size), SLACK));

export interface Unrolled {
  /** Elements between the planes of one channel and the next. */
  readonly channelSize: KExpr;
  /** Writes zeros once: what padding leaves untouched. */
  readonly clear: (k: KernelBuilder, images: number) => void;
  /** Lays out one image, whose elements start at `from` in the source, at `to`. */
  readonly fill: (k: KernelBuilder, read: ReadSource, from: KExpr, to: KExpr) => void;
  /** Offset of a tap of channel 0. */
  readonly tap: (ky: number, kx: number) => KExpr;
}

export function unroll(k: KernelBuilder, w: Window, sizes: ImageSizes, into: KBuffer, lanes: number): Unrolled {
  const phases = phasesOf(w);
  const { channels, height, width, outHeight, outWidth } = sizes;
  const plane = k.let(mul(add(outHeight, extraRows(w)), outWidth), 'plane');
  const channelSize = k.let(mul(plane, w.kernel[1] * phases.length), 'channel');
  const planeOf = (kx: number, phase: number): KExpr => mul(plane, kx * phases.length + phases.indexOf(phase));
  return {
    channelSize,
    tap: (ky, kx) => {
      const u = ky * w.dilation[0];
      const down = Math.floor(u / w.stride[0]);
      return add(planeOf(kx, u % w.stride[0]), mul(outWidth, down));
    },
    clear: (b, images) => {
      const end = b.let(add(mul(mul(channels, channelSize), images), SLACK - lanes), 'end');
      b.for(0, end, lanes, (i) => b.store(into, i, splat(f32(0), lanes)));
      b.store(into, end, splat(f32(0), lanes));
    },
    fill: (b, read, from, to) =>
      b.for(0, channels, 1, (c) => {
        const image = b.let(add(from, mul(c, mul(height, width))), 'image');
        const planes = b.let(add(to, mul(c, channelSize)), 'planes');
        for (const phase of phases) {
          const rows = meets(add(outHeight, extraRows(w)), height, w.stride[0], phase - w.padding[0], w.stuff[0]);
          b.for(rows.first, b.let(rows.end), rows.step, (r) => {
            const source = b.let(add(image, mul(rows.source(r), width)), 'source');
            for (let kx = 0; kx < w.kernel[1]; kx++) {
              const row = b.let(add(add(planes, planeOf(kx, phase)), mul(r, outWidth)), 'row');
              const cols = meets(outWidth, width, w.stride[1], kx * w.dilation[1] - w.padding[1], w.stuff[1]);
              copyRow(b, read, cols, source, into, row, lanes);
            }
          });
        }
      }),
  };
}

/** Which outputs o of an axis meet a source element (the others meet padding), and which one. */
interface Meets {
  readonly first: number;
  readonly end: KExpr;
  readonly step: number;
  readonly source: (o: KExpr) => KExpr;
  /** Distance in the source of outputs `step` apart. */
  readonly stride: number;
  readonly offset: number;
}

/** Output o meets source position (o * stride + offset) / stuff. */
function meets(outputs: KExpr, size: KExpr, stride: number, offset: number, stuff: number): Meets {
  if (stuff === 1) {
    const first = Math.max(0, Math.ceil(-offset / stride));
    const end = min(outputs, div(max(add(size, stride - 1 - offset), 0), stride));
    return { first, end, step: 1, source: (o) => add(mul(o, stride), offset), stride, offset };
  }
  const start = Math.max(0, -offset);
  const first = start + ((stuff - ((start + offset) % stuff)) % stuff);
  const end = min(outputs, sub(mul(size, stuff), stuff - 1 + offset));
  return { first, end, step: stuff, source: (o) => div(add(o, offset), stuff), stride: 1, offset };
}

/** Copies what a row of outputs meets. `source` is the row's start in the source, `row` in the planes. */
function copyRow(
  b: KernelBuilder,
  read: ReadSource,
  m: Meets,
  source: KExpr,
  into: KBuffer,
  row: KExpr,
  lanes: number,
): void {
  const one = (o: KExpr): void => b.store(into, add(row, o), read(b, b.let(add(source, m.source(o))), 1));
  const scalars = (from: KExpr, end: KExpr): void => b.for(from, end, m.step, one);
  const end = b.let(m.end, 'end');
  if (m.step > 1 || m.stride > 2) return scalars(i32(m.first), end);
  const vector = (o: KExpr): KExpr => {
    const at = b.let(add(source, m.source(o)));
    if (m.stride === 1) return read(b, at, lanes);
    const even = Array.from({ length: lanes }, (_, i) => 2 * i);
    return shuffle(read(b, at, lanes), read(b, b.let(add(at, lanes)), lanes), even);
  };
  const put = (o: KExpr): void => b.store(into, add(row, o), vector(o));
  // Every second element is read as two whole vectors: the last one would reach past the source.
  const reach = m.stride === 1 ? 0 : 1;
  if (end.k === 'const') {
    const count = end.value - m.first;
    const whole = Math.max(0, Math.floor((count - reach) / lanes));
    const body = m.first + whole * lanes;
    if (whole <= 16) for (let o = m.first; o < body; o += lanes) put(i32(o));
    else b.for(m.first, body, lanes, put);
    // One vector that overlaps the last is cheaper than scalars.
    if (m.stride === 1 && whole > 0 && body < end.value) put(i32(end.value - lanes));
    else for (let o = body; o < end.value; o++) one(i32(o));
    return;
  }
  const body = b.let(add(div(max(sub(sub(end, m.first), reach), 0), lanes), 0), 'vectors');
  const bodyEnd = b.let(add(mul(body, lanes), m.first), 'body');
  b.for(m.first, bodyEnd, lanes, put);
  scalars(bodyEnd, end);
}
