/**
 * Matrix products on a GPU, of whatever is read as two matrices: a workgroup computes a tile of the result, each
 * invocation 4 x 4 or 8 x 8 of it in registers, from slices of both operands in workgroup memory. Where the result has few tiles
 * and the sum is long, workgroups share the sum: partial results go through memory, and a second kernel adds them in order.
 */
import * as K from '../../../codegen/builder.ts';
import type { KernelBuilder } from '../../../codegen/builder.ts';
import type { KernelCall, Scratch } from '../../../codegen/call.ts';
import type { KernelLimits } from '../../../codegen/limits.ts';
import type { KBuffer, KExpr } from '../../../codegen/kernel.ts';
import { Scope } from '../../../codegen/scope.ts';
import type { Dim } from '../../../ir/dim.ts';
import * as D from '../../../ir/dim.ts';
import type { Origin } from '../../../ir/ir.ts';
import { CallBuilder } from '../call-builder.ts';
import type { EmitTile, Epilogue, ResultView, Tile } from '../epilogue.ts';
import { ceilDiv, eachIndex, GROUP, volume, workgroups } from './grid.ts';
import { element, type Operand, type Part } from './operand.ts';
import { PAD, type Tiling, tilingFor } from './tiling.ts';

/** Where element (item, row, col) of the product lies in the result of the op; `flat` excepted. */
export type Where = (k: KernelBuilder, item: KExpr, row: KExpr, col: KExpr) => Pick<Tile, 'batch' | 'row' | 'col'>;

/** One product: sizes, and how its kernel reads and writes. */
export interface Product {
  readonly name: string;
  readonly items: Dim;
  readonly rows: Dim;
  readonly cols: Dim;
  readonly depth: Dim;
  readonly view: ResultView;
  readonly epilogue: Epilogue;
  readonly limits: KernelLimits;
  readonly origins: readonly Origin[];
  /** Declares the parameters of both operands. */
  readonly operands: (call: CallBuilder) => readonly [left: Operand, right: Operand];
  /** Declares what `Where` needs. */
  readonly where: (call: CallBuilder) => Where;
}

/** Side of the squares that an invocation computes: a vector of rows times a vector of columns. */
const SIDE = 4;

export function productCalls(p: Product): KernelCall[] {
  const tiling = tilingFor(p, p.limits);
  if (tiling.parts === 1) return [tiles(p, tiling, null)];
  const bytes = D.mul(D.mul(p.items, D.mul(p.rows, p.cols)), 4 * tiling.parts);
  const partial: Scratch = { kind: 'scratch', bytes };
  return [tiles(p, tiling, partial), added(p, tiling, partial)];
}

interface Sizes {
  readonly items: KExpr;
  readonly rows: KExpr;
  readonly cols: KExpr;
  readonly depth: KExpr;
}

const sizesOf = (call: CallBuilder, p: Product): Sizes => ({
  items: call.fixed('items', p.items),
  rows: call.size('rows', p.rows),
  cols: call.size('cols', p.cols),
  depth: call.size('depth', p.depth),
});

/** The element's place among those of all items. */
const placeOf = (n: Sizes, item: KExpr, row: KExpr, col: KExpr): KExpr =>
  K.add(K.mul(K.add(K.mul(item, n.rows), row), n.cols), col);

/** Hands a finished element to the epilogue. */
function finisher(call: CallBuilder, p: Product): (k: KernelBuilder, at: readonly KExpr[], acc: KExpr) => void {
  const where = p.where(call);
  const [rows, cols] = [call.fixed('out_rows', p.view.rows), call.fixed('out_cols', p.view.cols)];
  const emit: EmitTile = call.epilogue(p.epilogue, p.view);
  return (k, [item, row, col], acc) => {
    const to = where(k, item!, row!, col!);
    const flat = k.let(K.add(K.mul(K.add(K.mul(to.batch, rows), to.row), cols), to.col), 'flat');
    emit(k, { acc, ...to, flat });
  };
}

