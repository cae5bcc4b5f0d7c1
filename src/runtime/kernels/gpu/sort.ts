/**
 * argsort on a GPU: a workgroup takes a line and merges runs of doubling length. Every element finds its place in the merged
 * run by itself: its place in its own run, and a binary search for how many of the other run come before it. Stable, without
 * atomics, for any length; n log^2 n comparisons, shared by the workgroup.
 */
import * as K from '../../../codegen/builder.ts';
import type { KernelCall, Scratch } from '../../../codegen/call.ts';
import { KernelArgs } from '../../../codegen/kernel-args.ts';
import type { KBuffer, KExpr } from '../../../codegen/kernel.ts';
import { mul, product } from '../../../ir/dim.ts';
import type { Op } from '../../../ir/ir.ts';
import { flag, num } from '../../../ir/ops/attrs.ts';
import { coreOf, operandOf, originsOf } from '../region.ts';
import { orderKey } from '../sort.ts';
import { GROUP, workgroups } from './grid.ts';

/** The kernel of a `fusion {argsort}` op. */
export function sortOnGrid(op: Op, name: string): KernelCall {
  const core = coreOf(op);
  const a = new KernelArgs();
  const { k, scope: s } = a;
  const source = operandOf(op, 0);
  const { shape } = source.type;
  const axis = num(core.attrs, 'axis');
  const x = a.buffer(source, 'read', 'x');
  const out = a.buffer(op.results[0]!, 'write', 'out');
  const keys = a.scratch('i32', mul(product(shape), 4), 'keys');
  const order = a.scratch('i32', mul(product(shape), 8), 'order');
  const lines = K.mul(a.sizeParam(product(shape.slice(0, axis))), a.sizeParam(product(shape.slice(axis + 1))));
  const n = a.sizeParam(shape[axis]!);
  const after = a.sizeParam(product(shape.slice(axis + 1)));
  workgroups(s, lines, (line, local) => {
    const outer = s.share(K.div(line, after));
    const first = s.share(K.add(K.mul(s.share(K.mul(outer, n)), after), s.share(K.rem(line, after))), 'first');
    const own = s.share(K.mul(line, n), 'own');
    const both = s.share(K.mul(own, 2), 'both');
    k.for(local, n, GROUP, (i) => {
      const key = orderKey(s, K.load(x, K.add(first, K.mul(i, after))), flag(core.attrs, 'descending'));
      k.store(keys, K.add(own, i), key);
      k.store(order, K.add(both, i), i);
    });
    const from = mergeRuns(a, { keys, own, order, both, n, local });
    k.for(local, n, GROUP, (i) =>
      k.store(out, K.add(first, K.mul(i, after)), K.load(order, K.add(both, K.add(from, i)))),
    );
  });
  return a.finish(name, originsOf(op));
}

interface Line {
  readonly keys: KBuffer;
  /** Where the keys of the line begin; and its two orders of n positions each. */
  readonly own: KExpr;
  readonly order: KBuffer;
  readonly both: KExpr;
  readonly n: KExpr;
  readonly local: KExpr;
}

/** Sorts the first of the two orders by the keys; gives the offset of the one that is sorted: 0 or n. */
function mergeRuns({ k }: KernelArgs, { keys, own, order, both, n, local }: Line): KExpr {
  const from = k.mutable(K.i32(0), 'from');
  const width = k.mutable(K.i32(1), 'width');
  k.barrier('global');
  k.while(K.lt(width, n), () => {
    const to = k.let(K.sub(n, from), 'to');
    const keyAt = (place: KExpr): KExpr => {
      const position = k.let(K.load(order, K.add(both, K.add(from, place))), 'position');
      return k.let(K.load(keys, K.add(own, position)), 'key');
    };
    k.for(local, n, GROUP, (i) => {
      const run = k.let(K.div(i, width), 'run');
      const start = k.let(K.mul(run, width), 'start');
      const isLeft = k.let(K.eq(K.bin('and', run, 1), 0), 'is_left');
      const mine = keyAt(i);
      // Of the other run: those that are smaller, and from the right those that are equal, too.
      const other = k.let(K.select(isLeft, K.min(K.add(start, width), n), K.sub(start, width)), 'other');
      const low = k.mutable(other, 'low');
      const high = k.mutable(K.min(K.add(other, width), n), 'high');
      k.while(K.lt(low, high), () => {
        const middle = k.let(K.div(K.add(low, high), 2), 'middle');
        const theirs = keyAt(middle);
        const before = K.or(K.lt(theirs, mine), K.and(K.bin('xor', isLeft, K.bool(true)), K.eq(theirs, mine)));
        k.if(
          k.let(before, 'before'),
          () => k.set(low, K.add(middle, 1)),
          () => k.set(high, middle),
        );
      });
      const place = K.add(K.min(start, other), K.add(K.sub(i, start), K.sub(low, other)));
      k.store(order, K.add(both, K.add(to, place)), K.load(order, K.add(both, K.add(from, i))));
    });
    k.barrier('global');
    k.set(from, to);
    k.set(width, K.select(K.gt(width, K.div(n, 2)), n, K.mul(width, 2)));
  });
  return from;
}

/** Sorts whole numbers, one line: `order` (8 bytes each) holds the positions in its first half when it is done. */
export function sortIndices(op: Op, indices: Op['operands'][number], order: Scratch, name: string): KernelCall {
  const a = new KernelArgs();
  const { k, scope: s } = a;
  const keys = a.buffer(indices, 'read', 'keys');
  const orders = a.shared('i32', order, 'order');
  const n = a.sizeParam(product(indices.type.shape));
  workgroups(s, K.i32(1), (_, local) => {
    k.for(local, n, GROUP, (i) => k.store(orders, i, i));
    const zero = K.i32(0);
    const from = mergeRuns(a, { keys, own: zero, order: orders, both: zero, n, local });
    k.if(K.ne(from, 0), () => k.for(local, n, GROUP, (i) => k.store(orders, i, K.load(orders, K.add(from, i)))));
  });
  return a.finish(name, originsOf(op));
}
