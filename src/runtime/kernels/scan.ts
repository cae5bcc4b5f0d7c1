/** cumsum, cummax, cummin and recurrence: each line from one end to the other, neighbouring lines in the lanes of vectors. */
import * as K from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { Coord } from '../../codegen/coord.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import { product } from '../../ir/dim.ts';
import type { Op } from '../../ir/ir.ts';
import { flag, num } from '../../ir/ops/attrs.ts';
import { vectorLoop } from './loops.ts';
import { coreOf, operandOf, originsOf } from './region.ts';

/** What kernels of these rows have in common on every target. */
export interface Lines {
  readonly a: KernelArgs;
  /** The terms, and the factors of a recurrence. */
  readonly x: KBuffer;
  readonly factors: KBuffer | null;
  readonly out: KBuffer;
  /** What two runs of terms that follow each other come to, and what leaves any run as it is. */
  readonly join: (a: KExpr, b: KExpr) => KExpr;
  readonly none: KExpr;
  readonly before: KExpr;
  readonly n: KExpr;
  readonly after: KExpr;
  /** Memory position of step i of the line (p, q). */
  readonly at: (p: KExpr, i: KExpr, q: KExpr) => KExpr;
}

export function openLines(op: Op): Lines {
  const core = coreOf(op);
  const a = new KernelArgs();
  const { scope: s } = a;
  const terms = operandOf(op, core.operands.length - 1);
  const factors = core.operands.length > 1 ? a.buffer(operandOf(op, 0), 'read', 'a') : null;
  const x = a.buffer(terms, 'read', 'x');
  const out = a.buffer(op.results[0]!, 'write', 'out');
  const { shape } = terms.type;
  const axis = num(core.attrs, 'axis');
  const before = a.sizeParam(product(shape.slice(0, axis)));
  const n = a.sizeParam(shape[axis]!);
  const after = a.sizeParam(product(shape.slice(axis + 1)));
  const reverse = flag(core.attrs, 'reverse');
  const at = (p: KExpr, i: KExpr, q: KExpr): KExpr => {
    const t = reverse ? s.share(K.sub(s.share(K.sub(n, 1)), i)) : i;
    return s.share(K.add(K.mul(s.share(K.add(K.mul(p, n), t)), after), q), 'at');
  };
  return { a, x, factors, out, ...joins(core.kind, x), before, n, after, at };
}

function joins(kind: string, x: KBuffer): Pick<Lines, 'join' | 'none'> {
  const elem = K.loadedElem(x.elem);
  const value = (v: number): KExpr => K.coerce(v, { elem, lanes: 1 });
  if (kind !== 'cummax' && kind !== 'cummin') return { join: K.add, none: zeroOf(x) };
  const [low, high] =
    elem === 'f32' ? [-Infinity, Infinity] : elem === 'i32' ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
  return kind === 'cummax' ? { join: K.max, none: value(low) } : { join: K.min, none: value(high) };
}

export function scanKernel(op: Op, target: Target, name: string): KernelCall {
  const { a, x, factors, out, join, none, before, n, after, at } = openLines(op);
  const { k, scope: s } = a;
  const single = product(operandOf(op, 0).type.shape.slice(0, num(coreOf(op).attrs, 'axis'))).value === 1;
  const group = (p: KExpr): void => {
    const lines = (columns: readonly Coord[]): void => {
      const sums = columns.map((c) => k.mutable(K.splat(none, c.steps.length || 1), 'sum'));
      s.loop(0, n, 1, (i) =>
        columns.forEach((c, u) => {
          const here = at(p, i, c.base);
          const lanes = c.steps.length || 1;
          const term = K.load(x, here, lanes);
          const sum = sums[u]!;
          k.set(sum, join(factors ? K.mul(K.load(factors, here, lanes), sum) : sum, term));
          if (factors) k.if(K.eq(i, 0), () => k.set(sum, term));
          k.store(out, here, sum);
        }),
      );
    };
    vectorLoop(s, K.i32(0), after, target.lanes, 4, lines, undefined, single ? 'parallel' : 'serial');
  };
  s.loop(0, before, 1, group, single ? 'serial' : 'parallel');
  return a.finish(name, originsOf(op));
}

export const zeroOf = (x: KBuffer): KExpr => K.coerce(0, { elem: K.loadedElem(x.elem), lanes: 1 });
