/**
 * The gradient of a convolution by its weight: for every output channel and tap, the dot product of a row of dy with the
 * unrolled input, over outputs and images. Both are contiguous along the outputs, so vectors run there: each accumulator
 * is a vector of partial sums, kept in memory between blocks of images and added up at the end. The order depends on
 * the shapes only.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import {
  add,
  div,
  f32,
  fma,
  i32,
  lane,
  load,
  lt,
  min,
  mul,
  select,
  splat,
  sub,
  vector,
} from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import * as D from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';
import { CallBuilder } from './call-builder.ts';
import { forwardPlanes, tapOffsets } from './conv-forward.ts';
import { layPlanes, planesBytes, planesSize } from './conv-planes.ts';
import type { ConvSpec } from './conv.ts';
import { conv2dWeightGradView, tapCount } from './conv.ts';
import type { EmitTile, Epilogue, Source } from './epilogue.ts';
import { each, zeros } from './tile.ts';

const ROWS = 2;

/** The number of taps per tile that wastes least of the last one; 6 with 2 rows fill the registers. */
function tapsPerTile(taps: number | null): number {
  const waste = (t: number): number => (taps === null ? 0 : Math.ceil(taps / t) * t);
  return [6, 5, 4].reduce((best, t) => (waste(t) < waste(best) ? t : best));
}

/** Unrolled images that a block keeps near: the accumulators rest in registers over all of them. */
const BLOCK_BYTES = 256 * 1024;

