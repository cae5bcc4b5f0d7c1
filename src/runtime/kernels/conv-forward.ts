/**
 * Convolution as a matrix product: rows are output channels, columns the outputs of one image, depth the taps. The
 * weights are read as they lie, the image through its unrolled layout; sums stay in registers over the whole depth.
 */
import { add, i32, load, min, mul, sub } from '../../codegen/builder.ts';
import type { KernelBuilder } from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';
import { CallBuilder } from './call-builder.ts';
import type { Window } from './conv-unroll.ts';
import { unroll, unrolledBytes, unrolledSize } from './conv-unroll.ts';
import type { Epilogue, ReadSource, ResultView, Source } from './epilogue.ts';
import { each, finishTile, multiplyAdd, zeros } from './tile.ts';

export interface Convolution {
  readonly name: string;
  readonly batch: Dim;
  readonly groups: number;
  readonly inChannels: Dim;
  readonly outChannels: Dim;
  readonly height: Dim;
  readonly width: Dim;
  readonly outHeight: Dim;
  readonly outWidth: Dim;
  readonly window: Window;
  /** The weight is [inChannels, outChannels / groups, ...kernel] and turned by 180 degrees. */
  readonly flipped: boolean;
}

/** Vectors of a row of the tile by its number of rows: 12 accumulators or fewer, and what feeds them, fit 15 registers. */
const VECTORS = [0, 8, 5, 3, 2, 2, 2] as const;

/** Beyond this many bytes weights are not read again for every few outputs: they stay, and the image passes by. */
const WEIGHTS_IN_CACHE = 256 * 1024;

