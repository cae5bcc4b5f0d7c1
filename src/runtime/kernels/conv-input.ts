/**
 * The gradient of a convolution by its input. Input element (y, x) receives w[ky, kx] * dy[oy, ox] where
 * y + padding = oy * stride + ky * dilation: for each residue (phase) of y and x modulo the stride a convolution of dy of
 * stride 1 with some of the taps. All phases read the same planes of dy.
 *
 * Taps lie phase by phase. Where much of the image's height meets zeros above or below dy, those of a phase lie by kernel
 * row, so that each tile leaves out rows that meet nothing: the gradient of a valid convolution would cost twice its
 * forward pass. Elsewhere they lie by channel, which visits each plane (and its pages) once.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, div, i32, load, max, min, mul, rem, sub } from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import * as D from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';
import { CallBuilder } from './call-builder.ts';
import type { Planes, PlaneSet } from './conv-planes.ts';
import { layPlanes, planesBytes, planesSize } from './conv-planes.ts';
import type { ChannelTiles } from './conv-tile.ts';
import { channelTiles, type Met, type TilePlan, tileSums } from './conv-tile.ts';
import type { ConvSpec } from './conv.ts';
import { conv2dInputGradView, tapCount, weightBytes } from './conv.ts';
import type { EmitTile, Epilogue, ReadSource, Source } from './epilogue.ts';
import { copiesFor, teamOver, type Range } from './team.ts';
import { each, finishTile } from './tile.ts';

/** The kernel positions of one axis that reach a residue, and by how much the source is displaced at each. */
interface Reach {
  readonly residue: number;
  readonly taps: readonly { readonly k: number; readonly shift: number }[];
}

function reaches(s: ConvSpec, axis: 0 | 1): readonly Reach[] {
  const stride = s.stride[axis];
  return Array.from({ length: stride }, (_, residue) => ({
    residue,
    taps: Array.from({ length: s.kernel[axis] }, (_v, k) => ({
      k,
      shift: (residue + s.padding[2 * axis]! - k * s.dilation[axis]) / stride,
    })).filter((t) => Number.isInteger(t.shift)),
  }));
}

interface Phase {
  readonly rows: Reach;
  readonly cols: Reach;
  /** Taps per output channel of dy in the phases before. */
  readonly before: number;
}

interface Plan {
  readonly phases: readonly Phase[];
  readonly set: PlaneSet;
  /** Vertical displacement of row 0 of the planes. */
  readonly top: number;
  /** Horizontal displacements, in the order of the planes. */
  readonly columns: readonly number[];
  readonly byRow: boolean;
}

/** From this part of all kernel rows on that meet nothing they are worth leaving out. */
const WORTH_LEAVING_OUT = 0.15;

function wasted(s: ConvSpec, vertical: readonly Reach[]): number {
  const [height, outHeight] = [s.height.value, s.outHeight.value];
  if (height === null || outHeight === null) return 0;
  let [met, all] = [0, 0];
  for (const { residue, taps } of vertical)
    for (let y = 0; y * s.stride[0] + residue < height; y++)
      for (const { shift } of taps) {
        all++;
        if (y + shift >= 0 && y + shift < outHeight) met++;
      }
  return all === 0 ? 0 : 1 - met / all;
}

function planOf(s: ConvSpec): Plan {
  const [vertical, horizontal] = [reaches(s, 0), reaches(s, 1)];
  let before = 0;
  const phases = vertical.flatMap((rows) =>
    horizontal.map((cols) => {
      const phase = { rows, cols, before };
      before += rows.taps.length * cols.taps.length;
      return phase;
    }),
  );
  const shifts = vertical.flatMap((r) => r.taps.map((t) => t.shift));
  const columns = [...new Set(horizontal.flatMap((r) => r.taps.map((t) => t.shift)))].sort((a, b) => a - b);
  const top = Math.min(...shifts);
  const set = {
    planes: columns.map((col) => ({ row: top, col })),
    stride: [1, 1],
    extraRows: Math.max(...shifts) - top,
  } as const;
  return { phases, set, top, columns, byRow: wasted(s, vertical) > WORTH_LEAVING_OUT };
}

