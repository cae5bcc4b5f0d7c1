/** The shape of the tiles of a matrix product on a GPU, and whether workgroups share its sums. By what is known of the sizes. */
import type { Dim } from '../../../ir/dim.ts';
import { guess } from './guess.ts';

export interface Tiling {
  /** Of a workgroup. */
  readonly rows: number;
  readonly cols: number;
  /** Of the slices in workgroup memory. */
  readonly depth: number;
  /** Squares of 4 x 4 that an invocation computes along rows and columns. */
  readonly squares: number;
  /** Workgroups that share the sum of a tile. */
  readonly parts: number;
}

/** Every tile is 256 invocations' work: 4 x 4 results each, or 8 x 8 where both sides are so long that many tiles remain. */
const tile = (rows: number, cols: number, depth: number, squares = 1): Omit<Tiling, 'parts'> => ({
  rows,
  cols,
  depth,
  squares,
});
const LONG = 1024;

function shapeOf(m: number, n: number): Omit<Tiling, 'parts'> {
  if (m >= LONG && n >= LONG) return tile(128, 128, 8, 2);
  if (m <= 16 && n > 64) return tile(16, 256, 8);
  if (n <= 16 && m > 64) return tile(256, 16, 8);
  if (m <= 32 && n > 64) return tile(32, 128, 16);
  if (n <= 32 && m > 64) return tile(128, 32, 16);
  return tile(64, 64, 16);
}

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

export function tilingFor({ items, rows, cols, depth }: Sizes): Tiling {
  const [m, n] = [guess(rows), guess(cols)];
  const shape = shapeOf(m, n);
  const tiles = Math.ceil(m / shape.rows) * Math.ceil(n / shape.cols) * guess(items);
  const known = rows.value !== null && cols.value !== null && items.value !== null;
  const long = guess(depth);
  const parts = known && tiles < FEW_TILES ? Math.min(MOST_PARTS, Math.floor(long / SHARE), Math.ceil(96 / tiles)) : 1;
  return { ...shape, parts: Math.max(1, parts) };
}
