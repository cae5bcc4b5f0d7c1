/**
 * The blocked matrix multiplication that matmul and convolution share: rows x cols results, each a sum over `depth`.
 *
 * Blocks of MC x NC results are finished one after the other. For each, depth is cut into blocks of KC: the second operand is
 * packed into panels of NR columns (k-major, so that the inner loop reads it in sequence) and a register tile of MR x NR
 * accumulators runs over the block. Partial sums between depth blocks wait in memory. The order of summation depends on
 * the sizes only.
 *
 * After K. Goto, R. van de Geijn, Anatomy of High-Performance Matrix Multiplication (2008).
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, div, eq, ge, gt, i32, load, max, min, mul, or, rem, select, sub } from '../../codegen/builder.ts';
import type { Target } from '../../codegen/call.ts';
import { type Candidate, type Candidates, distinct } from '../../codegen/choose.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { EmitTile } from './epilogue.ts';
import { MANY, type Together } from './team.ts';
import { each, finishTile, multiplyAdd, zeros } from './tile.ts';

export interface Tiling {
  /**
   * Rows of the register tile. With 2 vectors per row, 6 rows make 12 accumulators, which with 2 columns and a broadcast fill
   * 15 registers; 12 rows fill 27 of 32.
   */
  readonly mr: number;
  /** MR and lower tiles for the rows that are left over: of 8 rows in tiles of 12, 4 would be in vain. */
  readonly heights: readonly number[];
  readonly nr: number;
  readonly lanes: number;
  readonly mc: number;
  readonly nc: number;
  readonly kc: number;
}

/** Elements of a packed panel: with rows of the other operand it shares the first-level cache. */
const PANEL = 8192;

/** Columns of a packed block, which fits the second-level cache, and rows of one of the other operand. */
const [BLOCK_COLS, BLOCK_ROWS] = [256, 192];

/** Results in registers: rows, and vectors of each. */
interface TileShape {
  readonly mr: number;
  readonly vectors: number;
}

function tiling({ kind, lanes }: Target, { mr, vectors }: TileShape, kc?: number): Tiling {
  const nr = vectors * lanes;
  // WebAssembly is sent over a network: it pays for every copy of the loop.
  const heights = kind === 'c' && lanes > 1 ? [mr, Math.ceil((2 * mr) / 3), Math.ceil(mr / 3)] : [mr];
  // Tiles in memory lie side by side: blocks are whole tiles.
  const whole = (most: number, of: number): number => Math.floor(most / of) * of;
  const depth = kc ?? whole(Math.min(512, PANEL / nr), lanes);
  return { mr, heights, nr, lanes, mc: whole(BLOCK_ROWS, mr), nc: whole(BLOCK_COLS, nr), kc: depth };
}

function usualShape({ lanes, registers, paired }: Target): TileShape {
  const mr = (registers - 3) / 2 >= 12 ? 12 : lanes === 1 ? 4 : 6;
  return { mr, vectors: Math.max(paired ? 4 : 2, 4 / lanes) };
}

export const tilingFor = (target: Target): Tiling => tiling(target, usualShape(target));

/** Rows of the highest tile. */
const HIGHEST = 14;

/**
 * What is worth measuring: for one to four vectors of a row the highest tile that registers hold, and the one below it that leaves the
 * fewest rows in vain; and of the usual tile deeper and shallower blocks.
 */
export function tilings(target: Target, rows: Dim, depth: Dim): Candidates<Tiling> {
  const usual = usualShape(target);
  const named = (shape: TileShape, kc?: number): Candidate<Tiling> => {
    const value = tiling(target, shape, kc);
    return { name: `${shape.mr}x${shape.vectors}${kc === undefined ? '' : ` depth ${kc}`}`, value };
  };
  const first = named(usual);
  if (target.lanes === 1) return [first];
  const shapes = [1, 2, 3, 4].flatMap((columns): TileShape[] => {
    const highest = Math.min(HIGHEST, Math.floor((target.registers - 1 - columns) / columns));
    const vectors = columns * (target.paired ? 2 : 1);
    const tiles = rows.value === null ? 1 : Math.max(1, Math.ceil(rows.value / highest));
    const even = rows.value === null ? highest : Math.max(1, Math.ceil(rows.value / tiles));
    return [...new Set([highest, Math.min(even, highest)])].map((mr) => ({ mr, vectors }));
  });
  const { kc } = first.value;
  const depths = [kc / 2, kc * 2].filter((d) => depth.value === null || depth.value > Math.min(d, kc));
  return distinct([first, ...shapes.map((s) => named(s)), ...depths.map((d) => named(usual, d))]);
}

