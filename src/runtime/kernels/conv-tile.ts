/** How convolution cuts channels x pixels into register tiles, and the loop over taps inside one. */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, i32, min, mul, sub } from '../../codegen/builder.ts';
import type { Target } from '../../codegen/call.ts';
import { type Candidate, type Candidates, distinct, mapCandidates } from '../../codegen/choose.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';
import type { Accumulators } from './tile.ts';
import { ALONE, type Shares } from './team.ts';
import { multiplyAdd, zeros } from './tile.ts';

/** Rows x vectors of sums in registers. */
export interface TileSize {
  readonly rows: number;
  readonly vectors: number;
}

/** The tile, and which loop is outside: over rows of weights, each read once, or over pixels. */
export interface TilePlan extends TileSize {
  readonly channelsOutside: boolean;
}

/** Vectors of a row of the tile by its number of rows: 12 accumulators or fewer, and what feeds them, fit 15 registers. */
const VECTORS = [0, 8, 5, 3, 2, 2, 2] as const;
const MAX_ROWS = 6;

/** With 32 registers there is a choice: the tile that takes the fewest cycles where sizes are known, 6 x 4 elsewhere. */
function tileSize(channels: number | null, pixels: number | null, target: Target, met: Met, widest: number): TileSize {
  if (target.registers < 32) {
    const rows = Math.max(1, Math.min(channels ?? MAX_ROWS, MAX_ROWS));
    return { rows, vectors: VECTORS[rows]! * (target.paired ? 2 : 1) };
  }
  return (
    (channels !== null && byCycles(channels, pixels, target, met, widest)[0]) || {
      rows: 6,
      vectors: Math.min(4, widest),
    }
  );
}

/** Which part of all taps a tile of so many pixels visits, on average. */
export type Met = (pixels: number) => number;

export const ALL: Met = () => 1;

/** All tiles that fit 32 registers, the fastest by a model of the processor first. */
function byCycles(
  channels: number,
  pixels: number | null,
  target: Target,
  met: Met,
  widest: number,
): readonly TileSize[] {
  const { lanes, registers } = target;
  const all: (TileSize & { readonly cycles: number })[] = [];
  for (let rows = 1; rows <= Math.max(1, Math.min(channels, 14)); rows++)
    for (let vectors = 1; vectors <= widest && (rows + 1) * vectors + 1 < registers; vectors++) {
      // Multiplications and loads go two at a time; fewer than eight of them wait for each other.
      const step = (r: number): number => (r === 0 ? 0 : Math.max(r * vectors, r + vectors, 8) + 1);
      const down = Math.floor(channels / rows) * step(rows) + step(channels % rows);
      const tiles = pixels === null ? 1 / vectors : Math.ceil(pixels / (vectors * lanes));
      all.push({ rows, vectors, cycles: down * tiles * met(vectors * lanes) });
    }
  return all.sort((a, b) => a.cycles - b.cycles);
}

/** How many tiles are worth measuring, of those that should be the fastest. */
const MEASURED = 6;

/** The usual tile, and others that are worth measuring. `widest`: the most vectors of a row where registers leave a choice. */
export function tileSizes(channels: Dim, pixels: Dim, target: Target, met = ALL, widest = 8): Candidates<TileSize> {
  const named = (value: TileSize): Candidate<TileSize> => ({ name: `${value.rows}x${value.vectors}`, value });
  const usual = tileSize(channels.value, pixels.value, target, met, widest);
  const others =
    target.registers >= 32
      ? byCycles(channels.value ?? MAX_ROWS, pixels.value, target, met, widest).slice(0, MEASURED)
      : VECTORS.flatMap((v, rows) =>
          v === 0 || rows > (channels.value ?? MAX_ROWS) ? [] : [{ rows, vectors: v * (target.paired ? 2 : 1) }],
        );
  return distinct([named(usual), ...others.map(named)]);
}

