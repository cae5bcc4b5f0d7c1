/**
 * Packing of a product's second operand into panels of `nr` columns, k-major, so that the inner loop reads it in sequence: a
 * block at a time where it is used, or all of it by a kernel of its own, which a loop that does not change the operand runs once.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, div, f32, ge, i32, min, mul, ne, sub } from '../../codegen/builder.ts';
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

/** A matrix in panels, and the kernel that fills them. One row is multiplied without panels: then there is nothing to do. */
export function prepareColumns(
  spec: MatmulSpec,
  b: Source,
  t: Tiling,
  origins: readonly Origin[],
): { readonly call: KernelCall; readonly panels: Scratch } {
  const call = new CallBuilder();
  const { k } = call;
  const read = call.source(b);
  const m = call.size('m', spec.m);
  const n = call.size('n', spec.n);
  const depth = call.size('depth', spec.k);
  const panels: Scratch = { kind: 'scratch', bytes: preparedBytes(t, spec.n, spec.k) };
  const to = call.shared('packed', panels);
  const team = everybody(k);
  k.if(ne(m, 1), () =>
    k.for(0, n, t.nc, (jc) => {
      const cols: Block = { first: jc, size: k.let(min(t.nc, sub(n, jc)), 'nc') };
      k.for(0, depth, t.kc, (pc) => {
        const block: Block = { first: pc, size: k.let(min(t.kc, sub(depth, pc)), 'kc') };
        const at = k.let(panelStart(t, n, cols, block), 'at');
        packBlock(k, t, spec.transposeB, read, { origin: i32(0), n, depth }, { to, at, team }, cols, block);
      });
    }),
  );
  return { call: { ...call.finish('pack', origins), prepares: true }, panels };
}

/** Where a matrix starts in its memory, and its sizes. */
interface Matrix {
  readonly origin: KExpr;
  readonly n: KExpr;
  readonly depth: KExpr;
}

export function packBlock(
  k: KernelBuilder,
  t: Tiling,
  transposed: boolean,
  read: ReadSource,
  { origin, n, depth }: Matrix,
  into: Panels,
  cols: Block,
  block: Block,
): void {
  if (transposed) packTransposed(k, t, read, origin, depth, into, cols, block);
  else packColumns(k, t, (p, j) => add(add(origin, mul(p, n)), j), read, into, cols, block);
}

/** Rows that are packed together: neighbouring panels share their cache lines, even where rows are a power of two apart. */
const ROWS_AT_ONCE = 8;

/** Packs columns that lie in rows: whole vectors are copied, the last panel is filled up with zeros. */
function packColumns(
  k: KernelBuilder,
  t: Tiling,
  index: (depth: KExpr, col: KExpr) => KExpr,
  read: ReadSource,
  into: Panels,
  cols: Block,
  block: Block,
): void {
  const range = into.team.share(k, 0, block.size, ROWS_AT_ONCE);
  k.for(range.from, range.to, ROWS_AT_ONCE, (p0) => {
    const end = k.let(min(add(p0, ROWS_AT_ONCE), block.size), 'end');
    k.for(0, cols.size, t.nr, (jr) => {
      const panel = k.let(add(into.at, mul(jr, block.size)), 'panel');
      const col = k.let(add(cols.first, jr), 'col');
      const left = k.let(sub(cols.size, jr), 'left');
      k.for(p0, end, 1, (p) => {
        const from = k.let(index(add(block.first, p), col), 'from');
        const to = k.let(add(panel, mul(p, t.nr)), 'to');
        k.if(
          ge(left, t.nr),
          () => {
            for (let c = 0; c < t.nr; c += t.lanes) k.store(into.to, add(to, c), read(k, k.let(add(from, c)), t.lanes));
          },
          () => fillPartly(k, t, into.to, to, left, (c) => read(k, k.let(add(from, c)), 1)),
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
  k.for(end, t.nr, 1, (c) => k.store(into, add(to, c), f32(0)));
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
