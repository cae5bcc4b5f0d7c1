/** Rows that address elements by integers of another tensor. An index outside is never clamped: it reads NaN (0 for integers) and writes nothing. */
import type { IrBuilder } from '../builder.ts';
import { dim } from '../dim.ts';
import type { TensorType, Value } from '../ir.ts';
import type { NdArray } from '../ndarray.ts';
import { ndarray, sizeOf } from '../ndarray.ts';
import { isFloat, num, size } from './attrs.ts';
import type { OpDef, OperandSpec, ShapeContext, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { math, reshape } from './gradients.ts';
import { single } from './pointwise.ts';
import { axesFault, fault, text } from './shapes.ts';

const INDICES: OperandSpec = { name: 'indices', elem: ['i32'] };

/** x.shape = before + [n] + after: the sizes around the indexed axis. */
const around = (shape: readonly number[], axis: number): [number, number] => [
  sizeOf(shape.slice(0, axis)),
  sizeOf(shape.slice(axis + 1)),
];

/** What is wrong with slices that are to have the shape of the indices at an axis. */
function slicesFault(indices: TensorType, slices: TensorType, axis: number, ctx: ShapeContext): ShapeFault | null {
  const rank = indices.shape.length;
  const what = `the slices ${text(slices.shape)} must have the shape of the indices ${text(indices.shape)} at axis ${axis}`;
  if (axis < 0 || axis + rank > slices.shape.length) return fault(what, 1);
  const given = slices.shape.slice(axis, axis + rank);
  return given.every((d, k) => ctx.equal(d, indices.shape[k]!, what)) ? null : fault(what, 1);
}

/** Adds the slices to `out` at their indices. */
function addSlices(out: NdArray, indices: NdArray, slices: NdArray, axis: number): NdArray {
  const n = out.shape[axis]!;
  const [before, after] = around(out.shape, axis);
  const count = indices.data.length;
  for (let p = 0; p < before; p++)
    for (let k = 0; k < count; k++) {
      const i = indices.data[k]!;
      if (i < 0 || i >= n) continue;
      for (let q = 0; q < after; q++) out.data[(p * n + i) * after + q]! += slices.data[(p * count + k) * after + q]!;
    }
  return out;
}

/** What slices get that were written at indices: an index outside wrote nothing, and its slice gets 0. */
function readBack(b: IrBuilder, dy: Value, indices: Value, axis: number): Value {
  const m = math(b);
  const taken = b.one('take', [dy, indices], { axis });
  const rank = taken.type.shape.length;
  const inside = m.and(m.ge(indices, 0), m.lt(indices, b.one('size', [], { dim: dy.type.shape[axis]! })));
  const at = taken.type.shape.map((d, i) => (i >= axis && i < axis + indices.type.shape.length ? d : dim(1)));
  return m.select(rank === indices.type.shape.length ? inside : reshape(b, inside, at), taken, 0);
}

export const indexOps = {
  take: defineOp({
    doc: 'Slices of x at indices along an axis, whose place the shape of the indices takes. `torch.index_select`; over axis 0 `torch.nn.functional.embedding`.',
    operands: [{ name: 'x', elem: 'any' }, INDICES],
    attrs: { axis: { type: 'int', default: 0 } },
    shape: ([x, i], attrs) => {
      const axis = num(attrs, 'axis');
      const shape = [...x!.shape.slice(0, axis), ...i!.shape, ...x!.shape.slice(axis + 1)];
      return axesFault([axis], x!.shape) ?? [{ elem: x!.elem, shape }];
    },
    grad: (b, op, [dy]) => {
      const axis = num(op.attrs, 'axis');
      const n = op.operands[0]!.type.shape[axis]!;
      return [dy ? b.one('scatter_add', [op.operands[1]!, dy], { axis, size: n }) : null, null];
    },
    lower: { kind: 'family', family: 'take' },
    reference: single(([x, indices], op, { elem, shape }) => {
      const axis = num(op.attrs, 'axis');
      const n = x!.shape[axis]!;
      const [before, after] = around(x!.shape, axis);
      const count = indices!.data.length;
      const out = ndarray(elem, shape);
      for (let p = 0; p < before; p++)
        for (let k = 0; k < count; k++)
          for (let q = 0; q < after; q++) {
            const i = indices!.data[k]!;
            const inside = i >= 0 && i < n;
            out.data[(p * count + k) * after + q] = inside
              ? x!.data[(p * n + i) * after + q]!
              : isFloat(elem)
                ? NaN
                : 0;
          }
      return out;
    }),
  }),
  scatter_add: defineOp({
    doc: 'Zeros of `size` along an axis, to which the slices of dy are added at their indices, in the order of the indices: the gradient of `take`. `torch.index_add`.',
    operands: [INDICES, { name: 'dy', elem: 'number' }],
    attrs: { axis: { type: 'int', default: 0 }, size: { type: 'dim' } },
    shape: ([i, dy], attrs, ctx) => {
      const axis = num(attrs, 'axis');
      const after = dy!.shape.slice(axis + i!.shape.length);
      const shape = [...dy!.shape.slice(0, axis), size(attrs, 'size'), ...after];
      return slicesFault(i!, dy!, axis, ctx) ?? [{ elem: dy!.elem, shape }];
    },
    grad: (b, op, [ddx]) => [null, ddx ? readBack(b, ddx, op.operands[0]!, num(op.attrs, 'axis')) : null],
    lower: { kind: 'family', family: 'scatter_add' },
    reference: single(([indices, dy], op, { elem, shape }) =>
      addSlices(ndarray(elem, shape), indices!, dy!, num(op.attrs, 'axis')),
    ),
  }),
  index_add: defineOp({
    doc: 'x, to which slices are added at indices along an axis, in the order of the indices. `torch.index_add`.',
    operands: [{ name: 'x', elem: 'number' }, INDICES, { name: 'slices', elem: 'same' }],
    attrs: { axis: { type: 'int', default: 0 } },
    shape: ([x, i, slices], attrs, ctx) => {
      const axis = num(attrs, 'axis');
      const rank = i!.shape.length;
      const around = [...x!.shape.slice(0, axis), ...i!.shape, ...x!.shape.slice(axis + 1)];
      const what = `slices of ${text(x!.shape)} at axis ${axis} are ${text(around)}, these are ${text(slices!.shape)}`;
      const wrong = axesFault([axis], x!.shape);
      if (wrong) return wrong;
      if (slices!.shape.length !== x!.shape.length - 1 + rank) return fault(what, 2);
      return around.every((d, k) => ctx.equal(d, slices!.shape[k]!, what)) ? [x!] : fault(what, 2);
    },
    grad: (b, op, [dy]) => [dy ?? null, null, dy ? readBack(b, dy, op.operands[1]!, num(op.attrs, 'axis')) : null],
    lower: { kind: 'family', family: 'index_add' },
    reference: single(([x, indices, slices], op, { elem, shape }) =>
      addSlices(ndarray(elem, shape, x!.data), indices!, slices!, num(op.attrs, 'axis')),
    ),
  }),
  put: defineOp({
    doc: 'x with the slice at one position of an axis replaced by v, which lacks that axis; an index outside changes nothing. `out[:, t] = v` as a pure function.',
    operands: [
      { name: 'x', elem: 'any' },
      { name: 'index', elem: ['i32'] },
      { name: 'v', elem: 'same' },
    ],
    attrs: { axis: { type: 'int' } },
    shape: ([x, index, v], attrs, ctx) => {
      const axis = num(attrs, 'axis');
      const wrong = axesFault([axis], x!.shape);
      if (wrong) return wrong;
      if (index!.shape.length !== 0) return fault(`the position is one number, not ${text(index!.shape)}`, 1);
      const slot = x!.shape.filter((_, i) => i !== axis);
      const what = `a slice of ${text(x!.shape)} at axis ${axis} is ${text(slot)}, the value is ${text(v!.shape)}`;
      if (slot.length !== v!.shape.length || !slot.every((d, i) => ctx.equal(d, v!.shape[i]!, what)))
        return fault(what, 2);
      return [x!];
    },
    grad: (b, op, [dy]) => {
      if (!dy) return [null, null, null];
      const [, index, v] = op.operands as readonly [Value, Value, Value];
      const axis = num(op.attrs, 'axis');
      // Read before it is overwritten, so that the slice can be zeroed in place.
      const taken = readBack(b, dy, index, axis);
      const zero = b.one('constant', [], { value: 0, elem: dy.type.elem, shape: v.type.shape });
      return [b.one('put', [dy, index, zero], { axis }), null, taken];
    },
    lower: { kind: 'family', family: 'put' },
    reference: single(([x, index, v], op, { elem, shape }) => {
      const axis = num(op.attrs, 'axis');
      const n = shape[axis]!;
      const [before, after] = around(shape, axis);
      const i = index!.data[0]!;
      const out = ndarray(elem, shape, x!.data);
      if (i < 0 || i >= n) return out;
      for (let p = 0; p < before; p++)
        for (let q = 0; q < after; q++) out.data[(p * n + i) * after + q] = v!.data[p * after + q]!;
      return out;
    }),
  }),
} satisfies Record<string, OpDef>;
