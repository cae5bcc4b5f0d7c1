/**
 * Packing of a product's second operand into panels of `nr` columns, k-major, so that the inner loop reads it in sequence: a
 * block at a time where it is used, or all of it by a kernel of its own, which a loop that does not change the operand runs once.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, bin, bitcast, div, f32, ge, i32, lt, min, mul, ne, select, sub, u32 } from '../../codegen/builder.ts';
import type { KernelCall, Scratch } from '../../codegen/call.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import type { Origin } from '../../ir/ir.ts';
import { CallBuilder } from './call-builder.ts';
import type { ReadSource, Source } from './epilogue.ts';
import type { Block, Tiling } from './gemm.ts';
import { panelStart, preparedBytes } from './gemm.ts';
import type { MatmulSpec } from './matmul.ts';
import { everybody, type Together } from './team.ts';
import { transpose } from './transpose.ts';

/** Where panels go, from an element on, and who fills them. */
export interface Panels {
  readonly to: KBuffer;
  readonly at: KExpr;
  readonly team: Together;
}

/**
 * A matrix in panels, and the kernel that fills them: nothing to do where there is one row and `skipsOne`. What is packed for
 * several runs of a program does not know the rows: whoever runs it looks at them.
 */
export function prepareColumns(
  spec: MatmulSpec,
  b: Source,
  t: Tiling,
  skipsOne: boolean,
  origins: readonly Origin[],
): { readonly call: KernelCall; readonly panels: Scratch } {
  const call = new CallBuilder();
  const { k } = call;
  const read = call.source(b);
  const m = skipsOne && b.lasts === 'loop' ? call.size('m', spec.m) : null;
  const n = call.size('n', spec.n);
  const depth = call.size('depth', spec.k);
  const panels: Scratch = { kind: 'scratch', bytes: preparedBytes(t, spec.n, spec.k) };
  const to = call.shared('packed', panels, 'f32', 'write');
  const team = everybody(k);
  const pack = (): void =>
    k.for(0, n, t.nc, (jc) => {
      const cols: Block = { first: jc, size: k.let(min(t.nc, sub(n, jc)), 'nc') };
      k.for(0, depth, t.kc, (pc) => {
        const block: Block = { first: pc, size: k.let(min(t.kc, sub(depth, pc)), 'kc') };
        const at = k.let(panelStart(t, n, cols, block), 'at');
        const matrix = spec.transposeB ? { read, origin: i32(0), depth } : inRows(read, i32(0), n);
        packBlock(k, t, matrix, { to, at, team }, cols, block);
      });
    });
  if (m) k.if(ne(m, 1), pack);
  else pack();
  return { call: { ...call.finish('pack', origins), prepares: { rows: skipsOne ? spec.m : null } }, panels };
}

/** A matrix with a row for each step of depth. */
export interface InRows {
  /** Where an element lies. */
  readonly at: (p: KExpr, col: KExpr) => KExpr;
  /** `lanes` elements of row p, from `c` after a place on. */
  readonly read: (k: KernelBuilder, p: KExpr, place: KExpr, c: number | KExpr, lanes: number) => KExpr;
}

export const inRows = (read: ReadSource, origin: KExpr, width: KExpr): InRows => ({
  at: (p, col) => add(add(origin, mul(p, width)), col),
  read: (k, _p, place, c, lanes) => read(k, k.let(add(place, c)), lanes),
});

/** Of bf16, whose rows come in twos: words of the elements of both. After an odd last one follow zeros. */
export const inPairsOfRows = (read: ReadSource, origin: KExpr, width: KExpr, depth: KExpr): InRows => ({
  at: (p, col) => add(add(origin, mul(mul(p, 2), width)), col),
  read: (k, p, place, c, lanes) => {
    const both = k.let(lt(add(mul(p, 2), 1), depth), 'both');
    const first = k.let(add(place, c));
    const second = k.let(add(first, select(both, width, 0)));
    const bits = (at: KExpr): KExpr => bitcast(read(k, at, lanes), 'u32');
    const mask = k.let(select(both, u32(0xffff0000), u32(0)), 'mask');
    return bin('or', bin('shr', bits(first), 16), bin('and', bits(second), mask));
  },
});

