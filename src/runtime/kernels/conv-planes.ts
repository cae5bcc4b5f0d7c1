/**
 * The input of a convolution laid out so that every tap of the kernel reads consecutive memory for consecutive outputs.
 *
 * A plane holds, for one channel and one horizontal displacement, the input element that each output column meets there;
 * what lies outside the input is zero. Vertical displacements are steps from row to row of a plane. A tap is then a fixed
 * offset, and output q = y * width + x finds its element at `offset + q`: convolution becomes a matrix product
 * whose second operand is never built (it would be KH times larger).
 * Zeros are multiplied like other numbers: a weight that is not finite makes NaN where it meets them.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, div, f32, i32, max, min, mul, shuffle, splat, sub } from '../../codegen/builder.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { ReadSource } from './epilogue.ts';
import type { Range, Shares } from './team.ts';

export type Pair = readonly [vertical: number, horizontal: number];

/** The planes of one channel: row r, column o of a plane hold source element (r * stride + row, o * stride + col). */
export interface PlaneSet {
  readonly planes: readonly { readonly row: number; readonly col: number }[];
  readonly stride: Pair;
  /** Rows of a plane beyond those of the output. */
  readonly extraRows: number;
}

/** Sizes as kernel expressions; `rows` and `width` are those of the output. */
export interface PlaneSizes {
  readonly channels: KExpr;
  readonly height: KExpr;
  readonly width: KExpr;
  readonly outRows: KExpr;
  readonly outWidth: KExpr;
}

/** Elements past the last plane that a tile may read without using them: more than the widest tile. */
const slack = (lanes: number): number => 16 * lanes;

/** Elements of the planes of one image. */
export const planesSize = (s: PlaneSet, channels: Dim, outRows: Dim, outWidth: Dim): Dim =>
  D.mul(D.mul(channels, s.planes.length), D.mul(D.add(outRows, s.extraRows), outWidth));

export const planesBytes = (images: number, size: Dim, lanes: number): Dim =>
  D.mul(4, D.add(D.mul(images, size), slack(lanes)));

export interface Planes {
  /** Elements of a plane, and of all planes of a channel. */
  readonly planeSize: KExpr;
  readonly channelSize: KExpr;
  /** Elements that so many images take. */
  readonly size: (images: number) => KExpr;
  /** Writes zeros once, from `at` on: no image touches what lies outside it. */
  readonly clear: (k: KernelBuilder, at: KExpr, images: number, shares: Shares) => void;
  /** Lays out some channels of one image, whose elements start at `from` in the source, at `to`. */
  readonly fill: (k: KernelBuilder, read: ReadSource, from: KExpr, to: KExpr, channels: Range) => void;
}

export function layPlanes(k: KernelBuilder, s: PlaneSet, sizes: PlaneSizes, into: KBuffer, lanes: number): Planes {
  const { channels, height, width, outWidth } = sizes;
  const rows = k.let(add(sizes.outRows, s.extraRows), 'rows');
  const planeSize = k.let(mul(rows, outWidth), 'plane');
  const channelSize = k.let(mul(planeSize, s.planes.length), 'channel');
  const rowOffsets = [...new Set(s.planes.map((p) => p.row))];
  const size = (images: number): KExpr => add(mul(mul(channels, channelSize), images), slack(lanes));
  return {
    planeSize,
    channelSize,
    size,
    clear: (b, at, images, { share, mine }) => {
      const end = b.let(sub(add(at, size(images)), lanes), 'end');
      const range = share(b, at, end, lanes);
      b.for(range.from, range.to, lanes, (i) => b.store(into, i, splat(f32(0), lanes)));
      b.if(mine, () => b.store(into, end, splat(f32(0), lanes)));
    },
    fill: (b, read, from, to, range) =>
      b.for(range.from, range.to, 1, (c) => {
        const image = b.let(add(from, mul(c, mul(height, width))), 'image');
        const planes = b.let(add(to, mul(c, channelSize)), 'planes');
        for (const offset of rowOffsets) {
          const met = meets(rows, height, s.stride[0], offset);
          b.for(met.first, b.let(met.end), 1, (r) => {
            const source = b.let(add(image, mul(add(mul(r, s.stride[0]), offset), width)), 'source');
            s.planes.forEach((p, i) => {
              if (p.row !== offset) return;
              const row = b.let(add(add(planes, mul(planeSize, i)), mul(r, outWidth)), 'row');
              copyRow(b, read, meets(outWidth, width, s.stride[1], p.col), source, into, row, lanes);
            });
          });
        }
      }),
  };
}

/** The outputs o of an axis for which o * stride + offset lies inside the source. */
interface Meets {
  readonly first: number;
  readonly end: KExpr;
  readonly stride: number;
  readonly offset: number;
}

function meets(outputs: KExpr, size: KExpr, stride: number, offset: number): Meets {
  const first = Math.max(0, Math.ceil(-offset / stride));
  const end = min(outputs, div(max(add(size, stride - 1 - offset), 0), stride));
  return { first, end, stride, offset };
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
  const at = (o: KExpr): KExpr => b.let(add(add(source, mul(o, m.stride)), m.offset));
  const one = (o: KExpr): void => b.store(into, add(row, o), read(b, at(o), 1));
  const end = b.let(m.end, 'end');
  if (m.stride > 2) return b.for(m.first, end, 1, one);
  const even = Array.from({ length: lanes }, (_, i) => 2 * i);
  const put = (o: KExpr): void => {
    const from = at(o);
    const vector = read(b, from, lanes);
    const taken = m.stride === 1 ? vector : shuffle(vector, read(b, b.let(add(from, lanes)), lanes), even);
    b.store(into, add(row, o), taken);
  };
  // Every second element is read as two whole vectors: the last one would reach past the source.
  const reach = m.stride === 1 ? 0 : 1;
  if (end.k === 'const') {
    const whole = Math.max(0, Math.floor((end.value - m.first - reach) / lanes));
    const body = m.first + whole * lanes;
    if (whole <= 16) for (let o = m.first; o < body; o += lanes) put(i32(o));
    else b.for(m.first, body, lanes, put);
    // One vector that overlaps the last is cheaper than scalars.
    if (m.stride === 1 && whole > 0 && body < end.value) put(i32(end.value - lanes));
    else for (let o = body; o < end.value; o++) one(i32(o));
    return;
  }
  const vectors = b.let(div(max(sub(end, m.first + reach), 0), lanes), 'vectors');
  const body = b.let(add(mul(vectors, lanes), m.first), 'body');
  b.for(m.first, body, lanes, put);
  b.for(body, end, 1, one);
}
