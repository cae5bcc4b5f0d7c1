/**
 * The gradient of a convolution by its weight: for every output channel and tap, the dot product of a row of dy with the
 * planes of the input, over outputs and images. Both are contiguous along the outputs, so vectors run there: an
 * accumulator is a vector of partial sums, whose lanes are added up after a block of images. The order of summation
 * depends on the shapes only.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, div, f32, fma, i32, lane, load, lt, min, mul, rem, select, sub, vector } from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import { type Candidate, type Candidates, distinct } from '../../codegen/choose.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import * as D from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';
import { CallBuilder } from './call-builder.ts';
import { forwardPlanes, tapOffsets } from './conv-forward.ts';
import { layPlanes, planesBytes, planesSize } from './conv-planes.ts';
import type { ConvSpec } from './conv.ts';
import { conv2dWeightGradView, tapCount } from './conv.ts';
import type { EmitTile, Epilogue, ReadSource, Source } from './epilogue.ts';
import { everybody } from './team.ts';
import type { Accumulators } from './tile.ts';
import { each, zeros } from './tile.ts';

/** Channels x taps of sums in registers. */
export interface DotTile {
  readonly rows: number;
  readonly taps: number;
}

/** 12 accumulators and what feeds them fill 15 registers. */
const ROWS = 2;
const TAPS = [6, 5, 4] as const;

/** The number of taps that wastes least of the last tile; others, and higher tiles where there are registers for them, to be measured. */
export function dotTiles(s: ConvSpec, { registers }: Target): Candidates<DotTile> {
  const taps = tapCount(s, s.inChannels).value;
  const waste = (t: number): number => (taps === null ? 0 : Math.ceil(taps / t) * t);
  const least = TAPS.reduce<number>((best, t) => (waste(t) < waste(best) ? t : best), TAPS[0]);
  const named = (rows: number, t: number): Candidate<DotTile> => ({
    name: `dots ${rows}x${t}`,
    value: { rows, taps: t },
  });
  const heights = registers >= 32 ? [ROWS, 3, 4] : [ROWS];
  return distinct([named(ROWS, least), ...heights.flatMap((rows) => TAPS.map((t) => named(rows, t)))]);
}

/** Planes of as many images as this holds stay near: the accumulators rest in registers over all of them. */
const BLOCK_BYTES = 256 * 1024;
const MAX_IMAGES = 8;

export function convWeightGrad(
  s: ConvSpec,
  x: Source,
  dy: Source,
  epilogue: Epilogue,
  { lanes }: Target,
  { rows: height, taps: perTile }: DotTile,
  origins: readonly Origin[],
): KernelCall {
  const set = forwardPlanes(s);
  const call = new CallBuilder();
  const { k } = call;
  const readX = call.source(x);
  const readDy = call.source(dy);
  const batch = call.size('batch', s.batch);
  const inGroup = call.fixed('in_channels', D.div(s.inChannels, s.groups));
  const outGroup = call.fixed('out_channels', D.div(s.outChannels, s.groups));
  const sizes = {
    channels: mul(inGroup, s.groups),
    height: call.fixed('height', s.height),
    width: call.fixed('width', s.width),
    outRows: call.fixed('out_height', s.outHeight),
    outWidth: call.fixed('out_width', s.outWidth),
  };
  const tapsDim = tapCount(s, s.inChannels);
  const size = planesSize(set, s.inChannels, s.outHeight, s.outWidth);
  const fit = size.value === null ? 1 : Math.floor(BLOCK_BYTES / Math.max(4, 4 * size.value));
  const images = Math.max(1, Math.min(MAX_IMAGES, fit));
  const planes = call.scratch('planes', planesBytes(images, size, lanes));
  const offsets = call.scratch('taps', D.mul(4, tapsDim), 'i32');
  const sums = call.scratch('sums', D.mul(4, D.mul(s.outChannels, tapsDim)));
  const emit = call.epilogue(epilogue, conv2dWeightGradView(s));

  const taps = k.let(mul(inGroup, s.kernel[0] * s.kernel[1]), 'taps');
  const pixels = k.let(mul(sizes.outRows, sizes.outWidth), 'pixels');
  const outChannels = k.let(mul(outGroup, s.groups), 'channels');
  const layout = layPlanes(k, set, sizes, planes, lanes);
  const imageSize = k.let(mul(sizes.channels, layout.channelSize), 'size');
  layout.clear(k, i32(0), images, everybody(k));
  tapOffsets(k, s, layout, sizes.outWidth, inGroup, offsets);
  k.for(0, k.let(mul(outChannels, taps)), 1, (i) => k.store(sums, i, f32(0)), 'parallel');

  const tapTiles = k.let(div(add(taps, perTile - 1), perTile), 'tiles');
  k.for(0, batch, images, (first) => {
    const count = k.let(min(images, sub(batch, first)), 'count');
    // Neighbouring channels of an image are one thread's.
    const fillChannels = (item: KExpr): void => {
      const [i, c] = [k.let(div(item, sizes.channels), 'i'), k.let(rem(item, sizes.channels), 'c')];
      const from = k.let(mul(add(first, i), mul(mul(sizes.channels, sizes.height), sizes.width)), 'from');
      layout.fill(k, readX, from, k.let(mul(i, imageSize), 'to'), { from: c, to: k.let(add(c, 1)) });
    };
    k.for(0, k.let(mul(count, sizes.channels)), 1, fillChannels, 'parallel');
    k.for(
      0,
      k.let(mul(tapTiles, s.groups)),
      1,
      (tile) => {
        const g = s.groups === 1 ? i32(0) : k.let(div(tile, tapTiles), 'g');
        const tap = k.let(mul(s.groups === 1 ? tile : rem(tile, tapTiles), perTile), 'tap');
        const start = k.let(mul(mul(g, inGroup), layout.channelSize), 'start');
        const tapIndices = within(k, tap, perTile, taps);
        const tapAt = tapIndices.map((t) => k.let(add(load(offsets, t), start), 'tap'));
        k.for(0, outGroup, height, (row) => {
          const channels = within(k, row, height, outGroup).map((r) => k.let(add(mul(g, outGroup), r), 'channel'));
          const acc = zeros(k, height, perTile, lanes);
          k.for(0, count, 1, (i) => {
            const image = k.let(mul(add(first, i), outChannels), 'image');
            const rows = channels.map((c) => k.let(mul(add(image, c), pixels), 'dy'));
            const columns = tapAt.map((o) => k.let(add(o, mul(i, imageSize)), 'x'));
            dotProducts(k, acc, readDy, rows, (c, q) => load(planes, add(columns[c]!, q), lanes), pixels);
          });
          each(acc, (v, r, c) =>
            onlyInside(k, row, r, height, outGroup, () =>
              onlyInside(k, tap, c, perTile, taps, () => {
                const at = k.let(add(mul(channels[r]!, taps), tapIndices[c]!), 'at');
                k.store(sums, at, add(load(sums, at), sumLanes(v)));
              }),
            ),
          );
        });
      },
      'parallel',
    );
  });
  emitSums(k, lanes, outChannels, taps, (index, n) => load(sums, index, n), emit);
  return call.finish('conv2d_weight_grad', origins);
}