/** The kernel that multiplies; it leaves partial sums in `partial` where there is one. */
function tiles(p: Product, t: Tiling, partial: Scratch | null): KernelCall {
  const call = new CallBuilder();
  const { k } = call;
  const [left, right] = p.operands(call);
  const n = sizesOf(call, p);
  const sums = partial && call.shared('partial', partial);
  const finish = sums ? null : finisher(call, p);
  const [high, wide] = [ceilDiv(n.rows, t.rows), ceilDiv(n.cols, t.cols)];
  const slices = { left: slice(k, 'left', t.rows, t.depth), right: slice(k, 'right', t.cols, t.depth) };

  workgroups(new Scope(k), volume([n.items, K.i32(t.parts), high, wide]), (group, local) => {
    // Neighbouring workgroups share rows.
    const col0 = k.let(K.mul(K.rem(group, wide), t.cols), 'col0');
    const above = k.let(K.div(group, wide));
    const row0 = k.let(K.mul(K.rem(above, high), t.rows), 'row0');
    const rest = k.let(K.div(above, high));
    const [part, item] = t.parts === 1 ? [K.i32(0), rest] : [k.let(K.rem(rest, t.parts)), k.let(K.div(rest, t.parts))];
    const share = t.parts === 1 ? n.depth : k.let(K.mul(ceilDiv(n.depth, t.parts * t.grain), t.grain), 'share');
    const from = k.let(K.mul(part, share), 'from');
    const to = t.parts === 1 ? n.depth : k.let(K.min(n.depth, K.add(from, share)), 'to');
    const across = t.cols / (SIDE * t.squares);
    const x = k.let(K.mul(K.rem(local, across), SIDE), 'x');
    const y = k.let(K.mul(K.div(local, across), SIDE), 'y');
    const fillLeft = filler(k, slices.left, left, item, local, { first: row0, end: n.rows });
    const fillRight = filler(k, slices.right, right, item, local, { first: col0, end: n.cols });
    const acc = accumulators(k, t);
    k.for(from, to, t.depth, (d0) => {
      fillLeft({ first: d0, end: to });
      fillRight({ first: d0, end: to });
      k.barrier();
      // What is small enough for small tiles ends before a copy of the body for each depth has been compiled.
      const axis = t.squares > 1 ? 'unrolled' : 'serial';
      k.for(0, t.depth, 1, (d) => multiplyAdd(k, t, acc, slices, d, x, y), axis, 'd');
      k.barrier();
    });
    // The tail is a loop over a private array: its text would be there for each element otherwise.
    const side = SIDE * t.squares;
    const kept = k.local('sums', 'f32', side * side);
    acc.forEach((line, i) => line.forEach((v, j) => k.store(kept, i * side + j * SIDE, v)));
    k.for(0, side, 1, (i) =>
      k.for(0, side, 1, (j) => {
        const row = k.let(K.add(row0, K.add(y, spread(i, t.rows / t.squares))), 'row');
        const col = k.let(K.add(col0, K.add(x, spread(j, t.cols / t.squares))), 'col');
        k.if(K.and(K.lt(row, n.rows), K.lt(col, n.cols)), () => {
          const sum = k.let(K.load(kept, K.add(K.mul(i, side), j)), 'sum');
          if (finish) finish(k, [item, row, col], sum);
          else k.store(sums!, placeOf(n, K.add(K.mul(part, n.items), item), row, col), sum);
        });
      }),
    );
  });
  const made = call.finish(finish ? p.name : 'part', p.origins);
  return t.replanned === null ? made : { ...made, replanned: t.replanned };
}

/** Line i of an invocation among those of the tile: its squares lie `apart` lines from each other. */
const spread = (i: KExpr, apart: number): KExpr => K.add(K.mul(K.div(i, SIDE), apart), K.rem(i, SIDE));

/** [row][vector of columns] */
const accumulators = (k: KernelBuilder, t: Tiling): KExpr[][] =>
  Array.from({ length: SIDE * t.squares }, () =>
    Array.from({ length: t.squares }, () => k.mutable(K.splat(K.f32(0), SIDE), 'acc')),
  );

/** A slice of an operand: [depth][line]. */
interface Slice {
  readonly memory: KBuffer;
  readonly lines: number;
  readonly depth: number;
  readonly stride: number;
}

function slice(k: KernelBuilder, name: string, lines: number, depth: number): Slice {
  const stride = lines + PAD;
  return { memory: k.sharedVectors(name, stride * depth), lines, depth, stride };
}

interface Range {
  readonly first: KExpr;
  readonly end: KExpr;
}

