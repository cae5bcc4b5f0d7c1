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
import { inPairsOfRows, inRows, type InRows, packBlock, type Panels, type Turned } from './matmul-pack.ts';
import { matmulView } from './matmul.ts';

/**
 * `prepared`: the second operand, one matrix, in panels already. `words`: both are bf16, and the depth is counted in words of two
 * that neighbour along it. Where it lies side by side in memory the words are there, and their number is even.
 */
export function matmulGeneral(
  spec: MatmulSpec,
  a: Source,
  b: Source,
  epilogue: Epilogue,
  t: Tiling,
  origins: readonly Origin[],
  prepared: Scratch | null = null,
  words = false,
): KernelCall {
  const call = new CallBuilder();
  const { k } = call;
  const readA = call.source(words && !spec.transposeA ? a.words! : a);
  const readB = call.source(words && spec.transposeB ? b.words! : b);
  const m = call.size('m', spec.m);
  const n = call.size('n', spec.n);
  const steps = words ? wordsOf(spec.k) : spec.k;
  const depth = call.size('depth', steps);
  const elements = words && (spec.transposeA || !spec.transposeB) ? call.size('elements', spec.k) : depth;
  const elem = words ? 'u32' : 'f32';
  const batch = spec.batch.map((d, i) => call.size(`batch${i}`, d));
  const shallow = steps.value !== null && steps.value <= t.kc;
  const copies = spec.batch.length === 0 ? 1 : copiesFor(D.product(spec.batch));
  const packed = prepared
    ? call.shared('packed', prepared, 'f32', 'read')
    : call.scratch('packed', D.mul(copies, packedBytes(t, spec.n, steps)), elem);
  const partial = shallow ? null : call.scratch('partial', D.mul(copies, partialBytes(t)));
  const directRows = (a.plain || words) && !spec.transposeA;
  const packedRows = directRows ? null : call.scratch('rows', D.mul(copies, packedRowBytes(t, spec.m, steps)), elem);
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
      const originA = k.let(
        mul(offset(item, batch, spec.batchA), k.let(mul(m, spec.transposeA ? elements : depth))),
        'a0',
      );
      const originB = k.let(
        mul(offset(item, batch, spec.batchB), k.let(mul(spec.transposeB ? depth : elements, n))),
        'b0',
      );
      const rows = (read: ReadSource, origin: KExpr, width: KExpr): InRows =>
        words ? inPairsOfRows(read, origin, width, elements) : inRows(read, origin, width);
      const rowsOf: Gemm['rowsOf'] = packedRows
        ? (b2, some, block) =>
            packRows(
              b2,
              t,
              spec.transposeA ? rows(readA, originA, m) : { read: readA, origin: originA, depth },
              m,
              { to: packedRows, at: ownRows, team },
              some,
              block,
            )
        : (_k, some, block) => (b2, row) => {
            const last = b2.let(sub(m, 1), 'last');
            const starts = Array.from({ length: t.mr }, (_, r) =>
              b2.let(add(add(originA, mul(min(add(add(some.first, row), r), last), depth)), block.first), 'start'),
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
                spec.transposeB ? { read: readB, origin: originB, depth } : rows(readB, originB, n),
                { to: packed, at, team },
                cols,
                block,
              ),
        packed,
        packsRows: packedRows !== null,
        partial,
        batch: item,
        emit,
        team,
        own,
      });
    });
  };
  if (!words && maySkipPanels(spec, a))
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

/** One row, as in inference on one sample, is known only at run time: it gets loops of its own, which read the matrix as it lies. */
export const maySkipPanels = (s: MatmulSpec, a: Source): boolean =>
  a.plain && !s.transposeA && s.m.value === null && s.batch.length === 0;

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

const packedRowBytes = (t: Tiling, m: D.Dim, depth: D.Dim): D.Dim =>
  D.mul(4, D.mul(D.min(t.kc, depth), D.min(t.mc, D.mul(t.mr, D.div(D.add(m, t.mr - 1), t.mr)))));

/** Words of two elements each. */
export const wordsOf = (elements: D.Dim): D.Dim => D.div(D.add(elements, 1), 2);

/** Copies a block of the first operand into panels of `mr` rows, k-major, and reads the tiles from there. */
function packRows(
  k: KernelBuilder,
  t: Tiling,
  matrix: InRows | Turned,
  m: KExpr,
  into: Panels,
  rows: Block,
  block: Block,
): ReturnType<Gemm['rowsOf']> {
  const range = into.team.share(k, 0, rows.size, t.mr);
  k.for(range.from, range.to, t.mr, (ir) => {
    const panel = k.let(add(into.at, mul(ir, block.size)), 'panel');
    const row = k.let(add(rows.first, ir), 'row');
    const transposed = 'at' in matrix;
    /** Rows from r and `c` more on. */
    const read = (p: KExpr, r: KExpr, c: number, lanes: number): KExpr => {
      const depth = add(block.first, p);
      if ('at' in matrix) return matrix.read(k, depth, matrix.at(depth, r), c, lanes);
      return matrix.read(k, k.let(add(add(add(matrix.origin, mul(r, matrix.depth)), block.first), p)), lanes);
    };
    const at = (p: KExpr, r: number): KExpr => add(add(panel, mul(p, t.mr)), r);
    const whole = transposed ? Math.floor(t.mr / t.lanes) * t.lanes : 0;
    // A vector longer than the panel is wide: the next depth's overwrites what it wrote too much, and the last has none.
    const spills = transposed && t.mr < t.lanes && t.lanes < 2 * t.mr;
    const last = k.let(sub(m, 1), 'last');
    k.for(0, block.size, 1, (p) => {
      const scalars = (from: number): void => {
        for (let r = from; r < t.mr; r++) k.store(into.to, at(p, r), read(p, min(add(row, r), last), 0, 1));
      };
      if (spills) {
        const fits = and(ge(sub(rows.size, ir), t.lanes), lt(add(p, 1), block.size));
        const vector = (): void => k.store(into.to, at(p, 0), read(p, row, 0, t.lanes));
        return k.if(fits, vector, () => scalars(0));
      }
      if (whole === 0) return scalars(0);
      k.if(
        ge(sub(rows.size, ir), t.mr),
        () => {
          for (let r = 0; r < whole; r += t.lanes) k.store(into.to, at(p, r), read(p, row, r, t.lanes));
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
