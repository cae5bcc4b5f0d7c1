/**
 * The gradient of a convolution by its weight where channels fill vectors: they are made the innermost axis of the image,
 * once for all taps. Each output is then a rank-one update of a tile of output channels x (tap, vector of channels), whose
 * sums stay in registers over a block of images. Unlike the dot products along outputs of `conv-weight.ts` it needs no
 * long rows, which deep layers do not have, and no sums across lanes. The order of summation depends on the shapes only.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, div, f32, i32, load, lt, min, mul, rem, splat, sub } from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { Candidate } from '../../codegen/choose.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';
import { THREADS } from '../artifact.ts';
import { CallBuilder } from './call-builder.ts';
import { channelTiles, type TileSize, tileSizes } from './conv-tile.ts';
import type { ConvSpec } from './conv.ts';
import { conv2dWeightGradView, tapCount } from './conv.ts';
import type { EmitTile, Epilogue, ReadSource, Source } from './epilogue.ts';
import { everybody, thread } from './team.ts';
import { each, multiplyAdd, zeros } from './tile.ts';
import { transpose } from './transpose.ts';

/** Images of a block stay in the second-level cache while all tiles pass over them. */
const BLOCK_BYTES = 256 * 1024;
const MAX_IMAGES = 16;

/** The padded image with channels innermost, those of each group filled up to whole vectors. */
interface Layout {
  readonly rows: Dim;
  readonly cols: Dim;
  /** Elements of a pixel: all groups. */
  readonly pixel: number;
  /** Of one group. */
  readonly channels: number;
  readonly size: Dim;
  /** Channels come in pairs of vectors. */
  readonly paired: boolean;
}

/** Padding of vectors with channels that do not exist costs as much as this share of the work before dot products win. */
const MOST_FILLED = 1.125;

/** Null where channels are unknown or leave too much of their vectors empty. */
function layoutOf(s: ConvSpec, { lanes, paired }: Target): Layout | null {
  const channels = D.div(s.inChannels, s.groups).value;
  if (channels === null || lanes === 1) return null;
  const fits = (width: number): boolean => Math.ceil(channels / width) * width <= MOST_FILLED * channels;
  const width = paired && fits(2 * lanes) ? 2 * lanes : lanes;
  if (!fits(width)) return null;
  const filled = Math.ceil(channels / width) * width;
  const rows = D.add(s.height, s.padding[0] + s.padding[1]);
  const cols = D.add(s.width, s.padding[2] + s.padding[3]);
  const pixel = filled * s.groups;
  return { rows, cols, pixel, channels: filled, size: D.mul(D.mul(rows, cols), pixel), paired: width > lanes };
}

/** Tiles for it, the usual one first; none where channels do not fill vectors. */
export function channelForms(s: ConvSpec, target: Target): readonly Candidate<TileSize>[] {
  const layout = layoutOf(s, target);
  if (!layout) return [];
  const columns = D.dim(s.kernel[0] * s.kernel[1] * layout.channels);
  // Vectors are paired where channels come in pairs of them.
  const { paired: _, ...single } = target;
  return tileSizes(D.div(s.outChannels, s.groups), columns, layout.paired ? target : single);
}