export function convolution(
  job: Convolution,
  x: Source,
  w: Source,
  epilogue: Epilogue,
  view: ResultView,
  target: Target,
  origins: readonly Origin[],
): KernelCall {
  const { lanes } = target;
  const { window } = job;
  const call = new CallBuilder();
  const { k } = call;
  const readX = call.source(x);
  const readW = call.source(w);
  const batch = call.size('batch', job.batch);
  const inGroup = call.fixed('in_channels', D.div(job.inChannels, job.groups));
  const outGroup = call.fixed('out_channels', D.div(job.outChannels, job.groups));
  const sizes = {
    channels: mul(inGroup, job.groups),
    height: call.fixed('height', job.height),
    width: call.fixed('width', job.width),
    outHeight: call.fixed('out_height', job.outHeight),
    outWidth: call.fixed('out_width', job.outWidth),
  };
  const taps = window.kernel[0] * window.kernel[1];
  const depthDim = D.mul(D.div(job.inChannels, job.groups), taps);
  const planes = call.scratch(
    'planes',
    unrolledBytes(1, unrolledSize(window, job.inChannels, job.outHeight, job.outWidth)),
  );
  const offsets = call.scratch('taps', D.mul(4, depthDim), 'i32');
  const copied = w.plain && !job.flipped ? null : call.scratch('weights', D.mul(4, D.mul(job.outChannels, depthDim)));
  const emit = call.epilogue(epilogue, view);

  const depth = k.let(mul(inGroup, taps), 'depth');
  const pixels = k.let(mul(sizes.outHeight, sizes.outWidth), 'pixels');
  const image = unroll(k, window, sizes, planes, lanes);
  image.clear(k, 1);
  k.for(0, inGroup, 1, (c) => {
    const channel = k.let(mul(c, image.channelSize), 'channel');
    eachTap(window, (ky, kx, t) => {
      const tap = job.flipped ? image.tap(window.kernel[0] - 1 - ky, window.kernel[1] - 1 - kx) : image.tap(ky, kx);
      k.store(offsets, add(mul(c, taps), t), add(channel, tap));
    });
  });
  if (copied) copyWeights(k, job, readW, copied, { inGroup, outGroup, taps });
  const weight = copied ? (index: KExpr): KExpr => load(copied, index) : (index: KExpr): KExpr => readW(k, index, 1);

  const rowsPerTile = Math.min(outGroup.k === 'const' ? outGroup.value : 6, 6);
  const vectors = VECTORS[rowsPerTile]!;
  const nr = vectors * lanes;
  const buffer = k.local('tile', 'f32', rowsPerTile * nr);

  k.for(0, batch, 1, (n) => {
    image.fill(k, readX, mul(n, k.let(mul(mul(sizes.channels, sizes.height), sizes.width))), i32(0));
    k.for(0, job.groups, 1, (g) => {
      const start = k.let(mul(g, mul(inGroup, image.channelSize)), 'start');
      const firstRow = k.let(mul(g, outGroup), 'first');
      const tile = (row: KExpr, q: KExpr, rows: number): void => {
        const acc = zeros(k, rows, vectors, lanes);
        const last = k.let(sub(outGroup, 1));
        const starts = acc.map((_, r) =>
          k.let(mul(add(firstRow, outGroup.k === 'const' ? add(row, r) : min(add(row, r), last)), depth), 'row'),
        );
        const column = k.let(add(start, q), 'column');
        k.for(0, depth, 1, (t) => {
          const at = k.let(add(load(offsets, t), column), 'at');
          multiplyAdd(
            k,
            acc,
            (r) => weight(k.let(add(starts[r]!, t))),
            (c) => load(planes, add(at, c * lanes), lanes),
          );
        });
        each(acc, (v, r, c) => k.store(buffer, r * nr + c * lanes, v));
        finishTile(
          k,
          {
            tile: buffer,
            at: i32(0),
            nr,
            lanes,
            totalRows: mul(outGroup, job.groups),
            totalCols: pixels,
            batch: n,
            row: k.let(add(firstRow, row), 'row'),
            col: q,
            rows: outGroup.k === 'const' ? i32(rows) : k.let(min(rows, sub(outGroup, row)), 'rows'),
            cols: k.let(min(nr, sub(pixels, q)), 'cols'),
          },
          emit,
        );
      };
      const overRows = (use: (row: KExpr, rows: number) => void): void => {
        if (outGroup.k !== 'const') return k.for(0, outGroup, rowsPerTile, (row) => use(row, rowsPerTile));
        const rest = outGroup.value % rowsPerTile;
        k.for(0, outGroup.value - rest, rowsPerTile, (row) => use(row, rowsPerTile));
        if (rest > 0) use(i32(outGroup.value - rest), rest);
      };
      const overColumns = (use: (q: KExpr) => void): void => k.for(0, pixels, nr, use);
      const weights = D.mul(4, D.mul(job.outChannels, depthDim)).value;
      if (weights !== null && weights > WEIGHTS_IN_CACHE)
        overRows((row, rows) => overColumns((q) => tile(row, q, rows)));
      else overColumns((q) => overRows((row, rows) => tile(row, q, rows)));
    });
  });
  return call.finish(job.name, origins);
}

export function eachTap(w: Window, use: (ky: number, kx: number, index: number) => void): void {
  for (let ky = 0; ky < w.kernel[0]; ky++) for (let kx = 0; kx < w.kernel[1]; kx++) use(ky, kx, ky * w.kernel[1] + kx);
}

/** Brings the weights into rows of output channels, taps along the row. */
function copyWeights(
  k: KernelBuilder,
  job: Convolution,
  read: ReadSource,
  into: KBuffer,
  { inGroup, outGroup, taps }: { readonly inGroup: KExpr; readonly outGroup: KExpr; readonly taps: number },
): void {
  k.for(0, job.groups, 1, (g) =>
    k.for(0, outGroup, 1, (o) =>
      k.for(0, inGroup, 1, (c) => {
        const row = add(mul(g, outGroup), o);
        const from = job.flipped ? add(mul(add(mul(g, inGroup), c), outGroup), o) : add(mul(row, inGroup), c);
        const source = k.let(mul(from, taps), 'from');
        const to = k.let(mul(add(mul(row, inGroup), c), taps), 'to');
        k.for(0, taps, 1, (t) => k.store(into, add(to, t), read(k, k.let(add(source, t)), 1)));
      }),
    ),
  );
}
