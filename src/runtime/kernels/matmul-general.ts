/** Matrix multiplication of any size by the blocked `gemm`; transposed operands are absorbed where they are read. */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, and, eq, ge, i32, lt, min, mul, sub } from '../../codegen/builder.ts';
import { div, load, rem } from '../../codegen/builder.ts';
import type { KernelCall, Scratch } from '../../codegen/call.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import * as D from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';
import { CallBuilder } from './call-builder.ts';
import type { Epilogue, ReadSource, Source } from './epilogue.ts';
import type { Block, Gemm, Tiling } from './gemm.ts';
import { blockSize, gemm, packedBytes, partialBytes } from './gemm.ts';
import type { MatmulSpec } from './matmul.ts';
import { copiesFor, everybody, teamOver } from './team.ts';
import { vectorProduct } from './matmul-vector.ts';
import { packBlock, type Panels } from './matmul-pack.ts';
import { matmulView } from './matmul.ts';

/** `prepared`: the second operand, one matrix, in panels already. */
export function matmulGeneral(
  spec: MatmulSpec,
  a: Source,
  b: Source,
  epilogue: Epilogue,
  t: Tiling,
  origins: readonly Origin[],
  prepared: Scratch | null = null,
): KernelCall {
  const call = new CallBuilder();
  const { k } = call;
  const readA = call.source(a);
  const readB = call.source(b);
  const m = call.size('m', spec.m);
  const n = call.size('n', spec.n);
  const depth = call.size('depth', spec.k);
  const batch = spec.batch.map((d, i) => call.size(`batch${i}`, d));
  const shallow = spec.k.value !== null && spec.k.value <= t.kc;
  const copies = spec.batch.length === 0 ? 1 : copiesFor(D.product(spec.batch));
  const packed = prepared
    ? call.shared('packed', prepared, 'f32', 'read')
    : call.scratch('packed', D.mul(copies, packedBytes(t, spec.n, spec.k)));
  const partial = shallow ? null : call.scratch('partial', D.mul(copies, partialBytes(t)));
  const directRows = a.plain && !spec.transposeA;
  const packedRows = directRows ? null : call.scratch('rows', D.mul(copies, packedRowBytes(t, spec)));
  const view = matmulView(spec);
  const emit = call.epilogue(epilogue, view);

  const total = batch.reduce<KExpr>((p, d) => mul(p, d), one);
  const blocked = (): void => {
    // Neighbouring items of a batch, or all of one product.
    const items = batch.length === 0 ? null : teamOver(k, k.let(total));
    const team = items ?? everybody(k);
    const own = items?.own ?? i32(0);
    const ownRows = k.let(mul(own, blockSize(depth, t.kc, m, t.mc, t.mr)), 'own');
    k.for(items?.items.from ?? 0, items?.items.to ?? 1, 1, (item) => {
      const originA = k.let(mul(offset(item, batch, spec.batchA), k.let(mul(m, depth))), 'a0');
      const originB = k.let(mul(offset(item, batch, spec.batchB), k.let(mul(depth, n))), 'b0');
      const rowsOf: Gemm['rowsOf'] = packedRows
        ? (b2, rows, block) =>
            packRows(
              b2,
              t,
              spec.transposeA,
              readA,
              originA,
              { m, depth },
              { to: packedRows, at: ownRows, team },
              rows,
              block,
            )
        : (_k, rows, block) => (b2, row) => {
            const last = b2.let(sub(m, 1), 'last');
            const starts = Array.from({ length: t.mr }, (_, r) =>
              b2.let(add(add(originA, mul(min(add(add(rows.first, row), r), last), depth)), block.first), 'start'),
            );
            return (r, p) => readA(b2, add(starts[r]!, p), 1);
          };
      gemm(k, t, {
        rows: m,
        cols: n,
        depth,
        shallow,
        rowsOf,
        pack: prepared
          ? null
          : (b2, at, cols, block) =>
              packBlock(
                b2,
                t,
                spec.transposeB,
                readB,
                { origin: originB, n, depth },
                { to: packed, at, team },
                cols,
                block,
              ),
        packed,
        partial,
        batch: item,
        emit,
        team,
        own,
      });
    });
  };
  // One row, as in inference on one sample, is known only at run time: it gets loops of its own.
  if (directRows && spec.m.value === null && batch.length === 0)
    k.if(
      eq(m, 1),
      () => vectorProduct(k, spec.transposeB, t.lanes, { n, depth }, readA, readB, emit, everybody(k)),
      blocked,
    );
  else blocked();
  const letter = (transposed: boolean): string => (transposed ? 't' : 'n');
  return call.finish(`matmul_${letter(spec.transposeA)}${letter(spec.transposeB)}`, origins);
}