/** One with a row for each column: depth lies side by side. */
export interface Turned {
  readonly read: ReadSource;
  readonly origin: KExpr;
  readonly depth: KExpr;
}

export function packBlock(
  k: KernelBuilder,
  t: Tiling,
  matrix: InRows | Turned,
  into: Panels,
  cols: Block,
  block: Block,
): void {
  if ('at' in matrix) packColumns(k, t, matrix, into, cols, block);
  else packTransposed(k, t, matrix.read, matrix.origin, matrix.depth, into, cols, block);
}

/** Rows that are packed together: neighbouring panels share their cache lines, even where rows are a power of two apart. */
const ROWS_AT_ONCE = 8;

/** Packs columns that lie in rows: whole vectors are copied, the last panel is filled up with zeros. */
function packColumns(k: KernelBuilder, t: Tiling, matrix: InRows, into: Panels, cols: Block, block: Block): void {
  const range = into.team.share(k, 0, block.size, ROWS_AT_ONCE);
  k.for(range.from, range.to, ROWS_AT_ONCE, (p0) => {
    const end = k.let(min(add(p0, ROWS_AT_ONCE), block.size), 'end');
    k.for(0, cols.size, t.nr, (jr) => {
      const panel = k.let(add(into.at, mul(jr, block.size)), 'panel');
      const col = k.let(add(cols.first, jr), 'col');
      const left = k.let(sub(cols.size, jr), 'left');
      k.for(p0, end, 1, (p) => {
        const depth = add(block.first, p);
        const from = k.let(matrix.at(depth, col), 'from');
        const to = k.let(add(panel, mul(p, t.nr)), 'to');
        k.if(
          ge(left, t.nr),
          () => {
            for (let c = 0; c < t.nr; c += t.lanes)
              k.store(into.to, add(to, c), matrix.read(k, depth, from, c, t.lanes));
          },
          () => fillPartly(k, t, into.to, to, left, (c) => matrix.read(k, depth, from, c, 1)),
        );
      });
    });
  });
}

function fillPartly(
  k: KernelBuilder,
  t: Tiling,
  into: KBuffer,
  to: KExpr,
  left: KExpr,
  value: (c: KExpr) => KExpr,
): void {
  const end = k.let(min(left, t.nr), 'end');
  k.for(0, end, 1, (c) => k.store(into, add(to, c), value(c)));
  const zero = into.elem === 'u32' ? u32(0) : f32(0);
  k.for(end, t.nr, 1, (c) => k.store(into, add(to, c), zero));
}

/** Packs columns that are contiguous along depth: squares of lanes x lanes are transposed in registers. */
function packTransposed(
  k: KernelBuilder,
  t: Tiling,
  read: ReadSource,
  origin: KExpr,
  depth: KExpr,
  into: Panels,
  cols: Block,
  block: Block,
): void {
  const { lanes } = t;
  const range = into.team.share(k, 0, cols.size, t.nr);
  k.for(range.from, range.to, t.nr, (jr) => {
    const panel = k.let(add(into.at, mul(jr, block.size)), 'panel');
    const left = k.let(sub(cols.size, jr), 'left');
    const from = k.let(add(add(origin, mul(add(cols.first, jr), depth)), block.first), 'from');
    const scalars = (p: KExpr): void =>
      fillPartly(k, t, into.to, k.let(add(panel, mul(p, t.nr)), 'to'), left, (c) =>
        read(k, k.let(add(add(from, mul(depth, c)), p)), 1),
      );
    k.if(
      ge(left, t.nr),
      () => {
        const starts = Array.from({ length: t.nr }, (_, c) => k.let(add(from, mul(depth, c)), 'start'));
        const whole = k.let(mul(div(block.size, lanes), lanes), 'whole');
        k.for(0, whole, lanes, (p) => {
          const to = k.let(add(panel, mul(p, t.nr)), 'to');
          for (let c = 0; c < t.nr; c += lanes) {
            const square = starts.slice(c, c + lanes).map((s) => k.let(read(k, k.let(add(s, p)), lanes), 's'));
            transpose(square, (e) => k.let(e, 's')).forEach((v, i) => k.store(into.to, add(to, i * t.nr + c), v));
          }
        });
        k.for(whole, block.size, 1, scalars);
      },
      () => k.for(0, block.size, 1, scalars),
    );
  });
}
