/**
 * Convolution of 3 x 3 taps and stride 1 by Winograd's minimal filtering F(2 x 2, 3 x 3): tiles of 2 x 2 results from 4 x 4 elements
 * take 16 multiplications instead of 36. Filters and tiles are transformed, and each of the 16 places is then a matrix product over
 * the channels. Sums and differences of at most four numbers stand around it, by coefficients 1 and 1/2, so errors are
 * of the size of the direct form's; larger tiles would multiply less and lose digits.
 *
 * A block is some rows of tiles of an image, or some images: as many as the first-level cache holds of one place, so that the second
 * level holds all 16. Results wait in memory for a chunk of channels only.
 *
 * After A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks (2015).
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, div, gt, i32, load, min, mul, sub } from '../../codegen/builder.ts';
import type { KernelCall, Scratch, Target } from '../../codegen/call.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';
import { THREADS } from '../artifact.ts';
import { CallBuilder } from './call-builder.ts';
import type { Pair } from './conv-planes.ts';
import { ALL, tileSizes, tileSums, type ChannelTiles } from './conv-tile.ts';
import type { ConvSpec } from './conv.ts';
import type { Epilogue, ResultView, Source } from './epilogue.ts';
import { copiesFor, teamOver, thread } from './team.ts';
import { each } from './tile.ts';
import { filterKernel, filtersOf } from './winograd-filters.ts';
import { emitTiles, resultRoom, sourceRoom, takeTiles, type BlockSizes, type TileBlock } from './winograd-tiles.ts';

/** Places of a transformed tile. */
export const PLACES = 16;

/** A convolution that can be computed so: the channels are known. A forward pass and a gradient by the input are of this form. */
export interface WinogradSpec {
  readonly batch: Dim;
  /** Channels that are summed over, and channels of the result. */
  readonly depth: number;
  readonly channels: number;
  readonly source: readonly [height: Dim, width: Dim];
  readonly result: readonly [height: Dim, width: Dim];
  /** Above and left of the source. */
  readonly padding: Pair;
  /** Where the filter of a result's channel and a source's lies, and whether its taps are to be read from the last to the first. */
  readonly filter: (channel: KExpr, depth: KExpr) => KExpr;
  readonly turned: boolean;
}

/** Input and output channels; null where the form does not apply. */
function channelsOf(s: ConvSpec): readonly [number, number] | null {
  const plain = [...s.stride, ...s.dilation, s.groups].every((n) => n === 1) && s.kernel.every((n) => n === 3);
  const [i, o] = [s.inChannels.value, s.outChannels.value];
  return plain && i && o ? [i, o] : null;
}

export function winogradForward(s: ConvSpec): WinogradSpec | null {
  const known = channelsOf(s);
  if (!known) return null;
  const [depth, channels] = known;
  return {
    batch: s.batch,
    depth,
    channels,
    source: [s.height, s.width],
    result: [s.outHeight, s.outWidth],
    padding: [s.padding[0], s.padding[2]],
    filter: (o, c) => mul(add(mul(o, depth), c), 9),
    turned: false,
  };
}

/** The convolution of the gradient with the kernel turned around, in and out exchanged. */
export function winogradInputGrad(s: ConvSpec): WinogradSpec | null {
  const known = channelsOf(s);
  if (!known) return null;
  const [channels, depth] = known;
  return {
    batch: s.batch,
    depth,
    channels,
    source: [s.outHeight, s.outWidth],
    result: [s.height, s.width],
    padding: [2 - s.padding[0], 2 - s.padding[2]],
    filter: (c, o) => mul(add(mul(o, channels), c), 9),
    turned: true,
  };
}

/** Elements of one place of a block of tiles, and of all places of a chunk of results. */
const BLOCK = 7168;
const CHUNK = 32768;
/** Vectors of a row of a register tile, where there is a choice: images are small, and there are a quarter as many tiles as pixels. */
const WIDEST = 2;

type Tiles = Pick<ChannelTiles, 'rows' | 'vectors' | 'lanes' | 'nr'>;

/** How results are cut into blocks of tiles. */
interface Plan {
  readonly tiles: Tiles;
  /** Tiles of a column and of a row of an image. */
  readonly down: Dim;
  readonly across: Dim;
  /** Rows of tiles of an image that a block holds, or images where it holds all rows. */
  readonly rows: Dim;
  readonly images: Dim;
  /** Elements from one channel of a place to the next. */
  readonly stride: Dim;
  /** Channels of a chunk. */
  readonly chunk: Dim;
}

