/** One row times a matrix: every element of the matrix is used once, so nothing is packed and memory sets the pace. */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, bin, div, f32, fma, i32, lane, load, mul, splat, sub, vector } from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import * as D from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';
import { CallBuilder } from './call-builder.ts';
import type { EmitTile, Epilogue, ReadSource, Source } from './epilogue.ts';
import type { MatmulSpec } from './matmul.ts';
import { matmulView } from './matmul.ts';
import { everybody, type Shares } from './team.ts';

/** Dot products that share what they read of the row; their results make a short vector. */
const DOTS = 4;

/** Vectors of results that one pass over the row keeps in registers. */
const UNROLL = 8;

export function matrixVector(
  spec: MatmulSpec,
  a: Source,
  b: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall {
  const call = new CallBuilder();
  const { k } = call;
  const readA = call.source(a);
  const readB = call.source(b);
  const n = call.size('n', spec.n);
  const depth = call.size('depth', spec.k);
  const row = a.plain ? null : call.scratch('row', D.mul(4, spec.k));
  const emit = call.epilogue(epilogue, matmulView(spec));
  if (row) k.for(0, depth, 1, (p) => k.store(row, p, readA(k, p, 1)), 'parallel');
  const x: ReadSource = row ? (_k, index, lanes) => load(row, index, lanes) : readA;
  vectorProduct(k, spec.transposeB, target.lanes, { n, depth }, x, readB, emit, everybody(k));
  return call.finish(spec.transposeB ? 'matvec_t' : 'matvec', origins);
}

/** The loops, for kernels that also have others. */
export function vectorProduct(
  k: KernelBuilder,
  transposed: boolean,
  lanes: number,
  sizes: Sizes,
  x: ReadSource,
  matrix: ReadSource,
  emit: EmitTile,
  shares: Shares,
): void {
  const put = emitRow(k, emit);
  if (transposed) dotProducts(k, lanes, sizes, x, matrix, put, shares);
  else sumOfRows(k, lanes, sizes, x, matrix, put, shares);
}

const emitRow =
  (k: KernelBuilder, emit: EmitTile) =>
  (acc: KExpr, col: KExpr): void =>
    emit(k, { acc: k.let(acc), batch: i32(0), row: i32(0), col, flat: col });

export interface Sizes {
  readonly n: KExpr;
  readonly depth: KExpr;
}

/** The matrix is [K, N]: results lie along the lanes. */
function sumOfRows(
  k: KernelBuilder,
  lanes: number,
  { n, depth }: Sizes,
  x: ReadSource,
  b: ReadSource,
  put: (acc: KExpr, col: KExpr) => void,
  { share, mine }: Shares,
): void {
  const columns = (first: KExpr, vectors: number, width: number): void => {
    const acc = Array.from({ length: vectors }, () => k.mutable(splat(f32(0), width), 'acc'));
    k.for(0, depth, 1, (p) => {
      const left = k.let(splat(x(k, p, 1), width), 'x');
      const at = k.let(add(mul(p, n), first), 'at');
      acc.forEach((v, i) => k.set(v, fma(left, b(k, k.let(add(at, i * width)), width), v)));
    });
    acc.forEach((v, i) => put(v, k.let(add(first, i * width), 'col')));
  };
  const wide = UNROLL * lanes;
  const end = k.let(mul(div(n, wide), wide), 'end');
  const range = share(k, 0, end, wide);
  k.for(range.from, range.to, wide, (j) => columns(j, UNROLL, lanes));
  const vectorEnd = k.let(mul(div(n, lanes), lanes), 'end');
  k.if(mine, () => {
    k.for(end, vectorEnd, lanes, (j) => columns(j, 1, lanes));
    k.for(vectorEnd, n, 1, (j) => columns(j, 1, 1));
  });
}

/** The matrix is [N, K]: each result is a dot product along the lanes. */
function dotProducts(
  k: KernelBuilder,
  lanes: number,
  { n, depth }: Sizes,
  x: ReadSource,
  b: ReadSource,
  put: (acc: KExpr, col: KExpr) => void,
  { share, mine }: Shares,
): void {
  const whole = k.let(mul(div(depth, lanes), lanes), 'whole');
  const dots = (first: KExpr, count: number): readonly KExpr[] => {
    const starts = Array.from({ length: count }, (_, i) => k.let(mul(add(first, i), depth), 'start'));
    const acc = starts.map(() => k.mutable(splat(f32(0), lanes), 'acc'));
    k.for(0, whole, lanes, (p) => {
      const left = k.let(x(k, p, lanes), 'x');
      acc.forEach((v, i) => k.set(v, fma(left, b(k, k.let(add(starts[i]!, p)), lanes), v)));
    });
    const sums = acc.map((v) => k.mutable(sumLanes(v), 'sum'));
    k.for(whole, depth, 1, (p) => {
      const left = k.let(x(k, p, 1), 'x');
      sums.forEach((s, i) => k.set(s, fma(left, b(k, k.let(add(starts[i]!, p)), 1), s)));
    });
    return sums;
  };
  const together = Math.min(DOTS, lanes);
  const end = k.let(sub(n, bin('rem', n, together)), 'end');
  const range = share(k, 0, end, together);
  k.for(range.from, range.to, together, (j) => put(vector(dots(j, together)), j));
  k.if(mine, () => k.for(end, n, 1, (j) => put(dots(j, 1)[0]!, j)));
}

/** Pairwise, halves first: one order on every target. */
function sumLanes(v: KExpr): KExpr {
  let items = Array.from({ length: v.type.lanes }, (_, i) => lane(v, i));
  while (items.length > 1) {
    const half = items.length / 2;
    items = Array.from({ length: half }, (_, i) => add(items[i]!, items[i + half]!));
  }
  return items[0]!;
}
