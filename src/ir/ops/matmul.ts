/** The row of the batched matrix product, and what attention shares with it. */
import type { IrBuilder } from '../builder.ts';
import { product } from '../dim.ts';
import type { Attrs, TensorType, Value } from '../ir.ts';
import type { NdArray } from '../ndarray.ts';
import { ndarray, stridesOf } from '../ndarray.ts';
import { flag } from './attrs.ts';
import type { OpDef, ShapeContext, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { reshape, sumTo } from './gradients.ts';
import { broadcastStrides, eachIndex, offset, single } from './pointwise.ts';
import { broadcastShapes, fault, isFault, text } from './shapes.ts';

export const matmul = (b: IrBuilder, x: Value, y: Value, transpose_a = false, transpose_b = false): Value =>
  b.one('matmul', [x, y], { transpose_a, transpose_b });

export function matmulShape(
  [a, w]: readonly TensorType[],
  attrs: Attrs,
  ctx: ShapeContext,
): readonly TensorType[] | ShapeFault {
  for (const [i, t] of [a!, w!].entries()) {
    if (t.shape.length < 2) return fault(`a matrix has 2 axes, this is ${text(t.shape)}; add one with reshape`, i);
  }
  const [ta, tb] = [flag(attrs, 'transpose_a'), flag(attrs, 'transpose_b')];
  const m = a!.shape.at(ta ? -1 : -2)!;
  const ka = a!.shape.at(ta ? -2 : -1)!;
  const kb = w!.shape.at(tb ? -1 : -2)!;
  const n = w!.shape.at(tb ? -2 : -1)!;
  const seen = (t: TensorType, turned: boolean) => text(t.shape) + (turned ? ' (transposed)' : '');
  const what = `${seen(a!, ta)} times ${seen(w!, tb)} does not fit: the inner sizes are ${ka} and ${kb}`;
  if (!ctx.equal(ka, kb, what)) return fault(what, 1);
  const batch = broadcastShapes([a!.shape.slice(0, -2), w!.shape.slice(0, -2)], ctx);
  return isFault(batch) ? batch : [{ elem: a!.elem, shape: [...batch, m, n] }];
}

/** All leading axes as one matrix axis. */
const flat = (b: IrBuilder, x: Value): Value =>
  reshape(b, x, [product(x.type.shape.slice(0, -1)), x.type.shape.at(-1)!]);

/** One matrix of a batch, as a function of (row, column). */
export type Matrix = (i: number, j: number) => number;

export function matrices(x: NdArray, batch: readonly number[], turned: boolean): (index: readonly number[]) => Matrix {
  const own = stridesOf(x.shape);
  const lead = broadcastStrides(x.shape.slice(0, -2), batch);
  const outer = stridesOf(x.shape).slice(0, -2);
  const skip = batch.length - outer.length;
  const steps = lead.map((s, i) => (s === 0 ? 0 : outer[i - skip]!));
  const [ri, ci] = turned ? [own.at(-1)!, own.at(-2)!] : [own.at(-2)!, own.at(-1)!];
  return (index) => {
    const base = offset(index, steps);
    return (i, j) => x.data[base + i * ri + j * ci]!;
  };
}

export const matmulOps = {
  matmul: defineOp({
    doc: 'The matrix product over the last two axes, batched over the others. `torch.matmul`.',
    operands: [
      { name: 'a', elem: 'float' },
      { name: 'b', elem: 'same' },
    ],
    attrs: { transpose_a: { type: 'bool', default: false }, transpose_b: { type: 'bool', default: false } },
    shape: matmulShape,
    grad: (b, op, [dy]) => {
      if (!dy) return [null, null];
      const [x, w] = [op.operands[0]!, op.operands[1]!];
      const [ta, tb] = [flag(op.attrs, 'transpose_a'), flag(op.attrs, 'transpose_b')];
      const dx = ta ? matmul(b, w, dy, tb, true) : matmul(b, dy, w, false, !tb);
      // A matrix under a batch: one product over all rows, where a batched one would be summed afterwards.
      const shared = w.type.shape.length === 2 && x.type.shape.length > 2 && !ta;
      const [left, right] = shared ? [flat(b, x), flat(b, dy)] : [x, dy];
      const dw = tb ? matmul(b, right, left, true, ta) : matmul(b, left, right, !ta, false);
      return [sumTo(b, dx, x.type.shape), sumTo(b, dw, w.type.shape)];
    },
    lower: { kind: 'family', family: 'matmul' },
    reference: single(([a, w], op, { elem, shape }) => {
      const [ta, tb] = [flag(op.attrs, 'transpose_a'), flag(op.attrs, 'transpose_b')];
      const out = ndarray(elem, shape);
      const batch = shape.slice(0, -2);
      const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
      const inner = a!.shape.at(ta ? -2 : -1)!;
      const [left, right] = [matrices(a!, batch, ta), matrices(w!, batch, tb)];
      eachIndex(batch, (index, at) => {
        const [l, r] = [left(index), right(index)];
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < columns; j++) {
            let sum = 0;
            for (let k = 0; k < inner; k++) sum += l(i, k) * r(k, j);
            out.data[(at * rows + i) * columns + j] = sum;
          }
      });
      return out;
    }),
  }),
} satisfies Record<string, OpDef>;