export function convWeightGradByChannels(
  s: ConvSpec,
  x: Source,
  dy: Source,
  epilogue: Epilogue,
  target: Target,
  size: TileSize,
  origins: readonly Origin[],
): KernelCall {
  const { lanes } = target;
  const layout = layoutOf(s, target)!;
  const inGroup = D.div(s.inChannels, s.groups).value!;
  const taps = s.kernel[0] * s.kernel[1];
  const columns = taps * layout.channels;
  const call = new CallBuilder();
  const { k } = call;
  const readX = call.source(x);
  const readDy = call.source(dy);
  const batch = call.size('batch', s.batch);
  const outGroup = call.fixed('out_channels', D.div(s.outChannels, s.groups));
  const height = call.fixed('height', s.height);
  const width = call.fixed('width', s.width);
  const outRows = call.fixed('out_height', s.outHeight);
  const outWidth = call.fixed('out_width', s.outWidth);
  const tiles = channelTiles(outGroup, size, target);
  // Vectors that neighbour each other in every tile: one place, and constants from there on.
  const together = commonDivisor(tiles.vectors, layout.channels / lanes);
  const rowSize = Math.ceil(columns / tiles.nr) * tiles.nr;
  const fit = layout.size.value === null ? 1 : Math.floor(BLOCK_BYTES / Math.max(4, 4 * layout.size.value));
  const images = Math.max(1, Math.min(MAX_IMAGES, fit));
  const pixelCount = D.mul(s.height, s.width);
  const outputCount = D.mul(s.outHeight, s.outWidth);
  const inner = call.scratch('image', D.mul(4, D.mul(images, layout.size)));
  const places = call.scratch('places', D.mul(4, pixelCount), 'i32');
  const positions = call.scratch('positions', D.mul(4, outputCount), 'i32');
  const offsets = call.scratch('taps', D.dim((4 * rowSize) / lanes), 'i32');
  const sums = call.scratch('sums', D.mul(4 * rowSize, s.outChannels));
  const row = call.scratch('row', D.product([D.sym(THREADS), 4, tapCount(s, s.inChannels)]));
  const emit = call.epilogue(epilogue, conv2dWeightGradView(s));

  const paddedWidth = k.let(add(width, s.padding[2] + s.padding[3]), 'padded');
  const paddedHeight = add(height, s.padding[0] + s.padding[1]);
  const imageSize = k.let(mul(mul(paddedHeight, paddedWidth), layout.pixel), 'size');
  const outChannels = k.let(mul(outGroup, s.groups), 'channels');
  const pixels = k.let(mul(height, width), 'pixels');
  const outputs = k.let(mul(outRows, outWidth), 'outputs');
  // What lies outside the image and beyond the last channel is written here alone.
  fill(k, inner, k.let(mul(imageSize, images)), lanes);
  fill(k, sums, k.let(mul(outChannels, rowSize)), lanes);
  const placeOf = (p: KExpr): void => {
    const y = add(div(p, width), s.padding[0]);
    const at = add(mul(y, paddedWidth), add(rem(p, width), s.padding[2]));
    k.store(places, p, mul(at, layout.pixel));
  };
  k.for(0, pixels, 1, placeOf, 'parallel');
  const positionOf = (q: KExpr): void => {
    const y = mul(div(q, outWidth), s.stride[0]);
    k.store(positions, q, mul(add(mul(y, paddedWidth), mul(rem(q, outWidth), s.stride[1])), layout.pixel));
  };
  k.for(0, outputs, 1, positionOf, 'parallel');
  const vectors = layout.channels / lanes;
  const shares = everybody(k);
  k.if(shares.mine, () => {
    for (let ky = 0; ky < s.kernel[0]; ky++)
      for (let kx = 0; kx < s.kernel[1]; kx++) {
        const tap = ky * s.kernel[1] + kx;
        const at = add(mul(paddedWidth, ky * s.dilation[0]), kx * s.dilation[1]);
        const offset = k.let(mul(at, layout.pixel), 'tap');
        k.for(0, vectors, 1, (v) => k.store(offsets, add(v, tap * vectors), add(offset, mul(v, lanes))));
      }
    // The last tile's vectors past the end take those of the first tap, into sums that nobody reads.
    for (let v = columns / lanes; v < rowSize / lanes; v++) k.store(offsets, v, i32(0));
  });

  k.for(0, batch, images, (first) => {
    const count = k.let(min(images, sub(batch, first)), 'count');
    // An item is a vector of channels of a group of an image.
    const turn = (item: KExpr): void => {
      const g = k.let(div(item, vectors), 'g');
      const i = s.groups === 1 ? g : k.let(div(g, s.groups), 'i');
      const c = k.let(mul(sub(item, mul(g, vectors)), lanes), 'c');
      const from = k.let(mul(mul(add(mul(first, s.groups), g), inGroup), pixels), 'from');
      const group = s.groups === 1 ? i32(0) : mul(sub(g, mul(i, s.groups)), layout.channels);
      const to = k.let(add(mul(i, imageSize), group), 'to');
      channelsInside(k, readX, from, inner, places, to, c, { channels: inGroup, pixels, lanes });
    };
    k.for(0, k.let(mul(count, s.groups * vectors)), 1, turn, 'parallel');
    k.for(0, s.groups, 1, (g) => {
      const group = k.let(mul(g, layout.channels), 'group');
      const firstChannel = k.let(mul(g, outGroup), 'first');
      tiles.cover(k, i32(columns), false, shares, (r0, rows, column) => {
        const channels = tiles.channels(k, r0, rows).map((c) => k.let(add(firstChannel, c), 'channel'));
        const vector = k.let(div(column, lanes), 'vector');
        const starts = Array.from({ length: tiles.vectors / together }, (_, c) =>
          k.let(add(load(offsets, add(vector, c * together)), group), 'start'),
        );
        const acc = zeros(k, rows, tiles.vectors, lanes);
        const place = channels.map((c) => k.let(add(mul(c, rowSize), column), 'at'));
        k.for(0, count, 1, (i) => {
          const image = k.let(mul(add(first, i), outChannels), 'image');
          const dys = channels.map((c) => k.let(mul(add(image, c), outputs), 'dy'));
          const bases = starts.map((start) => k.let(add(start, mul(i, imageSize)), 'base'));
          k.for(0, outputs, 1, (q) => {
            const position = k.let(load(positions, q), 'position');
            const at = bases.map((b) => k.let(add(position, b), 'at'));
            multiplyAdd(
              k,
              acc,
              (r) => readDy(k, k.let(add(dys[r]!, q)), 1),
              (c) => load(inner, add(at[Math.floor(c / together)]!, (c % together) * lanes), lanes),
            );
          });
        });
        // All are read before any is written: between a load and a store of neighbours vectors could not be paired.
        const before = acc.map((row, r) => row.map((_, c) => k.let(load(sums, add(place[r]!, c * lanes), lanes))));
        each(acc, (v, r, c) => k.store(sums, add(place[r]!, c * lanes), add(before[r]![c]!, v)));
      });
    });
    k.barrier('threads');
  });
  emitTurned(k, { taps, inGroup, channels: layout.channels, rowSize, outChannels, lanes }, sums, row, emit);
  return call.finish('conv2d_weight_grad', origins);
}

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b));