const ceilDiv = (a: Dim, b: D.DimLike): Dim => D.div(D.sub(D.add(a, b), 1), b);

function planOf(s: WinogradSpec, target: Target): Plan {
  const { lanes } = target;
  const [down, across] = s.result.map((d) => D.max(ceilDiv(d, 2), 1)) as [Dim, Dim];
  const all = D.product([s.batch, down, across]);
  const size = tileSizes(D.dim(s.channels), all, target, ALL, WIDEST)[0].value;
  const tiles = { ...size, lanes, nr: size.vectors * lanes };
  const most = Math.max(Math.floor(BLOCK / s.depth), tiles.nr);
  const limit = D.max(D.div(D.dim(most), across), 1);
  // Blocks of an image are about equally high.
  const rows = ceilDiv(down, ceilDiv(down, limit));
  const images = D.max(D.min(s.batch, D.div(D.dim(most), D.mul(down, across))), 1);
  const spill = D.sub(D.mul(ceilDiv(across, lanes), lanes), across);
  const stride = D.mul(ceilDiv(D.add(D.product([images, rows, across]), spill), tiles.nr), tiles.nr);
  const chunk = D.mul(D.max(D.div(D.dim(Math.floor(CHUNK / PLACES / tiles.rows)), stride), 1), tiles.rows);
  return { tiles, down, across, rows, images, stride, chunk };
}

/**
 * What it takes to transform a channel of a tile, forth or back, or a filter, in vectors of multiplications: measured from 8 to 512
 * channels on WebAssembly, with and without pairs of vectors, and on AVX-512.
 */
const TRANSFORM = 28;
/** A size that is not known is taken for a few dozen. */
const TYPICAL_SIZE = 32;

/**
 * Whether the products that are saved, 20 of 36, are worth the transforms. Where vectors are paired the products alone are twice as
 * fast; one rule stands for both, in the middle, because bits do not depend on what an engine pairs.
 */
export function winogradWins(s: WinogradSpec, { kind, lanes }: Target): boolean {
  const [height, width] = s.result.map((d) => D.assuming(ceilDiv(d, 2), TYPICAL_SIZE)) as [number, number];
  const tiles = D.assuming(s.batch, TYPICAL_SIZE) * height * width;
  const filters = s.depth * s.channels;
  const transforms = filters + tiles * (s.depth + s.channels);
  return 20 * tiles * filters > TRANSFORM * (kind === 'wasm' ? 1.5 : 1) * lanes * transforms;
}