/** A wide tile covers many rows of the image, and leaves out few rows of the kernel. */
export function tapsMet(s: ConvSpec): Met {
  const [rows, cols, outHeight] = [...phaseSize(s), s.outHeight].map((d) => d.value) as (number | null)[];
  const vertical = reaches(s, 0);
  if (!rows || !cols || !outHeight || wasted(s, vertical) <= WORTH_LEAVING_OUT) return () => 1;
  const pixels = rows * cols;
  return (width) => {
    let [met, all] = [0, 0];
    for (let q = 0; q < pixels; q += width) {
      const [top, bottom] = [Math.floor(q / cols), Math.floor((Math.min(q + width, pixels) - 1) / cols)];
      for (const { shift } of vertical.flatMap((r) => r.taps)) {
        all++;
        if (bottom + shift >= 0 && top + shift < outHeight) met++;
      }
    }
    return met / Math.max(all, 1);
  };
}

export function convInputGrad(
  s: ConvSpec,
  dy: Source,
  w: Source,
  epilogue: Epilogue,
  target: Target,
  tilePlan: TilePlan,
  origins: readonly Origin[],
): KernelCall {
  const { lanes } = target;
  const plan = planOf(s);
  const [sy, sx] = s.stride;
  const call = new CallBuilder();
  const { k } = call;
  const readDy = call.source(dy);
  const readW = call.source(w);
  const batch = call.size('batch', s.batch);
  const inGroup = call.fixed('in_channels', D.div(s.inChannels, s.groups));
  const outGroup = call.fixed('out_channels', D.div(s.outChannels, s.groups));
  const height = call.fixed('height', s.height);
  const width = call.fixed('width', s.width);
  const outHeight = call.fixed('out_height', s.outHeight);
  const outWidth = call.fixed('out_width', s.outWidth);
  const perPhase = phaseSize(s);
  const [phaseRows, phaseCols] = [k.let(up(height, sy), 'rows'), k.let(up(width, sx), 'cols')];
  const copies = copiesFor(s.batch);
  const planesOf = planesBytes(1, planesSize(plan.set, s.outChannels, ...perPhase), lanes);
  const buffer = call.scratch('planes', D.mul(copies, planesOf));
  const taps = tapCount(s, s.outChannels);
  const offsets = call.scratch('taps', D.mul(4, taps), 'i32');
  const weights = call.scratch('weights', weightBytes(s));
  const tiles = channelTiles(inGroup, tilePlan, target);
  const strided = sy * sx > 1;
  const stageRows = D.add(perPhase[0], D.add(D.div(D.dim(tiles.nr - 1), D.max(perPhase[1], 1)), 1));
  const stageBytes = D.product([4, s.inChannels, stageRows, sy * sx, perPhase[1]]);
  const stage = strided ? call.scratch('stage', D.mul(copies, stageBytes)) : null;
  const emit = call.epilogue(epilogue, conv2dInputGradView(s));

  const outChannels = k.let(mul(outGroup, s.groups), 'channels');
  const inChannels = k.let(mul(inGroup, s.groups), 'channels');
  const sizes = { channels: outChannels, height: outHeight, width: outWidth, outRows: phaseRows, outWidth: phaseCols };
  const planes = layPlanes(k, plan.set, sizes, buffer, lanes);
  const team = teamOver(k, batch);
  const own = k.let(mul(team.own, planes.size(1)), 'own');
  planes.clear(k, own, 1, team);
  tapTables(k, s, plan, planes, { phaseCols, inGroup, outGroup }, readW, offsets, weights);
  const depth = k.let(mul(outGroup, s.kernel[0] * s.kernel[1]), 'depth');
  const pixels = k.let(mul(phaseRows, phaseCols), 'pixels');
  const tile = k.local('tile', 'f32', tiles.rows * tiles.nr);
  // A tile may run past the last row of its phase: the stage has room for it.
  const stageWidth = k.let(mul(phaseCols, sx), 'width');
  const spill = add(div(i32(tiles.nr - 1), max(phaseCols, 1)), 1);
  const stageChannel = k.let(mul(mul(add(phaseRows, spill), sy), stageWidth), 'channel');
  const ownStage = k.let(mul(team.own, mul(inChannels, stageChannel)), 'stage');

  k.for(team.items.from, team.items.to, 1, (n) => {
    const image = k.let(mul(n, mul(mul(outChannels, outHeight), outWidth)), 'image');
    planes.fill(k, readDy, image, own, team.share(k, 0, outChannels));
    team.meet(k);
    k.for(0, s.groups, 1, (g) => {
      const start = k.let(add(own, mul(g, mul(outGroup, planes.channelSize))), 'start');
      const first = k.let(mul(g, inGroup), 'first');
      for (const phase of plan.phases)
        tiles.cover(k, pixels, tilePlan.channelsOutside, team, (row, rows, q) => {
          const column = k.let(add(start, q), 'column');
          const channels = tiles.channels(k, row, rows).map((c) => k.let(add(first, c), 'channel'));
          const places = tiles.rowsOf(k, first, row, rows, depth);
          const [from, to] = usefulTaps(k, phase, plan.byRow, tiles, { q, pixels, phaseCols, outHeight, outGroup });
          const acc = tileSums(k, tiles, rows, from, to, (t) => {
            const at = k.let(add(load(offsets, t), column), 'at');
            const placeOf = places(t);
            return {
              a: (r) => load(weights, placeOf(r)),
              b: (c) => load(buffer, add(at, c * lanes), lanes),
            };
          });
          each(acc, (v, r, c) => k.store(tile, r * tiles.nr + c * lanes, v));
          if (stage) {
            const corners = channels.map((c) => k.let(add(ownStage, mul(c, stageChannel)), 'corner'));
            scatter(k, tile, tiles, stage, { corners, stageWidth, phase, phaseCols, q, stride: s.stride });
            return;
          }
          const place = {
            batch: n,
            row: k.let(add(first, row), 'row'),
            col: q,
            totalRows: inChannels,
            totalCols: pixels,
          };
          const inside = tiles.inside(k, row, rows, q, pixels);
          finishTile(k, { tile, at: i32(0), nr: tiles.nr, lanes, ...place, ...inside }, emit);
        });
    });
    team.meet(k);
    if (!stage) return;
    const channels = team.share(k, 0, inChannels);
    emitStage(k, lanes, stage, { n, channels, inChannels, height, width, ownStage, stageChannel, stageWidth }, emit);
    team.meet(k);
  });
  return call.finish('conv2d_input_grad', origins);
}