/** How a tile reads the first operand: element (row r of the tile, depth p of the block). Rows past the end repeat the last. */
export type TileRows = (r: number, p: KExpr) => KExpr;

export interface Block {
  /** First row/column/depth of the block and its extent. */
  readonly first: KExpr;
  readonly size: KExpr;
}

export interface Gemm {
  readonly rows: KExpr;
  readonly cols: KExpr;
  readonly depth: KExpr;
  /** `depth` is known to be at most KC: no partial sums. */
  readonly shallow: boolean;
  /** Called for each block of rows and depth, by all of the team, then the result for each tile in it, `row` relative to the block. */
  readonly rowsOf: (k: KernelBuilder, rows: Block, depth: Block) => (k: KernelBuilder, row: KExpr) => TileRows;
  /**
   * Fills the team's part of `packed`, from `at` on, with panels of `nr` columns: [panel][depth][nr]; columns past the end become
   * 0. null: all panels are there already, as `panelStart` says.
   */
  readonly pack: ((k: KernelBuilder, at: KExpr, cols: Block, depth: Block) => void) | null;
  readonly packed: KBuffer;
  /** `rowsOf` writes what others read. */
  readonly packsRows: boolean;
  /** Holds partial sums, mc * nc; null where shallow. */
  readonly partial: KBuffer | null;
  readonly batch: KExpr;
  readonly emit: EmitTile;
  /** Who computes it, and the number of their `packed` and `partial`. */
  readonly team: Together;
  readonly own: KExpr;
}

/** Bytes of `packed` and `partial`. */
export const packedBytes = (t: Tiling, cols: Dim, depth: Dim): Dim =>
  D.mul(4, D.mul(D.min(t.kc, depth), D.min(t.nc, D.mul(t.nr, D.div(D.add(cols, t.nr - 1), t.nr)))));
/** Bytes of all panels of a matrix. */
export const preparedBytes = (t: Tiling, cols: Dim, depth: Dim): Dim =>
  D.mul(4, D.mul(depth, D.mul(t.nr, D.div(D.add(cols, t.nr - 1), t.nr))));
/** Where the panels of a block start among those of the whole matrix, `n` columns: all of one block of depth come before the next. */
export const panelStart = (t: Tiling, n: KExpr, cols: Block, depth: Block): KExpr =>
  add(mul(mul(div(add(n, t.nr - 1), t.nr), t.nr), depth.first), mul(cols.first, depth.size));
/** Elements of a block of panels: what the functions above and `packedRowBytes` say in bytes. */
export const blockSize = (depth: KExpr, kc: number, count: KExpr, most: number, panel: number): KExpr =>
  mul(min(kc, depth), min(most, mul(div(add(count, panel - 1), panel), panel)));
export const partialBytes = (t: Tiling): Dim => D.dim(4 * t.mc * t.nc);

