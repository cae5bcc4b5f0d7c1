/** The shape of the tiles of a matrix product on a GPU, and whether workgroups share its sums. By what is known of the sizes. */
import type { Dim } from '../../../ir/dim.ts';
import { guess } from './guess.ts';

export interface Tiling {
  /** Of a workgroup: multiples of 16. */
  readonly rows: number;
  readonly cols: number;
  /** Of the slices in workgroup memory. */
  readonly depth: number;
  /** Workgroups that share the sum of a tile. */
  readonly parts: number;
}

/** Tiles are this large along an axis only if it is this many times longer: otherwise most of the card would idle. */
const ROOM = 8;
/** Fewer tiles than this leave a card idle; a share of the sum shorter than this is not worth a second kernel. */
const FEW_TILES = 48;
const SHARE = 256;
const MOST_PARTS = 32;

interface Sizes {
  readonly items: Dim;
  readonly rows: Dim;
  readonly cols: Dim;
  readonly depth: Dim;
}

const side = (n: number): number => (n <= 16 ? 16 : n <= 32 ? 32 : n < 128 * ROOM ? 64 : 128);

export function tilingFor({ items, rows, cols, depth }: Sizes): Tiling {
  const [m, n] = [guess(rows), guess(cols)];
  let [high, wide] = [side(m), side(n)];
  // Both large or neither: a register tile of 8 x 8.
  if (high !== wide) [high, wide] = [Math.min(high, 64), Math.min(wide, 64)];
  const tiles = Math.ceil(m / high) * Math.ceil(n / wide) * guess(items);
  const known = rows.value !== null && cols.value !== null && items.value !== null;
  const long = guess(depth);
  const parts = known && tiles < FEW_TILES ? Math.min(MOST_PARTS, Math.floor(long / SHARE), Math.ceil(96 / tiles)) : 1;
  return { rows: high, cols: wide, depth: high === 128 ? 8 : 16, parts: Math.max(1, parts) };
}
