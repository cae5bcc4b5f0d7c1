/** How convolution cuts channels x pixels into register tiles, and the loop over taps inside one. */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, i32, min, sub } from '../../codegen/builder.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';
import type { Accumulators } from './tile.ts';
import { multiplyAdd, zeros } from './tile.ts';

/** Vectors of a row of the tile by its number of rows: 12 accumulators or fewer, and what feeds them, fit 15 registers. */
const VECTORS = [0, 8, 5, 3, 2, 2, 2] as const;
const MAX_ROWS = 6;

/** Beyond this many bytes weights are not read again for every few pixels: they stay, and the image passes by. */
const WEIGHTS_IN_CACHE = 256 * 1024;

export const keepWeights = (bytes: Dim): boolean => bytes.value !== null && bytes.value > WEIGHTS_IN_CACHE;

export interface ChannelTiles {
  readonly rows: number;
  readonly vectors: number;
  readonly lanes: number;
  readonly nr: number;
  /** Visits every tile of `pixels` columns, each with its first channel, number of rows and first pixel. */
  readonly cover: (
    k: KernelBuilder,
    pixels: KExpr,
    channelsOutside: boolean,
    tile: (row: KExpr, rows: number, q: KExpr) => void,
  ) => void;
  /** The channels of a tile; where their number is unknown the last is repeated. */
  readonly channels: (k: KernelBuilder, row: KExpr, rows: number) => readonly KExpr[];
  /** How much of a tile exists. */
  readonly inside: (
    k: KernelBuilder,
    row: KExpr,
    rows: number,
    q: KExpr,
    pixels: KExpr,
  ) => { readonly rows: KExpr; readonly cols: KExpr };
}

/** A known number of channels gets a tile of its own height for the rest; an unknown one computes a few in vain. */
export function channelTiles(channels: KExpr, lanes: number): ChannelTiles {
  const known = channels.k === 'const' ? channels.value : null;
  const rows = Math.max(1, Math.min(known ?? MAX_ROWS, MAX_ROWS));
  const vectors = VECTORS[rows]!;
  const nr = vectors * lanes;
  const overChannels = (k: KernelBuilder, use: (row: KExpr, rows: number) => void): void => {
    if (known === null) return k.for(0, channels, rows, (row) => use(row, rows));
    const rest = known % rows;
    k.for(0, known - rest, rows, (row) => use(row, rows));
    if (rest > 0) use(i32(known - rest), rest);
  };
  return {
    rows,
    vectors,
    lanes,
    nr,
    cover: (k, pixels, channelsOutside, tile) => {
      const overPixels = (use: (q: KExpr) => void): void => k.for(0, pixels, nr, use);
      if (channelsOutside) overChannels(k, (row, n) => overPixels((q) => tile(row, n, q)));
      else overPixels((q) => overChannels(k, (row, n) => tile(row, n, q)));
    },
    channels: (k, row, n) =>
      Array.from({ length: n }, (_, r) => {
        const channel = add(row, r);
        return known === null ? k.let(min(channel, sub(channels, 1)), 'channel') : channel;
      }),
    inside: (k, row, n, q, pixels) => ({
      rows: known === null ? k.let(min(n, sub(channels, row)), 'rows') : i32(n),
      cols: k.let(min(nr, sub(pixels, q)), 'cols'),
    }),
  };
}

/** The sums of one tile over taps `from` to `to`. */
export function tileSums(
  k: KernelBuilder,
  tiles: ChannelTiles,
  rows: number,
  from: KExpr,
  to: KExpr,
  tap: (t: KExpr) => { readonly a: (row: number) => KExpr; readonly b: (vector: number) => KExpr },
): Accumulators {
  const acc = zeros(k, rows, tiles.vectors, tiles.lanes);
  k.for(from, to, 1, (t) => {
    const { a, b } = tap(t);
    multiplyAdd(k, acc, a, b);
  });
  return acc;
}