/** The tiles, and the usual one with its loops the other way round. */
export function tilePlans(
  channels: Dim,
  pixels: Dim,
  weightBytes: Dim,
  target: Target,
  met = ALL,
): Candidates<TilePlan> {
  const usual = weightBytes.value !== null && weightBytes.value > WEIGHTS_IN_CACHE;
  const [first, ...rest] = mapCandidates(tileSizes(channels, pixels, target, met), (t) => ({
    ...t,
    channelsOutside: usual,
  }));
  const turned = { ...first.value, channelsOutside: !usual };
  return [first, ...rest, { name: `${first.name} ${usual ? 'pixels' : 'channels'} outside`, value: turned }];
}

/** Beyond this many bytes weights are not read again for every few pixels: they stay, and the image passes by. */
const WEIGHTS_IN_CACHE = 256 * 1024;

export interface ChannelTiles {
  readonly rows: number;
  readonly vectors: number;
  readonly lanes: number;
  readonly nr: number;
  /**
   * Visits a thread's part of the tiles of `pixels` columns, each with its first channel, number of rows and first pixel. The outer
   * loop is the one that is shared.
   */
  readonly cover: (
    k: KernelBuilder,
    pixels: KExpr,
    channelsOutside: boolean,
    shares: Shares,
    tile: (row: KExpr, rows: number, q: KExpr) => void,
  ) => void;
  /** The channels of a tile; where their number is unknown the last is repeated. */
  readonly channels: (k: KernelBuilder, row: KExpr, rows: number) => readonly KExpr[];
  /**
   * The places of tap t of each channel of a tile, in a matrix with a row of `depth` for each: constants apart where sizes are
   * known, which no register has to hold.
   */
  readonly rowsOf: (
    k: KernelBuilder,
    first: KExpr,
    row: KExpr,
    rows: number,
    depth: KExpr,
  ) => (t: KExpr) => (r: number) => KExpr;
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
export function channelTiles(channelCount: KExpr, { rows, vectors }: TileSize, { lanes }: Target): ChannelTiles {
  const known = channelCount.k === 'const' ? channelCount.value : null;
  const nr = vectors * lanes;
  const overChannels = (k: KernelBuilder, shares: Shares, use: (row: KExpr, rows: number) => void): void => {
    const over = (end: KExpr): void => {
      const range = shares.share(k, 0, end, rows);
      k.for(range.from, range.to, rows, (row) => use(row, rows));
    };
    if (known === null) return over(channelCount);
    const rest = known % rows;
    if (known >= rows) over(i32(known - rest));
    if (rest > 0) k.if(shares.mine, () => use(i32(known - rest), rest));
  };
  const channels: ChannelTiles['channels'] = (k, row, n) =>
    Array.from({ length: n }, (_, r) => {
      const channel = add(row, r);
      return known === null ? k.let(min(channel, sub(channelCount, 1)), 'channel') : channel;
    });
  return {
    rows,
    vectors,
    lanes,
    nr,
    cover: (k, pixels, channelsOutside, shares, tile) => {
      if (channelsOutside) overChannels(k, shares, (row, n) => k.for(0, pixels, nr, (q) => tile(row, n, q)));
      else {
        const range = shares.share(k, 0, pixels, nr);
        k.for(range.from, range.to, nr, (q) => overChannels(k, ALONE, (row, n) => tile(row, n, q)));
      }
    },
    channels,
    rowsOf: (k, first, row, n, depth) => {
      if (known !== null && depth.k === 'const') {
        const start = k.let(mul(add(first, row), depth), 'row');
        return (t) => {
          const at = k.let(add(start, t), 'tap');
          return (r) => add(at, r * depth.value);
        };
      }
      const starts = channels(k, row, n).map((c) => k.let(mul(add(first, c), depth), 'row'));
      return (t) => (r) => k.let(add(starts[r]!, t));
    },
    inside: (k, row, n, q, pixels) => ({
      rows: known === null ? k.let(min(n, sub(channelCount, row)), 'rows') : i32(n),
      cols: k.let(min(nr, sub(pixels, q)), 'cols'),
    }),
  };
}

/** The sums of one tile over taps `from` to `to`. */
export function tileSums(
  k: KernelBuilder,
  tiles: Pick<ChannelTiles, 'vectors' | 'lanes'>,
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