/** What copies a slice, all invocations together, four lines at one depth each; what lies outside the operand is 0. */
function filler(
  k: KernelBuilder,
  s: Slice,
  operand: Operand,
  item: KExpr,
  local: KExpr,
  lines: Range,
): (depth: Range) => void {
  const lineGroups = s.lines / SIDE;
  const work = lineGroups * s.depth;
  const fast = operand.alongDepth ? s.depth : lineGroups;
  const [inner, outer] = [k.let(K.rem(local, fast), 'inner'), k.let(K.div(local, fast), 'outer')];
  const four = (group: KExpr): FourLines => {
    const l = k.let(K.mul(group, SIDE), 'l');
    return {
      l,
      lines: Array.from({ length: SIDE }, (_, i) => {
        const line = k.let(K.add(K.add(lines.first, l), i), 'line');
        const part = operand.line(k, item, line).map((e) => k.let(e, 'of_line'));
        return { part, exists: k.let(K.lt(line, lines.end), 'exists') };
      }),
    };
  };
  const copy = (own: FourLines, d: KExpr, depth: Range): void => {
    const deep = k.let(K.add(depth.first, d), 'deep');
    const reaches = k.let(K.lt(deep, depth.end), 'reaches');
    const part = operand.depth(k, item, deep).map((e) => k.let(e, 'of_depth'));
    const values = own.lines.map((l) => element(k, operand, l.part, part, K.and(reaches, l.exists)));
    k.store(s.memory, k.let(K.add(K.mul(d, s.stride), own.l)), K.vector(values));
  };
  // In each turn the invocations together advance by `apart` along the outer of the two.
  const [turns, apart] = [Math.ceil(work / GROUP), GROUP / fast];
  if (turns === 1) {
    const own = operand.alongDepth ? four(outer) : four(inner);
    const turn = (depth: Range): void => copy(own, operand.alongDepth ? inner : outer, depth);
    return (depth) => (work < GROUP ? k.if(K.lt(local, work), () => turn(depth)) : turn(depth));
  }
  if (!operand.alongDepth) {
    const own = four(inner);
    return (depth) => k.for(0, turns, 1, (i) => copy(own, k.let(K.add(outer, K.mul(i, apart)), 'd'), depth));
  }
  return (depth) => k.for(0, turns, 1, (i) => copy(four(K.add(outer, K.mul(i, apart))), inner, depth));
}

/** Four neighbouring lines of an operand, the first at place `l` of the slice. */
interface FourLines {
  readonly l: KExpr;
  readonly lines: readonly { readonly part: Part; readonly exists: KExpr }[];
}

function multiplyAdd(
  k: KernelBuilder,
  t: Tiling,
  acc: readonly (readonly KExpr[])[],
  { left, right }: { readonly left: Slice; readonly right: Slice },
  d: KExpr,
  x: KExpr,
  y: KExpr,
): void {
  const read = (s: Slice, own: KExpr): KExpr[] => {
    const first = k.let(K.add(K.mul(d, s.stride), own));
    return Array.from({ length: t.squares }, (_, i) =>
      k.let(K.load(s.memory, K.add(first, (i * s.lines) / t.squares), SIDE)),
    );
  };
  const a = read(left, y);
  const b = read(right, x);
  acc.forEach((line, i) => {
    const factor = k.let(K.splat(K.lane(a[Math.floor(i / SIDE)]!, i % SIDE), SIDE));
    line.forEach((v, j) => k.set(v, K.fma(factor, b[j]!, v)));
  });
}

/** The kernel that adds partial sums, first to last. */
function added(p: Product, t: Tiling, partial: Scratch): KernelCall {
  const call = new CallBuilder();
  const { k } = call;
  const n = sizesOf(call, p);
  const sums = call.shared('partial', partial);
  const finish = finisher(call, p);
  const total = volume([n.items, n.rows, n.cols]);
  eachIndex(new Scope(k), total, (i) => {
    const sum = k.mutable(K.f32(0), 'sum');
    const step = k.let(total, 'step');
    k.for(0, t.parts, 1, (part) => k.set(sum, K.add(sum, K.load(sums, K.add(K.mul(part, step), i)))));
    const [col, rest] = [k.let(K.rem(i, n.cols), 'col'), k.let(K.div(i, n.cols))];
    const [row, item] = [k.let(K.rem(rest, n.rows), 'row'), k.let(K.div(rest, n.rows), 'item')];
    finish(k, [item, row, col], k.let(sum));
  });
  return call.finish(p.name, p.origins);
}