const one: KExpr = { k: 'const', value: 1, type: { elem: 'i32', lanes: 1 } };

/** Which matrix of an operand belongs to batch item `item`. */
export function offset(item: KExpr, batch: readonly KExpr[], varies: readonly boolean[]): KExpr {
  if (varies.every(Boolean)) return item;
  let index: KExpr = { k: 'const', value: 0, type: one.type };
  let rest = item;
  let stride: KExpr = one;
  for (let i = batch.length - 1; i >= 0; i--) {
    if (varies[i]) {
      index = add(index, mul(i === 0 ? rest : rem(rest, batch[i]!), stride));
      stride = mul(stride, batch[i]!);
    }
    rest = div(rest, batch[i]!);
  }
  return index;
}

const packedRowBytes = (t: Tiling, spec: MatmulSpec): D.Dim =>
  D.mul(4, D.mul(D.min(t.kc, spec.k), D.min(t.mc, D.mul(t.mr, D.div(D.add(spec.m, t.mr - 1), t.mr)))));

/** Copies a block of the first operand into panels of `mr` rows, k-major, and reads the tiles from there. */
function packRows(
  k: KernelBuilder,
  t: Tiling,
  transposed: boolean,
  read: ReadSource,
  origin: KExpr,
  { m, depth }: { readonly m: KExpr; readonly depth: KExpr },
  into: Panels,
  rows: Block,
  block: Block,
): ReturnType<Gemm['rowsOf']> {
  const range = into.team.share(k, 0, rows.size, t.mr);
  k.for(range.from, range.to, t.mr, (ir) => {
    const panel = k.let(add(into.at, mul(ir, block.size)), 'panel');
    const row = k.let(add(rows.first, ir), 'row');
    const index = (r: KExpr, p: KExpr): KExpr =>
      transposed
        ? add(add(origin, mul(add(block.first, p), m)), r)
        : add(add(add(origin, mul(r, depth)), block.first), p);
    const at = (p: KExpr, r: number): KExpr => add(add(panel, mul(p, t.mr)), r);
    const whole = transposed ? Math.floor(t.mr / t.lanes) * t.lanes : 0;
    // A vector longer than the panel is wide: the next depth's overwrites what it wrote too much, and the last has none.
    const spills = transposed && t.mr < t.lanes && t.lanes < 2 * t.mr;
    const last = k.let(sub(m, 1), 'last');
    k.for(0, block.size, 1, (p) => {
      const scalars = (from: number): void => {
        for (let r = from; r < t.mr; r++)
          k.store(into.to, at(p, r), read(k, k.let(index(min(add(row, r), last), p)), 1));
      };
      if (spills) {
        const fits = and(ge(sub(rows.size, ir), t.lanes), lt(add(p, 1), block.size));
        const vector = (): void => k.store(into.to, at(p, 0), read(k, k.let(index(row, p)), t.lanes));
        return k.if(fits, vector, () => scalars(0));
      }
      if (whole === 0) return scalars(0);
      k.if(
        ge(sub(rows.size, ir), t.mr),
        () => {
          for (let r = 0; r < whole; r += t.lanes)
            k.store(into.to, at(p, r), read(k, k.let(add(index(row, p), r)), t.lanes));
          scalars(whole);
        },
        () => scalars(0),
      );
    });
  });
  return (b, row) => {
    const panel = b.let(add(into.at, mul(row, block.size)), 'panel');
    return (r, p) => load(into.to, add(add(panel, mul(p, t.mr)), r));
  };
}