/** Whether tiles of `tile` items leave a part of one over. */
const uneven = (count: KExpr, tile: number): boolean => count.k !== 'const' || count.value % tile !== 0;

/** The items of a tile; past the end the last is repeated, and its results are dropped by `onlyInside`. */
function within(k: KernelBuilder, first: KExpr, tile: number, count: KExpr): readonly KExpr[] {
  return Array.from({ length: tile }, (_, i) => {
    const item = add(first, i);
    return k.let(uneven(count, tile) ? min(item, sub(count, 1)) : item, 'item');
  });
}

function onlyInside(k: KernelBuilder, first: KExpr, i: number, tile: number, count: KExpr, body: () => void): void {
  if (i > 0 && uneven(count, tile)) k.if(lt(add(first, i), count), body);
  else body();
}

/** Adds to each accumulator the products of a row of dy with a tap's column, over all outputs of an image. */
function dotProducts(
  k: KernelBuilder,
  acc: Accumulators,
  readDy: ReadSource,
  rows: readonly KExpr[],
  column: (tap: number, q: KExpr) => KExpr,
  pixels: KExpr,
): void {
  const { lanes } = acc[0]![0]!.type;
  const step = (left: readonly KExpr[], right: (tap: number) => KExpr): void =>
    acc[0]!.forEach((_, c) => {
      const b = k.let(right(c), 'b');
      left.forEach((a, r) => k.set(acc[r]![c]!, fma(a, b, acc[r]![c]!)));
    });
  const whole = k.let(mul(div(pixels, lanes), lanes), 'whole');
  k.for(0, whole, lanes, (q) =>
    step(
      rows.map((r) => k.let(readDy(k, k.let(add(r, q)), lanes), 'a')),
      (c) => column(c, q),
    ),
  );
  // Lanes past the last output are masked on both sides: zero times infinity is not zero.
  k.if(lt(whole, pixels), () => {
    const index = Array.from({ length: lanes }, (_, l) => i32(l));
    const mask = k.let(lt(vector(index), k.let(sub(pixels, whole))), 'mask');
    const last = k.let(sub(pixels, 1), 'last');
    const rest = (r: KExpr): KExpr => vector(index.map((l) => readDy(k, k.let(add(r, min(add(whole, l), last))), 1)));
    step(
      rows.map((r) => k.let(select(mask, rest(r), 0), 'a')),
      (c) => select(mask, column(c, whole), 0),
    );
  });
}

function sumLanes(v: KExpr): KExpr {
  let items = Array.from({ length: v.type.lanes }, (_, i) => lane(v, i));
  while (items.length > 1) {
    const half = items.length / 2;
    items = Array.from({ length: half }, (_, i) => add(items[i]!, items[i + half]!));
  }
  return items[0]!;
}

function emitSums(
  k: KernelBuilder,
  lanes: number,
  rows: KExpr,
  cols: KExpr,
  at: (index: KExpr, lanes: number) => KExpr,
  emit: EmitTile,
): void {
  const whole = k.let(mul(div(cols, lanes), lanes), 'whole');
  const emitRow = (row: KExpr): void => {
    const base = k.let(mul(row, cols), 'base');
    const put = (col: KExpr, n: number): void => {
      const flat = k.let(add(base, col), 'flat');
      emit(k, { acc: k.let(at(flat, n)), batch: i32(0), row, col, flat });
    };
    k.for(0, whole, lanes, (col) => put(col, lanes));
    k.for(whole, cols, 1, (col) => put(col, 1));
  };
  k.for(0, rows, 1, emitRow, 'parallel');
}
