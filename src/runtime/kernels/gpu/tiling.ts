/** The shape of the tiles of a matrix product on a GPU, and whether workgroups share its sums. By what is known of the sizes. */
import type { KernelLimits } from '../../../codegen/limits.ts';
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
  /** Workgroups that share the sum of a tile, and what a share is a multiple of: the same on every device, as its bits are. */
  readonly parts: number;
  readonly grain: number;
  /** Said where workgroup memory does not hold the tile that the sizes ask for. */
  readonly replanned: string | null;
}

type Shape = Pick<Tiling, 'rows' | 'cols' | 'depth' | 'squares'>;

/** Every tile is 256 invocations' work: 4 x 4 results each, or 8 x 8 where both sides are so long that many tiles remain. */
const tile = (rows: number, cols: number, depth: number, squares = 1): Shape => ({
  rows,
  cols,
  depth,
  squares,
});
const LONG = 1024;

function shapeOf(m: number, n: number): Shape {
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

/** Each line of a slice has a vector more than the tile has lines: neighbours along the depth lie in different banks. */
export const PAD = 4;

const bytesOf = ({ rows, cols, depth }: Shape): number => 4 * depth * (rows + PAD + cols + PAD);

/** Thinner slices first, for a tile decides how often operands are read; then the tile with the shortest sides. */
function shrunk(wanted: Shape, bytes: number): Shape {
  const thinner = (s: Shape, least: number): Shape[] =>
    [16, 8, 4, 2, 1].filter((d) => d <= s.depth && d >= least).map((depth) => ({ ...s, depth }));
  const all = [...thinner(wanted, 4), ...thinner(tile(64, 64, 16), 1)];
  return all.find((s) => bytesOf(s) <= bytes) ?? all.at(-1)!;
}

interface Sizes {
  readonly items: Dim;
  readonly rows: Dim;
  readonly cols: Dim;
  readonly depth: Dim;
}

export function tilingFor({ items, rows, cols, depth }: Sizes, limits: KernelLimits): Tiling {
  const [m, n] = [guess(rows), guess(cols)];
  const wanted = shapeOf(m, n);
  const tiles = Math.ceil(m / wanted.rows) * Math.ceil(n / wanted.cols) * guess(items);
  const known = rows.value !== null && cols.value !== null && items.value !== null;
  const long = guess(depth);
  const parts = known && tiles < FEW_TILES ? Math.min(MOST_PARTS, Math.floor(long / SHARE), Math.ceil(96 / tiles)) : 1;
  const shape = shrunk(wanted, limits.workgroupBytes);
  const text = (s: Shape): string => `${s.rows} x ${s.cols} by slices of ${s.depth}`;
  const replanned =
    bytesOf(wanted) <= limits.workgroupBytes ? null : `tiles of ${text(shape)} in place of ${text(wanted)}`;
  return { ...shape, parts: Math.max(1, parts), grain: wanted.depth, replanned };
}