export function winograd(
  name: string,
  s: WinogradSpec,
  view: ResultView,
  x: Source,
  w: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall[] {
  const plan = planOf(s, target);
  const { tiles } = plan;
  const { lanes } = tiles;
  const layout = filtersOf(s, tiles.rows);
  const filters: Scratch = { kind: 'scratch', bytes: D.dim(4 * layout.size) };
  const call = new CallBuilder();
  const { k } = call;
  const read = call.source(x);
  const batch = call.size('batch', s.batch);
  const down = call.fixed('down', plan.down);
  const rows = call.fixed('rows', plan.rows);
  const images = call.fixed('images', plan.images);
  const stride = call.fixed('stride', plan.stride);
  const chunk = call.fixed('chunk', plan.chunk);
  const sizes: BlockSizes = {
    lanes,
    depth: s.depth,
    channels: s.channels,
    padding: s.padding,
    height: call.fixed('height', s.source[0]),
    width: call.fixed('width', s.source[1]),
    outHeight: call.fixed('out_height', s.result[0]),
    outWidth: call.fixed('out_width', s.result[1]),
    across: call.fixed('across', plan.across),
    stride,
    sourceRoom: call.fixed('room', sourceRoom(plan, lanes)),
    resultRoom: call.fixed('room', resultRoom(plan, s.result[1], lanes)),
  };
  const blocksOfImage = ceilDiv(plan.down, plan.rows);
  const blocks = D.mul(ceilDiv(s.batch, plan.images), blocksOfImage);
  const threads = (elements: Dim): Dim => D.product([D.sym(THREADS), 4, elements]);
  const transformed = call.shared('filters', filters, 'f32', 'read');
  const taken = call.scratch('tiles', D.product([copiesFor(blocks), 4 * PLACES * s.depth, plan.stride]));
  const sourceRows = call.scratch('source', threads(sourceRoom(plan, lanes)));
  const sums = call.scratch('sums', threads(D.product([PLACES, plan.chunk, plan.stride])));
  const results = call.scratch('results', threads(resultRoom(plan, s.result[1], lanes)));
  const emit = call.epilogue(epilogue, view);

  const perImage = call.fixed('blocks', blocksOfImage);
  const team = teamOver(k, k.let(mul(div(sub(add(batch, images), 1), images), perImage), 'blocks'));
  const place = k.let(mul(stride, s.depth), 'place');
  const sumPlace = k.let(mul(chunk, stride), 'place');
  const own = k.let(mul(team.own, mul(place, PLACES)), 'own');
  const ownSums = k.let(mul(thread, mul(sumPlace, PLACES)), 'sums');
  const take = takeTiles(k, sizes, place, read, sourceRows, taken);
  const whole = s.channels - (s.channels % tiles.rows);
  k.for(team.items.from, team.items.to, 1, (item) => {
    const group = k.let(div(item, perImage), 'group');
    const n = k.let(mul(group, images), 'n');
    const top = k.let(mul(sub(item, mul(group, perImage)), rows), 'top');
    const block: TileBlock = {
      n,
      top,
      images: k.let(min(images, sub(batch, n)), 'images'),
      rows: k.let(min(rows, sub(down, top)), 'rows'),
    };
    const count = k.let(mul(mul(block.images, block.rows), sizes.across), 'count');
    const depths = team.share(k, 0, s.depth);
    k.for(depths.from, depths.to, 1, (c) => take(c, k.let(add(own, mul(c, stride))), block));
    team.meet(k);
    const channels = team.share(k, 0, k.let(div(sub(add(i32(s.channels), chunk), 1), chunk), 'chunks'));
    k.for(channels.from, channels.to, 1, (index) => {
      const first = k.let(mul(index, chunk), 'first');
      const next = k.let(add(first, chunk), 'next');
      k.for(0, PLACES, 1, (p) => {
        const b0 = k.let(add(own, mul(p, place)), 'place');
        const filter = k.let(mul(p, layout.place), 'filter');
        const to = k.let(add(ownSums, mul(p, sumPlace)), 'to');
        const product = (row: KExpr, height: number): void => {
          const a0 = k.let(add(filter, mul(div(row, tiles.rows), layout.tile)), 'a');
          const c0 = k.let(add(to, mul(sub(row, first), stride)), 'c');
          columns(k, tiles, count, (q, t) => {
            const b1 = k.let(add(b0, q), 'b');
            const acc = tileSums(k, t, height, i32(0), i32(s.depth), (c) => {
              const [a, b] = [k.let(add(a0, c), 'a'), k.let(add(b1, mul(c, stride)), 'b')];
              return {
                a: (r) => load(transformed, add(a, r * s.depth)),
                b: (v) => load(taken, add(b, v * lanes), lanes),
              };
            });
            const places = acc.map((_, r) => k.let(add(add(c0, q), mul(stride, r)), 'c'));
            each(acc, (v, r, c) => k.store(sums, add(places[r]!, c * lanes), v));
          });
        };
        k.for(first, k.let(min(next, whole), 'end'), tiles.rows, (row) => product(row, tiles.rows));
        if (whole < s.channels) k.if(gt(next, whole), () => product(i32(whole), s.channels - whole));
      });
      k.for(first, k.let(min(next, s.channels), 'end'), 1, (row) => {
        const from = k.let(add(ownSums, mul(sub(row, first), stride)), 'from');
        emitTiles(k, sizes, sums, { from, place: sumPlace }, results, row, block, emit);
      });
    });
    team.meet(k);
  });
  return [filterKernel(s, tiles.rows, lanes, w, filters, origins), call.finish(name, origins)];
}

/** Visits columns of tiles; the last are narrower where registers are many and vectors long. */
function columns(k: KernelBuilder, tiles: Tiles, count: KExpr, use: (q: KExpr, tiles: Tiles) => void): void {
  k.for(0, count, tiles.nr, (q) => {
    if (tiles.lanes < 16 || tiles.vectors < 2) use(q, tiles);
    else
      k.if(
        gt(sub(count, q), tiles.lanes),
        () => use(q, tiles),
        () => use(q, { ...tiles, vectors: 1 }),
      );
  });
}
