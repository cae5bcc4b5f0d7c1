/** Rows that make tensors from nothing but attributes and keys: constants, positions, sizes, random bits. */
import * as M from '../../codegen/math.ts';
import { foldIn, randomBits } from '../../runtime/rng.ts';
import { dim } from '../dim.ts';
import type { TensorType } from '../ir.ts';
import { ndarray, sizeOf } from '../ndarray.ts';
import { elemAttr, num, size, sizes } from './attrs.ts';
import type { OpDef, OperandSpec, ShapeContext, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { eachIndex, single, wrap } from './pointwise.ts';
import { fault, text } from './shapes.ts';

export const KEY: OperandSpec = { name: 'key', elem: ['u32'] };
export const keyFault = (key: TensorType, ctx: ShapeContext): ShapeFault | null => {
  const what = `a key is u32[2], not ${key.elem}${text(key.shape)}`;
  return key.shape.length === 1 && ctx.equal(key.shape[0]!, dim(2), what) ? null : fault(what, 0);
};

export const generatorOps = {
  constant: defineOp({
    doc: 'A tensor filled with one number. `torch.full`.',
    operands: [],
    attrs: { value: { type: 'float' }, elem: { type: 'elem', default: 'f32' }, shape: { type: 'dims', default: [] } },
    shape: (_types, attrs) => [{ elem: elemAttr(attrs, 'elem'), shape: sizes(attrs, 'shape') }],
    grad: () => [],
    lower: {
      kind: 'generator',
      scalar: (_k, _at, op) => M.constant(num(op.attrs, 'value'), elemAttr(op.attrs, 'elem')),
    },
    reference: single((_inputs, op, { elem, shape }) => {
      const out = ndarray(elem, shape);
      out.data.fill(wrap(elem, num(op.attrs, 'value')));
      return out;
    }),
  }),
  unwritten: defineOp({
    doc: 'A tensor of which every element will be written before it is read; until then they may be anything.',
    operands: [],
    attrs: { elem: { type: 'elem', default: 'f32' }, shape: { type: 'dims' } },
    shape: (_types, attrs) => [{ elem: elemAttr(attrs, 'elem'), shape: sizes(attrs, 'shape') }],
    grad: () => [],
    lower: { kind: 'control' },
    reference: single((_inputs, _op, { elem, shape }) => {
      const out = ndarray(elem, shape);
      // What nobody should see.
      out.data.fill(wrap(elem, elem === 'bool' ? 1 : NaN));
      return out;
    }),
  }),
  iota: defineOp({
    doc: 'The position along one axis, counted from 0. `torch.arange`, broadcast to a shape.',
    operands: [],
    attrs: {
      shape: { type: 'dims' },
      axis: { type: 'int', default: 0 },
      elem: { type: 'elem', default: 'i32' },
    },
    shape: (_types, attrs) => {
      const shape = sizes(attrs, 'shape');
      const axis = num(attrs, 'axis');
      if (axis < 0 || axis >= shape.length) return fault(`there is no axis ${axis} in the shape ${text(shape)}`);
      return [{ elem: elemAttr(attrs, 'elem'), shape }];
    },
    grad: () => [],
    lower: {
      kind: 'generator',
      scalar: (k, at, op) => M.castTo(k, at.index[num(op.attrs, 'axis')]!, elemAttr(op.attrs, 'elem')),
    },
    reference: single((_inputs, op, { elem, shape }) => {
      const out = ndarray(elem, shape);
      const axis = num(op.attrs, 'axis');
      eachIndex(shape, (index, at) => (out.data[at] = wrap(elem, index[axis]!)));
      return out;
    }),
  }),
  size: defineOp({
    doc: 'A size of the program as a number. `Tensor.size`.',
    operands: [],
    attrs: { dim: { type: 'dim' } },
    shape: () => [{ elem: 'i32', shape: [] }],
    grad: () => [],
    lower: { kind: 'generator', scalar: (_k, at, op) => at.size(size(op.attrs, 'dim')) },
    reference: (_inputs, op) => {
      const n = size(op.attrs, 'dim').value;
      if (n === null) throw new TypeError('size: the dim is not concrete');
      return [ndarray('i32', [], [n])];
    },
  }),
  random_bits: defineOp({
    doc: 'Uniform random 32-bit integers: element i is word (i div 4) mod 4 of Philox-4x32-10 (Salmon et al. 2011) at counter 4 (i div 16) + i mod 4 under the key.',
    operands: [KEY],
    attrs: { shape: { type: 'dims' } },
    shape: ([key], attrs, ctx) => keyFault(key!, ctx) ?? [{ elem: 'u32', shape: sizes(attrs, 'shape') }],
    grad: { notDifferentiable: 'bits have no gradient; a draw depends on its key only' },
    lower: { kind: 'family', family: 'random_bits' },
    reference: single(([key], _op, { elem, shape }) =>
      ndarray(elem, shape, randomBits([key!.data[0]!, key!.data[1]!], sizeOf(shape))),
    ),
  }),
  fold_in: defineOp({
    doc: 'Another key, from a key and a number known at compile time or, as second operand, at run time. `jax.random.fold_in`.',
    operands: [KEY, { name: 'number', elem: ['i32', 'u32'], optional: true }],
    attrs: { data: { type: 'int', default: 0 } },
    shape: ([key, n], _attrs, ctx) => {
      if (n && n.shape.length > 0) return fault(`folds in one number, not a tensor of shape ${text(n.shape)}`, 1);
      return keyFault(key!, ctx) ?? [{ elem: 'u32', shape: key!.shape }];
    },
    grad: { notDifferentiable: 'bits have no gradient' },
    lower: { kind: 'family', family: 'fold_in' },
    reference: ([key, n], op) => {
      const data = n ? n.data[0]! : num(op.attrs, 'data');
      return [ndarray('u32', [2], foldIn([key!.data[0]!, key!.data[1]!], data))];
    },
  }),
} satisfies Record<string, OpDef>;
