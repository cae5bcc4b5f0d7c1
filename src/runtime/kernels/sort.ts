/** argsort on a core: a stable merge sort of each line, bottom up, in n log n steps of constant size. */
import * as K from '../../codegen/builder.ts';
import type { KernelCall } from '../../codegen/call.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import type { Scope } from '../../codegen/scope.ts';
import { mul, product, sym } from '../../ir/dim.ts';
import type { Op } from '../../ir/ir.ts';
import { flag, num } from '../../ir/ops/attrs.ts';
import { THREADS } from '../artifact.ts';
import { coreOf, operandOf, originsOf } from './region.ts';
import { thread } from './team.ts';

/**
 * An i32 that orders as the element does: of floats the bits, those of negative numbers turned round, with every NaN above
 * all and -0 equal to 0 (by bits, for a GPU may take NaN for impossible).
 */
export function orderKey(s: Scope, x: KExpr, descending: boolean): KExpr {
  const { k } = s;
  let key = x;
  if (x.type.elem === 'u32') key = K.bitcast(K.bin('xor', x, 0x80000000), 'i32');
  else if (x.type.elem === 'f32') {
    const bits = k.let(K.bitcast(x, 'i32'), 'bits');
    const size = k.let(K.bin('and', bits, 0x7fffffff), 'size');
    const signed = K.select(K.lt(bits, 0), K.neg(size), size);
    key = K.select(K.gt(size, 0x7f800000), 0x7fffffff, signed);
  }
  return k.let(descending ? K.bin('xor', key, -1) : key, 'key');
}

export function sortKernel(op: Op, name: string): KernelCall {
  const core = coreOf(op);
  const a = new KernelArgs();
  const { k, scope: s } = a;
  const source = operandOf(op, 0);
  const { shape } = source.type;
  const axis = num(core.attrs, 'axis');
  const line = shape[axis]!;
  const x = a.buffer(source, 'read', 'x');
  const out = a.buffer(op.results[0]!, 'write', 'out');
  const keys = a.scratch('i32', mul(sym(THREADS), mul(line, 4)), 'keys');
  // Two orders: runs are merged from one half into the other.
  const order = a.scratch('i32', mul(sym(THREADS), mul(line, 8)), 'order');
  const [before, n, after] = [product(shape.slice(0, axis)), line, product(shape.slice(axis + 1))].map((d) =>
    a.sizeParam(d),
  ) as [KExpr, KExpr, KExpr];
  const last = s.share(K.sub(n, 1), 'last');
  const own = k.let(K.mul(thread, n), 'own');
  const ownOrder = k.let(K.mul(own, 2), 'own');
  const keyAt = (i: KExpr): KExpr => K.add(own, i);
  const orderAt = (i: KExpr): KExpr => K.add(ownOrder, i);
  const sortLine =
    (p: KExpr) =>
    (q: KExpr): void => {
      const first = s.share(K.add(K.mul(s.share(K.mul(p, n)), after), q), 'first');
      s.loop(0, n, 1, (i) => {
        k.store(keys, keyAt(i), orderKey(s, K.load(x, K.add(first, K.mul(i, after))), flag(core.attrs, 'descending')));
        k.store(order, orderAt(i), i);
      });
      const from = k.mutable(K.i32(0), 'from');
      const width = k.mutable(K.i32(1), 'width');
      k.while(K.lt(width, n), () => {
        const to = k.let(K.sub(n, from), 'to');
        const start = k.mutable(K.i32(0), 'start');
        k.while(K.lt(start, n), () => {
          const middle = k.let(K.min(K.add(start, width), n), 'middle');
          const end = k.let(K.min(K.add(middle, width), n), 'end');
          const left = k.mutable(start, 'left');
          const right = k.mutable(middle, 'right');
          k.for(start, end, 1, (at) => {
            const l = k.let(K.load(order, orderAt(K.add(from, K.min(left, last)))), 'l');
            const r = k.let(K.load(order, orderAt(K.add(from, K.min(right, last)))), 'r');
            const before = K.le(K.load(keys, keyAt(l)), K.load(keys, keyAt(r)));
            const takes = k.let(K.and(K.lt(left, middle), K.or(K.ge(right, end), before)), 'takes');
            k.store(order, orderAt(K.add(to, at)), K.select(takes, l, r));
            k.set(left, K.add(left, K.select(takes, K.i32(1), K.i32(0))));
            k.set(right, K.add(right, K.select(takes, K.i32(0), K.i32(1))));
          });
          k.set(start, end);
        });
        k.set(from, to);
        // Doubling what is already more than half of a line could overflow.
        k.set(width, K.select(K.gt(width, K.div(n, 2)), n, K.mul(width, 2)));
      });
      s.loop(0, n, 1, (i) => k.store(out, K.add(first, K.mul(i, after)), K.load(order, orderAt(K.add(from, i)))));
    };
  const single = product(shape.slice(0, axis)).value === 1;
  const group = (p: KExpr): void => s.loop(0, after, 1, sortLine(p), single ? 'parallel' : 'serial');
  s.loop(0, before, 1, group, single ? 'serial' : 'parallel');
  return a.finish(name, originsOf(op));
}
