/**
 * scatter_add on a GPU, in the order of the indices and without atomics. A first kernel links every index to the next
 * equal one and marks those that are the first of their kind; then the first of each kind adds up its chain. Work grows
 * with the square of the number of indices, but only by one comparison each.
 */
import * as K from '../../../codegen/builder.ts';
import type { KernelCall, Scratch } from '../../../codegen/call.ts';
import { KernelArgs } from '../../../codegen/kernel-args.ts';
import type { KExpr } from '../../../codegen/kernel.ts';
import type { Dim } from '../../../ir/dim.ts';
import { mul, product } from '../../../ir/dim.ts';
import type { Op, Value } from '../../../ir/ir.ts';
import { num } from '../../../ir/ops/attrs.ts';
import { originsOf } from '../region.ts';
import { eachIndex, volume } from './grid.ts';

interface Scatter {
  readonly op: Op;
  readonly name: string;
  readonly indices: Value;
  readonly dy: Value;
  readonly out: Value;
  /** Slices of the axis before it, along it and after it, and how many indices there are. */
  readonly before: Dim;
  readonly rows: Dim;
  readonly after: Dim;
  readonly count: Dim;
  /** The next equal index after each, or `count`; and whether there is none before it. */
  readonly next: Scratch;
  readonly first: Scratch;
}

/** The kernels of a `fusion {scatter_add}` op. */
export function scatterAddOnGrid(op: Op, name: string): KernelCall[] {
  const core = op.regions[0]!.ops[0]!;
  const place = (i: number): number => op.regions[0]!.params.indexOf(core.operands[i]!);
  const [indices, dy, out] = [op.operands[place(0)]!, op.operands[place(1)]!, op.results[0]!];
  const axis = num(core.attrs, 'axis');
  const { shape } = out.type;
  const count = product(indices.type.shape);
  const scratch = (): Scratch => ({ kind: 'scratch', bytes: mul(count, 4) });
  const sc: Scatter = {
    op,
    name,
    indices,
    dy,
    out,
    before: product(shape.slice(0, axis)),
    rows: shape[axis]!,
    after: product(shape.slice(axis + 1)),
    count,
    next: scratch(),
    first: scratch(),
  };
  return [chain(sc), gather(sc)];
}

/** Links the indices and clears the result. */
function chain(sc: Scatter): KernelCall {
  const a = new KernelArgs();
  const { k, scope: s } = a;
  const indices = a.buffer(sc.indices, 'read', 'indices');
  const next = a.shared('i32', sc.next, 'next');
  const first = a.shared('i32', sc.first, 'first');
  const out = a.buffer(sc.out, 'write', 'out');
  const count = a.sizeParam(sc.count);
  const total = a.sizeParam(product(sc.out.type.shape));
  eachIndex(s, K.max(count, total), (i) => {
    k.if(K.lt(i, total), () => k.store(out, i, zeroOf(sc.out.type.elem)));
    k.if(K.lt(i, count), () => {
      const own = k.let(K.load(indices, i), 'own');
      const following = k.mutable(count, 'following');
      const isFirst = k.mutable(K.i32(1), 'is_first');
      k.for(0, i, 1, (j) => k.if(K.eq(K.load(indices, j), own), () => k.set(isFirst, 0)));
      const j = k.mutable(K.add(i, 1), 'j');
      k.while(K.lt(j, following), () => {
        k.if(K.eq(K.load(indices, j), own), () => k.set(following, j));
        k.set(j, K.add(j, 1));
      });
      k.store(next, i, following);
      k.store(first, i, isFirst);
    });
  });
  return a.finish(`${sc.name}_chain`, originsOf(sc.op));
}

const zeroOf = (elem: Value['type']['elem']): KExpr => K.coerce(0, { elem: K.loadedElem(elem), lanes: 1 });

function gather(sc: Scatter): KernelCall {
  const a = new KernelArgs();
  const { k, scope: s } = a;
  const indices = a.buffer(sc.indices, 'read', 'indices');
  const dy = a.buffer(sc.dy, 'read', 'dy');
  const next = a.shared('i32', sc.next, 'next');
  const first = a.shared('i32', sc.first, 'first');
  const out = a.buffer(sc.out, 'write', 'out');
  const [before, rows, after, count] = [sc.before, sc.rows, sc.after, sc.count].map((d) => a.sizeParam(d));
  eachIndex(s, volume([before!, count!, after!]), (at) => {
    const column = k.let(K.rem(at, after!), 'column');
    const rest = k.let(K.div(at, after!));
    const [i, p] = [k.let(K.rem(rest, count!), 'i'), k.let(K.div(rest, count!), 'p')];
    const row = k.let(K.load(indices, i), 'row');
    const mine = K.and(K.eq(K.load(first, i), 1), K.and(K.ge(row, 0), K.lt(row, rows!)));
    k.if(mine, () => {
      const total = k.mutable(zeroOf(sc.out.type.elem), 'total');
      const j = k.mutable(i, 'j');
      k.while(K.lt(j, count!), () => {
        k.set(total, K.add(total, K.load(dy, K.add(K.mul(K.add(K.mul(p, count!), j), after!), column))));
        k.set(j, K.load(next, j));
      });
      k.store(out, k.let(K.add(K.mul(K.add(K.mul(p, rows!), row), after!), column), 'to'), total);
    });
  });
  return a.finish(sc.name, originsOf(sc.op));
}
