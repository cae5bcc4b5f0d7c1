/**
 * scatter_add and index_add on a GPU, in the order of the indices and without atomics: the indices are sorted, which keeps equal
 * ones in order and side by side, and whoever meets the first of a kind adds up all of it.
 */
import * as K from '../../../codegen/builder.ts';
import type { KernelCall, Scratch } from '../../../codegen/call.ts';
import { KernelArgs } from '../../../codegen/kernel-args.ts';
import { mul, product } from '../../../ir/dim.ts';
import type { Op, Value } from '../../../ir/ir.ts';
import { num } from '../../../ir/ops/attrs.ts';
import { coreOf, operandOf, originsOf } from '../region.ts';
import { zeroOf } from '../scan.ts';
import { eachIndex, volume } from './grid.ts';
import { sortIndices } from './sort.ts';

/** The kernels of a `fusion {scatter_add}` op, or of an `index_add`, whose result already holds what is added to. */
export function scatterAddOnGrid(op: Op, name: string): KernelCall[] {
  const fresh = coreOf(op).kind === 'scatter_add';
  const [indices, slices] = fresh ? [operandOf(op, 0), operandOf(op, 1)] : [operandOf(op, 1), operandOf(op, 2)];
  const order: Scratch = { kind: 'scratch', bytes: mul(product(indices.type.shape), 8) };
  const sorted = sortIndices(op, indices, order, `${name}_order`);
  return [...(fresh ? [clear(op, name)] : []), sorted, addUp(op, { indices, slices, order }, name)];
}

function clear(op: Op, name: string): KernelCall {
  const a = new KernelArgs();
  const out = a.buffer(op.results[0]!, 'write', 'out');
  eachIndex(a.scope, a.sizeParam(product(op.results[0]!.type.shape)), (i) => a.k.store(out, i, zeroOf(out)));
  return a.finish(`${name}_clear`, originsOf(op));
}

interface Operands {
  readonly indices: Value;
  readonly slices: Value;
  readonly order: Scratch;
}

function addUp(op: Op, { indices, slices, order }: Operands, name: string): KernelCall {
  const a = new KernelArgs();
  const { k, scope: s } = a;
  const from = a.buffer(indices, 'read', 'indices');
  const source = a.buffer(slices, 'read', 'slices');
  const positions = a.shared('i32', order, 'order');
  const out = a.buffer(op.results[0]!, 'readwrite', 'out');
  const axis = num(coreOf(op).attrs, 'axis');
  const { shape } = op.results[0]!.type;
  const before = a.sizeParam(product(shape.slice(0, axis)));
  const rows = a.sizeParam(shape[axis]!);
  const after = a.sizeParam(product(shape.slice(axis + 1)));
  const count = a.sizeParam(product(indices.type.shape));
  const last = s.share(K.sub(count, 1), 'last');
  eachIndex(s, volume([before, count, after]), (at) => {
    const column = k.let(K.rem(at, after), 'column');
    const rest = k.let(K.div(at, after));
    const [i, p] = [k.let(K.rem(rest, count), 'i'), k.let(K.div(rest, count), 'p')];
    const row = k.let(K.load(from, K.load(positions, i)), 'row');
    const previous = K.load(from, K.load(positions, K.max(K.sub(i, 1), 0)));
    const isFirst = k.let(K.or(K.eq(i, 0), K.ne(previous, row)), 'is_first');
    k.if(K.and(isFirst, K.and(K.ge(row, 0), K.lt(row, rows))), () => {
      const to = k.let(K.add(K.mul(K.add(K.mul(p, rows), row), after), column), 'to');
      const total = k.mutable(K.load(out, to), 'total');
      const j = k.mutable(i, 'j');
      const same = k.mutable(K.i32(1), 'same');
      k.while(K.ne(same, 0), () => {
        const position = k.let(K.load(positions, j), 'position');
        k.set(total, K.add(total, K.load(source, K.add(K.mul(K.add(K.mul(p, count), position), after), column))));
        k.set(j, K.add(j, 1));
        const next = K.load(from, K.load(positions, K.min(j, last)));
        k.set(same, K.select(K.and(K.lt(j, count), K.eq(next, row)), K.i32(1), K.i32(0)));
      });
      k.store(out, to, total);
    });
  });
  return a.finish(name, originsOf(op));
}