export function gemm(k: KernelBuilder, t: Tiling, g: Gemm): void {
  const sums = g.partial ?? k.local('tile', 'f32', t.mr * t.nr);
  const ownPanels = k.let(mul(g.own, blockSize(g.depth, t.kc, g.cols, t.nc, t.nr)), 'own');
  const ownPartial = k.let(mul(g.own, t.mc * t.nc), 'own');
  k.for(0, g.cols, t.nc, (jc) => {
    const cols: Block = { first: jc, size: k.let(min(t.nc, sub(g.cols, jc)), 'nc') };
    k.for(0, g.rows, t.mc, (ic) => {
      const rows: Block = { first: ic, size: k.let(min(t.mc, sub(g.rows, ic)), 'mc') };
      // A depth of 0 still runs once: its sums are 0.
      const depths = g.shallow ? 1 : k.let(max(g.depth, 1), 'depths');
      k.for(0, depths, t.kc, (pc) => {
        const depth: Block = { first: pc, size: g.shallow ? g.depth : k.let(min(t.kc, sub(g.depth, pc)), 'kc') };
        const { pack } = g;
        if (pack) k.if(g.shallow ? eq(ic, 0) : or(eq(ic, 0), gt(g.depth, t.kc)), () => pack(k, ownPanels, cols, depth));
        const panels = pack ? ownPanels : k.let(panelStart(t, g.cols, cols, depth), 'panels');
        const rowsOf = g.rowsOf(k, rows, depth);
        // Partial sums stay with one thread from block to block of depth, but not from one block of results to the next.
        const meets = pack !== null || g.packsRows || !g.shallow;
        if (meets) g.team.meet(k);
        const tile = (jr: KExpr, from: KExpr, to: KExpr): void => {
          const panel = k.let(add(panels, mul(jr, depth.size)), 'panel');
          k.for(from, to, t.mr, (ir) => {
            const at = g.partial ? k.let(add(ownPartial, add(mul(jr, t.mc), mul(ir, t.nr))), 'at') : i32(0);
            const a = rowsOf(k, ir);
            const sumUp = (height: number): void => {
              const acc = zeros(k, height, t.nr / t.lanes, t.lanes);
              if (g.partial) {
                k.if(gt(pc, 0), () => each(acc, (v, r, c) => k.set(v, load(sums, tileAt(t, at, r, c), t.lanes))));
              }
              k.for(0, depth.size, 1, (p) => {
                const row = k.let(add(panel, mul(p, t.nr)), 'row');
                multiplyAdd(
                  k,
                  acc,
                  (r) => a(r, p),
                  (c) => load(g.packed, add(row, c * t.lanes), t.lanes),
                );
              });
              each(acc, (v, r, c) => k.store(sums, tileAt(t, at, r, c), v));
            };
            heightFor(k, t.heights, k.let(sub(rows.size, ir), 'left'), sumUp);
            const finish = (): void =>
              finishTile(
                k,
                {
                  tile: sums,
                  at,
                  nr: t.nr,
                  lanes: t.lanes,
                  totalRows: g.rows,
                  totalCols: g.cols,
                  batch: g.batch,
                  row: k.let(add(ic, ir), 'row'),
                  col: k.let(add(jc, jr), 'col'),
                  rows: k.let(min(t.mr, sub(rows.size, ir)), 'rows'),
                  cols: k.let(min(t.nr, sub(cols.size, jr)), 'cols'),
                },
                g.emit,
              );
            if (g.shallow) finish();
            else k.if(ge(add(pc, t.kc), g.depth), finish);
          });
        };
        shareTiles(k, t, g.team, rows.size, cols.size, tile);
        if (meets) g.team.meet(k);
      });
    });
  });
}

/** Runs the lowest tile that holds the rows that are left. */
function heightFor(k: KernelBuilder, heights: readonly number[], left: KExpr, use: (height: number) => void): void {
  const [height, ...lower] = heights as readonly [number, ...number[]];
  if (lower.length === 0) return use(height);
  k.if(
    gt(left, lower[0]!),
    () => use(height),
    () => heightFor(k, lower, left, use),
  );
}

/** Panels are shared, and cut into as many groups of rows as there are threads where they do not come out even. */
function shareTiles(
  k: KernelBuilder,
  t: Tiling,
  team: Together,
  rows: KExpr,
  cols: KExpr,
  use: (jr: KExpr, from: KExpr, to: KExpr) => void,
): void {
  const panels = k.let(div(add(cols, t.nr - 1), t.nr), 'panels');
  const even = or(ge(panels, mul(team.count, MANY)), eq(rem(panels, team.count), 0));
  const groups = k.let(select(even, 1, team.count), 'groups');
  const tiles = k.let(div(add(rows, t.mr - 1), t.mr), 'tiles');
  const range = team.share(k, 0, k.let(mul(panels, groups)));
  k.for(range.from, range.to, 1, (item) => {
    const panel = k.let(div(item, groups), 'panel');
    const group = k.let(sub(item, mul(panel, groups)), 'group');
    const row = (g: KExpr): KExpr => k.let(mul(div(mul(tiles, g), groups), t.mr));
    use(k.let(mul(panel, t.nr), 'jr'), row(group), k.let(min(row(add(group, 1)), rows), 'to'));
  });
}

const tileAt = (t: Tiling, at: KExpr, r: number, c: number): KExpr => add(at, r * t.nr + c * t.lanes);
