/** Register tiles: accumulators, the rank-one update, and the way results leave for the epilogue. */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, div, dot, f32, fma, load, mul, splat } from '../../codegen/builder.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import type { EmitTile } from './epilogue.ts';

export type Accumulator = KExpr & { readonly k: 'var' };
export type Accumulators = readonly (readonly Accumulator[])[];

export const zeros = (k: KernelBuilder, rows: number, vectors: number, lanes: number): Accumulators =>
  Array.from({ length: rows }, () => Array.from({ length: vectors }, () => k.mutable(splat(f32(0), lanes), 'acc')));

export function each(acc: Accumulators, use: (v: Accumulator, row: number, vector: number) => void): void {
  acc.forEach((row, r) => row.forEach((v, c) => use(v, r, c)));
}

/** One step of depth: a rank-one update of the register tile; of words of two bf16, two steps. */
export function multiplyAdd(
  k: KernelBuilder,
  acc: Accumulators,
  a: (row: number) => KExpr,
  b: (vector: number) => KExpr,
): void {
  const lanes = acc[0]![0]!.type.lanes;
  const columns = acc[0]!.map((_, c) => k.let(b(c), 'b'));
  acc.forEach((row, r) => {
    const left = k.let(splat(a(r), lanes), 'a');
    const product = left.type.elem === 'u32' ? dot : fma;
    row.forEach((v, c) => k.set(v, product(left, columns[c]!, v)));
  });
}

/** A finished tile in memory, rows of `nr` from `at`, and where in the result it belongs. */
export interface FinishedTile {
  readonly tile: KBuffer;
  readonly at: KExpr;
  readonly nr: number;
  readonly lanes: number;
  /** Of the whole result, for the flat index. */
  readonly totalRows: KExpr;
  readonly totalCols: KExpr;
  readonly batch: KExpr;
  readonly row: KExpr;
  readonly col: KExpr;
  /** What of the tile lies inside the result. */
  readonly rows: KExpr;
  readonly cols: KExpr;
}

/**
 * Hands a tile to the epilogue: vectors, then scalars in the last columns. Passing through the first-level cache keeps
 * the epilogue's code small: it is emitted twice, not once per accumulator.
 */
export function finishTile(k: KernelBuilder, t: FinishedTile, emit: EmitTile): void {
  const base = k.let(add(mul(add(mul(t.batch, t.totalRows), t.row), t.totalCols), t.col), 'base');
  const whole = k.let(mul(div(t.cols, t.lanes), t.lanes), 'whole');
  k.for(0, t.rows, 1, (r) => {
    const from = k.let(add(t.at, mul(r, t.nr)), 'from');
    const row = k.let(add(t.row, r), 'row');
    const flat = k.let(add(base, mul(r, t.totalCols)), 'flat');
    const put = (c: KExpr, lanes: number): void =>
      emit(k, {
        acc: k.let(load(t.tile, add(from, c), lanes)),
        batch: t.batch,
        row,
        col: k.let(add(t.col, c), 'col'),
        flat: k.let(add(flat, c), 'flat'),
      });
    k.for(0, whole, t.lanes, (c) => put(c, t.lanes));
    k.for(whole, t.cols, 1, (c) => put(c, 1));
  });
}