export function convWeightGrad(
  s: ConvSpec,
  x: Source,
  dy: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall {
  const { lanes } = target;
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
  const perTile = tapsPerTile(tapsDim.value);
  const size = planesSize(set, s.inChannels, s.outHeight, s.outWidth);
  const images = size.value === null ? 1 : Math.max(1, Math.min(8, Math.floor(BLOCK_BYTES / (4 * size.value))));
  const planes = call.scratch('planes', planesBytes(images, size));
  const offsets = call.scratch('taps', D.mul(4, tapsDim), 'i32');
  const tiles = D.mul(ceilDiv(D.div(s.outChannels, s.groups), ROWS), ceilDiv(tapsDim, perTile));
  const partial = call.scratch('partial', D.mul(D.mul(4 * ROWS * perTile * lanes, s.groups), tiles));
  const sums = call.scratch('sums', D.mul(4, D.mul(s.outChannels, tapsDim)));
  const emit = call.epilogue(epilogue, conv2dWeightGradView(s));

  const taps = k.let(mul(inGroup, s.kernel[0] * s.kernel[1]), 'taps');
  const pixels = k.let(mul(sizes.outRows, sizes.outWidth), 'pixels');
  const layout = layPlanes(k, set, sizes, planes, lanes);
  const imageSize = k.let(mul(sizes.channels, layout.channelSize), 'size');
  layout.clear(k, images);
  tapOffsets(k, s, layout, sizes.outWidth, inGroup, offsets);
  const tileSize = ROWS * perTile * lanes;
  const tapTiles = k.let(div(add(taps, perTile - 1), perTile), 'tap_tiles');
  const rowTiles = k.let(div(add(outGroup, ROWS - 1), ROWS), 'row_tiles');
  const partials = k.let(mul(mul(mul(tapTiles, rowTiles), s.groups), tileSize), 'partials');
  k.for(0, partials, lanes, (i) => k.store(partial, i, splat(f32(0), lanes)));

  const lastRow = k.let(sub(outGroup, 1));
  const lastTap = k.let(sub(taps, 1));
  const eachTile = (use: (g: KExpr, row: KExpr, tap: KExpr, at: KExpr) => void): void =>
    k.for(0, s.groups, 1, (g) =>
      k.for(0, tapTiles, 1, (j) =>
        k.for(0, rowTiles, 1, (i) => {
          const at = k.let(mul(add(mul(add(mul(g, tapTiles), j), rowTiles), i), tileSize), 'at');
          use(g, k.let(mul(i, ROWS)), k.let(mul(j, perTile)), at);
        }),
      ),
    );

  k.for(0, batch, images, (first) => {
    const count = k.let(min(images, sub(batch, first)), 'count');
    k.for(0, count, 1, (i) => {
      const from = k.let(mul(add(first, i), mul(mul(sizes.channels, sizes.height), sizes.width)), 'from');
      layout.fill(k, readX, from, k.let(mul(i, imageSize), 'to'));
    });
    eachTile((g, row, tap, at) => {
      const acc = zeros(k, ROWS, perTile, lanes);
      each(acc, (v, r, c) => k.set(v, load(partial, add(at, (r * perTile + c) * lanes), lanes)));
      const start = k.let(mul(mul(g, inGroup), layout.channelSize), 'start');
      const tapAt = Array.from({ length: perTile }, (_, c) =>
        k.let(add(load(offsets, min(add(tap, c), lastTap)), start), 'tap'),
      );
      const channels = Array.from({ length: ROWS }, (_, r) =>
        k.let(add(mul(g, outGroup), min(add(row, r), lastRow)), 'channel'),
      );
      k.for(0, count, 1, (i) => {
        const n = k.let(add(first, i), 'n');
        const rows = channels.map((c) => k.let(mul(add(mul(n, mul(outGroup, s.groups)), c), pixels), 'dy'));
        const columns = tapAt.map((o) => k.let(add(o, mul(i, imageSize)), 'x'));
        const whole = k.let(mul(div(pixels, lanes), lanes), 'whole');
        const step = (left: readonly KExpr[], right: (c: number) => KExpr): void => {
          for (let c = 0; c < perTile; c++) {
            const b = k.let(right(c), 'b');
            left.forEach((a, r) => k.set(acc[r]![c]!, fma(a, b, acc[r]![c]!)));
          }
        };
        k.for(0, whole, lanes, (q) =>
          step(
            rows.map((r) => k.let(readDy(k, k.let(add(r, q)), lanes), 'a')),
            (c) => load(planes, add(columns[c]!, q), lanes),
          ),
        );
        k.if(lt(whole, pixels), () =>
          lastPixels(k, lanes, whole, pixels, (mask) => {
            const dyAt = (r: KExpr): KExpr =>
              vector(
                Array.from({ length: lanes }, (_, l) =>
                  readDy(k, k.let(add(r, min(add(whole, l), sub(pixels, 1)))), 1),
                ),
              );
            step(
              rows.map((r) => k.let(select(mask, dyAt(r), 0), 'a')),
              (c) => select(mask, load(planes, add(columns[c]!, whole), lanes), 0),
            );
          }),
        );
      });
      each(acc, (v, r, c) => k.store(partial, add(at, (r * perTile + c) * lanes), v));
    });
  });

  eachTile((g, row, tap, at) => {
    for (let r = 0; r < ROWS; r++)
      for (let c = 0; c < perTile; c++)
        k.if(lt(add(row, r), outGroup), () =>
          k.if(lt(add(tap, c), taps), () => {
            const v = k.let(load(partial, add(at, (r * perTile + c) * lanes), lanes));
            k.store(sums, add(mul(add(add(mul(g, outGroup), row), r), taps), add(tap, c)), sumLanes(v));
          }),
        );
  });
  emitSums(k, lanes, mul(outGroup, s.groups), taps, (index, n) => load(sums, index, n), emit);
  return call.finish('conv2d_weight_grad', origins);
}

const ceilDiv = (a: D.Dim, b: number): D.Dim => D.div(D.add(a, b - 1), b);

/** The outputs after the last whole vector: lanes past the end are masked, because zero times infinity is not zero. */
function lastPixels(k: KernelBuilder, lanes: number, whole: KExpr, pixels: KExpr, use: (mask: KExpr) => void): void {
  const left = k.let(sub(pixels, whole), 'left');
  const index = vector(Array.from({ length: lanes }, (_, l) => i32(l)));
  use(k.let(lt(index, left), 'mask'));
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
  k.for(0, rows, 1, (row) => {
    const base = k.let(mul(row, cols), 'base');
    const put = (col: KExpr, n: number): void => {
      const flat = k.let(add(base, col), 'flat');
      emit(k, { acc: k.let(at(flat, n)), batch: i32(0), row, col, flat });
    };
    k.for(0, whole, lanes, (col) => put(col, lanes));
    k.for(whole, cols, 1, (col) => put(col, 1));
  });
}