function fill(k: KernelBuilder, buf: KBuffer, count: KExpr, lanes: number): void {
  k.for(0, count, lanes, (i) => k.store(buf, i, splat(f32(0), lanes)), 'parallel');
}

/** Copies a vector of channels, from `c` on, of an image to where they are the innermost axis: squares are turned in registers. */
function channelsInside(
  k: KernelBuilder,
  read: ReadSource,
  from: KExpr,
  into: KBuffer,
  places: KBuffer,
  to: KExpr,
  c: KExpr,
  s: { readonly channels: number; readonly pixels: KExpr; readonly lanes: number },
): void {
  const { channels, pixels, lanes } = s;
  const wholeChannels = channels - (channels % lanes);
  const one = (channel: KExpr, p: KExpr): void => {
    const value = read(k, k.let(add(add(from, mul(channel, pixels)), p)), 1);
    k.store(into, add(add(to, load(places, p)), channel), value);
  };
  const whole = (): void => {
    const rows = Array.from({ length: lanes }, (_, l) => k.let(add(from, mul(add(c, l), pixels)), 'row'));
    const wholePixels = k.let(mul(div(pixels, lanes), lanes), 'whole');
    k.for(0, wholePixels, lanes, (p) => {
      const square = rows.map((r) => k.let(read(k, k.let(add(r, p)), lanes), 's'));
      transpose(square, (e) => k.let(e, 's')).forEach((v, l) =>
        k.store(into, add(add(to, load(places, add(p, l))), c), v),
      );
    });
    k.for(wholePixels, pixels, 1, (p) => {
      for (let l = 0; l < lanes; l++) one(add(c, l), p);
    });
  };
  const rest = (): void => k.for(wholeChannels, channels, 1, (channel) => k.for(0, pixels, 1, (p) => one(channel, p)));
  if (wholeChannels === channels) whole();
  else k.if(lt(c, wholeChannels), whole, rest);
}

/** Hands the sums to the epilogue, a row at a time turned from [tap, channel] to the weight's [channel, tap]. */
function emitTurned(
  k: KernelBuilder,
  s: {
    readonly taps: number;
    readonly inGroup: number;
    readonly channels: number;
    readonly rowSize: number;
    readonly outChannels: KExpr;
    readonly lanes: number;
  },
  sums: KBuffer,
  row: KBuffer,
  emit: EmitTile,
): void {
  const cols = s.taps * s.inGroup;
  const whole = cols - (cols % s.lanes);
  const own = k.let(mul(thread, cols), 'own');
  const emitChannel = (channel: KExpr): void => {
    const from = k.let(mul(channel, s.rowSize), 'from');
    const base = k.let(mul(channel, cols), 'base');
    for (let tap = 0; tap < s.taps; tap++)
      k.for(0, s.inGroup, 1, (c) =>
        k.store(row, add(add(own, mul(c, s.taps)), tap), load(sums, add(add(from, c), tap * s.channels))),
      );
    const put = (col: KExpr, n: number): void =>
      emit(k, {
        acc: k.let(load(row, add(own, col), n)),
        batch: i32(0),
        row: channel,
        col,
        flat: k.let(add(base, col), 'flat'),
      });
    k.for(0, whole, s.lanes, (col) => put(col, s.lanes));
    k.for(whole, cols, 1, (col) => put(col, 1));
  };
  k.for(0, s.outChannels, 1, emitChannel, 'parallel');
}