const ceilDiv = (a: D.Dim, b: number): D.Dim => D.div(D.add(a, b - 1), b);

/** Rows and columns of the largest phase. */
export const phaseSize = ({ height, width, stride }: ConvSpec): readonly [D.Dim, D.Dim] => [
  ceilDiv(height, stride[0]),
  ceilDiv(width, stride[1]),
];

const up = (a: KExpr, b: number): KExpr => div(add(a, b - 1), b);

/** The offsets of all taps in the planes, and the weights in rows of input channels, taps in the same order. */
function tapTables(
  k: KernelBuilder,
  s: ConvSpec,
  plan: Plan,
  planes: Planes,
  { phaseCols, inGroup, outGroup }: { readonly phaseCols: KExpr; readonly inGroup: KExpr; readonly outGroup: KExpr },
  readW: ReadSource,
  offsets: KBuffer,
  weights: KBuffer,
): void {
  const kernelSize = s.kernel[0] * s.kernel[1];
  /** Of output channel o, for each tap: where it stands in the order, and itself. */
  const eachTap = (o: KExpr, use: (at: KExpr, ky: Reach['taps'][number], kx: Reach['taps'][number]) => void): void => {
    for (const { rows, cols, before } of plan.phases)
      rows.taps.forEach((ky, y) =>
        cols.taps.forEach((kx, x) => {
          const width = cols.taps.length;
          const [outer, inner] = plan.byRow ? [y * width, 0] : [0, y * width];
          const perChannel = plan.byRow ? width : rows.taps.length * width;
          use(add(add(mul(outGroup, before + outer), mul(o, perChannel)), inner + x), ky, kx);
        }),
      );
  };
  const offsetsOf = (o: KExpr): void => {
    const channel = k.let(mul(o, planes.channelSize), 'channel');
    eachTap(o, (at, ky, kx) => {
      const plane = mul(planes.planeSize, plan.columns.indexOf(kx.shift));
      k.store(offsets, at, add(channel, add(plane, mul(phaseCols, ky.shift - plan.top))));
    });
  };
  k.for(0, outGroup, 1, offsetsOf, 'parallel');
  const weightsOf = (channel: KExpr): void => {
    const [g, c] = s.groups === 1 ? [i32(0), channel] : [k.let(div(channel, inGroup)), k.let(rem(channel, inGroup))];
    const row = k.let(mul(mul(channel, outGroup), kernelSize), 'row');
    k.for(0, outGroup, 1, (o) => {
      const from = k.let(mul(add(mul(add(mul(g, outGroup), o), inGroup), c), kernelSize), 'from');
      eachTap(o, (at, ky, kx) =>
        k.store(weights, add(row, at), readW(k, k.let(add(from, ky.k * s.kernel[1] + kx.k)), 1)),
      );
    });
  };
  k.for(0, k.let(mul(inGroup, s.groups)), 1, weightsOf, 'parallel');
}

