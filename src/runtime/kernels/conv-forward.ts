/**
 * Convolution as a matrix product: rows are output channels, columns the outputs of one image, depth the taps. The
 * weights are read as they lie, the image through its planes; sums stay in registers over the whole depth.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, i32, load, mul } from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import * as D from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';
import { CallBuilder } from './call-builder.ts';
import type { Planes, PlaneSet } from './conv-planes.ts';
import { layPlanes, planesBytes, planesSize } from './conv-planes.ts';
import { channelTiles, type TilePlan, tileSums } from './conv-tile.ts';
import type { ConvSpec } from './conv.ts';
import { conv2dView, tapCount, weightBytes } from './conv.ts';
import type { Epilogue, Source } from './epilogue.ts';
import { copiesFor, teamOver } from './team.ts';
import { each, finishTile } from './tile.ts';

export function convolution(
  s: ConvSpec,
  x: Source,
  w: Source,
  epilogue: Epilogue,
  target: Target,
  plan: TilePlan,
  origins: readonly Origin[],
): KernelCall {
  const { lanes } = target;
  const set = forwardPlanes(s);
  const call = new CallBuilder();
  const { k } = call;
  const readX = call.source(x);
  const readW = call.source(w);
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
  const taps = tapCount(s, s.inChannels);
  const planesOf = planesBytes(1, planesSize(set, s.inChannels, s.outHeight, s.outWidth), lanes);
  const buffer = call.scratch('planes', D.mul(copiesFor(s.batch), planesOf));
  const offsets = call.scratch('taps', D.mul(4, taps), 'i32');
  const copied = w.plain ? null : call.scratch('weights', weightBytes(s));
  const emit = call.epilogue(epilogue, conv2dView(s));

  const depth = k.let(mul(inGroup, s.kernel[0] * s.kernel[1]), 'depth');
  const pixels = k.let(mul(sizes.outRows, sizes.outWidth), 'pixels');
  const planes = layPlanes(k, set, sizes, buffer, lanes);
  const team = teamOver(k, batch);
  const own = k.let(mul(team.own, planes.size(1)), 'own');
  planes.clear(k, own, 1, team);
  tapOffsets(k, s, planes, sizes.outWidth, inGroup, offsets);
  const outChannels = k.let(mul(outGroup, s.groups), 'channels');
  if (copied) k.for(0, k.let(mul(outChannels, depth)), 1, (i) => k.store(copied, i, readW(k, i, 1)), 'parallel');
  const weight = (at: KExpr): KExpr => (copied ? load(copied, at) : readW(k, at, 1));
  const tiles = channelTiles(outGroup, plan, target);
  const tile = k.local('tile', 'f32', tiles.rows * tiles.nr);

  k.for(team.items.from, team.items.to, 1, (n) => {
    const image = k.let(mul(n, mul(mul(sizes.channels, sizes.height), sizes.width)), 'image');
    planes.fill(k, readX, image, own, team.share(k, 0, sizes.channels));
    team.meet(k);
    k.for(0, s.groups, 1, (g) => {
      const start = k.let(add(own, mul(g, mul(inGroup, planes.channelSize))), 'start');
      const first = k.let(mul(g, outGroup), 'first');
      tiles.cover(k, pixels, plan.channelsOutside, team, (row, rows, q) => {
        const column = k.let(add(start, q), 'column');
        const places = tiles.rowsOf(k, first, row, rows, depth);
        const acc = tileSums(k, tiles, rows, i32(0), depth, (t) => {
          const at = k.let(add(load(offsets, t), column), 'at');
          const placeOf = places(t);
          return {
            a: (r) => weight(placeOf(r)),
            b: (c) => load(buffer, add(at, c * lanes), lanes),
          };
        });
        each(acc, (v, r, c) => k.store(tile, r * tiles.nr + c * lanes, v));
        const inside = tiles.inside(k, row, rows, q, pixels);
        const place = {
          batch: n,
          row: k.let(add(first, row), 'row'),
          col: q,
          totalRows: outChannels,
          totalCols: pixels,
        };
        finishTile(k, { tile, at: i32(0), nr: tiles.nr, lanes, ...place, ...inside }, emit);
      });
    });
    team.meet(k);
  });
  return call.finish('conv2d', origins);
}

/** Kernel rows whose displacements agree modulo the stride share a plane: they differ by whole rows of it. */
const phasesOf = (s: ConvSpec): readonly number[] =>
  [...new Set(Array.from({ length: s.kernel[0] }, (_, ky) => (ky * s.dilation[0]) % s.stride[0]))].sort(
    (a, b) => a - b,
  );

/** A plane per kernel column and phase. */
export function forwardPlanes(s: ConvSpec): PlaneSet {
  const columns = Array.from({ length: s.kernel[1] }, (_, kx) => kx * s.dilation[1] - s.padding[2]);
  return {
    planes: columns.flatMap((col) => phasesOf(s).map((phase) => ({ row: phase - s.padding[0], col }))),
    stride: s.stride,
    extraRows: Math.floor(((s.kernel[0] - 1) * s.dilation[0]) / s.stride[0]),
  };
}

/** Fills the table of offsets into the planes, taps in the order of the weight: channel, row, column. */
export function tapOffsets(
  k: KernelBuilder,
  s: ConvSpec,
  planes: Planes,
  outWidth: KExpr,
  inGroup: KExpr,
  into: KBuffer,
): void {
  const phases = phasesOf(s);
  const [height, width] = s.kernel;
  const channelOffsets = (c: KExpr): void => {
    const channel = k.let(mul(c, planes.channelSize), 'channel');
    const first = k.let(mul(c, height * width), 'first');
    for (let ky = 0; ky < height; ky++)
      for (let kx = 0; kx < width; kx++) {
        const down = ky * s.dilation[0];
        const plane = kx * phases.length + phases.indexOf(down % s.stride[0]);
        const offset = add(mul(planes.planeSize, plane), mul(outWidth, Math.floor(down / s.stride[0])));
        k.store(into, add(first, ky * width + kx), add(channel, offset));
      }
  };
  k.for(0, inGroup, 1, channelOffsets, 'parallel');
}