/** The taps of a phase whose kernel rows meet dy anywhere in the tile at pixel q. */
function usefulTaps(
  k: KernelBuilder,
  { rows, cols, before }: Phase,
  byRow: boolean,
  tiles: ChannelTiles,
  at: {
    readonly q: KExpr;
    readonly pixels: KExpr;
    readonly phaseCols: KExpr;
    readonly outHeight: KExpr;
    readonly outGroup: KExpr;
  },
): readonly [KExpr, KExpr] {
  const count = rows.taps.length;
  const begin = mul(at.outGroup, before);
  const perRow = k.let(mul(at.outGroup, cols.taps.length), 'taps');
  if (count < 2 || !byRow) return [k.let(begin), k.let(add(begin, mul(perRow, count)))];
  // Row y of a tap meets source row y + shift, and shifts fall by `step` from one kernel row to the next.
  const highest = rows.taps[0]!.shift;
  const step = highest - rows.taps[1]!.shift;
  const top = k.let(div(at.q, at.phaseCols), 'top');
  const bottom = k.let(div(sub(min(add(at.q, tiles.nr), at.pixels), 1), at.phaseCols), 'bottom');
  const above = add(sub(add(top, highest + 1), at.outHeight), step - 1);
  const first = k.let(min(div(max(above, 0), step), count), 'first');
  const last = k.let(min(div(max(add(bottom, highest + step), 0), step), count), 'last');
  return [k.let(add(begin, mul(first, perRow)), 'from'), k.let(add(begin, mul(last, perRow)), 'to')];
}

/** Writes a tile of one phase to its places in the stage, `stride` apart. */
function scatter(
  k: KernelBuilder,
  tile: KBuffer,
  tiles: ChannelTiles,
  stage: KBuffer,
  at: {
    readonly corners: readonly KExpr[];
    readonly stageWidth: KExpr;
    readonly phase: Phase;
    readonly phaseCols: KExpr;
    readonly q: KExpr;
    readonly stride: readonly [number, number];
  },
): void {
  const [sy, sx] = at.stride;
  for (let c = 0; c < tiles.nr; c++) {
    const pixel = k.let(add(at.q, c), 'pixel');
    const y = add(mul(div(pixel, at.phaseCols), sy), at.phase.rows.residue);
    const x = add(mul(rem(pixel, at.phaseCols), sx), at.phase.cols.residue);
    const place = k.let(add(mul(y, at.stageWidth), x), 'place');
    at.corners.forEach((corner, r) => k.store(stage, k.let(add(place, corner)), load(tile, r * tiles.nr + c)));
  }
}

/** Hands a whole image to the epilogue. */
function emitStage(
  k: KernelBuilder,
  lanes: number,
  stage: KBuffer,
  at: {
    readonly n: KExpr;
    readonly channels: Range;
    readonly inChannels: KExpr;
    readonly height: KExpr;
    readonly width: KExpr;
    readonly ownStage: KExpr;
    readonly stageChannel: KExpr;
    readonly stageWidth: KExpr;
  },
  emit: EmitTile,
): void {
  const whole = k.let(mul(div(at.width, lanes), lanes), 'whole');
  k.for(at.channels.from, at.channels.to, 1, (c) =>
    k.for(0, at.height, 1, (y) => {
      const from = k.let(add(add(at.ownStage, mul(c, at.stageChannel)), mul(y, at.stageWidth)), 'from');
      const col0 = k.let(mul(y, at.width), 'col');
      const plane = add(mul(at.n, at.inChannels), c);
      const flat0 = k.let(add(mul(mul(plane, at.height), at.width), col0), 'flat');
      const put = (x: KExpr, n: number): void =>
        emit(k, {
          acc: k.let(load(stage, k.let(add(from, x)), n)),
          batch: at.n,
          row: c,
          col: k.let(add(col0, x), 'col'),
          flat: k.let(add(flat0, x), 'flat'),
        });
      k.for(0, whole, lanes, (x) => put(x, lanes));
      k.for(whole, at.width, 1, (x) => put(x, 1));
    }),
  );
}
