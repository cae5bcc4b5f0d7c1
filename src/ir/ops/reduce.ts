/** Rows that reduce axes to one number each: sums, extrema, positions of extrema. */
import { dim } from '../dim.ts';
import type { Attrs, TensorType } from '../ir.ts';
import type { NdArray } from '../ndarray.ts';
import { ndarray, sizeOf, stridesOf } from '../ndarray.ts';
import { flag, ints, isFloat, num } from './attrs.ts';
import type { AttrSpec, GradRule, OpDef, OperandSpec, Reference, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { broadcastTo, cast, math, restore } from './gradients.ts';
import { eachIndex, offset, wrap } from './pointwise.ts';
import { axesFault, fault, reduced } from './shapes.ts';

const AXES: Record<string, AttrSpec> = { axes: { type: 'ints' }, keepdims: { type: 'bool', default: false } };

function axesShape([x]: readonly TensorType[], attrs: Attrs): readonly TensorType[] | ShapeFault {
  const axes = ints(attrs, 'axes');
  return axesFault(axes, x!.shape) ?? [{ elem: x!.elem, shape: reduced(x!.shape, axes, flag(attrs, 'keepdims')) }];
}

/** The elements that each element of the result is made from, in row-major order of the reduced axes. */
export function eachRow(
  x: NdArray,
  axes: readonly number[],
  f: (row: readonly number[], index: readonly number[], at: number) => void,
): void {
  const strides = stridesOf(x.shape);
  const inner = axes.map((a) => x.shape[a]!);
  const offsets: number[] = [];
  const sorted = [...axes].sort((a, b) => a - b);
  eachIndex(
    sorted.map((a) => x.shape[a]!),
    (index) =>
      offsets.push(
        offset(
          index,
          sorted.map((a) => strides[a]!),
        ),
      ),
  );
  const outer = x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
  if (sizeOf(inner) === 0 && sizeOf(outer) === 0) return;
  eachIndex(outer, (index, at) => {
    const base = offset(index, strides);
    f(
      offsets.map((o) => x.data[base + o]!),
      index,
      at,
    );
  });
}

const reduceRef =
  (combine: (row: readonly number[], elem: TensorType['elem']) => number): Reference =>
  ([x], op, [type]) => {
    const out = ndarray(type!.elem, type!.shape);
    eachRow(x!, ints(op.attrs, 'axes'), (row, _index, at) => (out.data[at] = wrap(type!.elem, combine(row, x!.elem))));
    return [out];
  };

interface Reduction {
  readonly doc: string;
  readonly elem: OperandSpec['elem'];
  readonly combine: (row: readonly number[], elem: TensorType['elem']) => number;
  readonly grad: GradRule;
  /** An empty reduction has no value: a size of 0 is refused. */
  readonly needsOne?: true;
}

const reduction = (row: Reduction): OpDef =>
  defineOp({
    doc: row.doc,
    operands: [{ name: 'x', elem: row.elem }],
    attrs: AXES,
    shape: (types, attrs, ctx) => {
      const out = axesShape(types, attrs);
      if ('fault' in out || !row.needsOne) return out;
      for (const a of ints(attrs, 'axes')) {
        const what = `axis ${a} is empty, and the extremum of nothing is undefined`;
        if (!ctx.atLeast(types[0]!.shape[a]!, dim(1), what)) return fault(what, 0);
      }
      return out;
    },
    grad: row.grad,
    lower: { kind: 'family', family: 'reduce' },
    reference: reduceRef(row.combine),
  });

/** torch's amax: ties share the gradient evenly. */
const extremumGrad: GradRule = (b, op, [dy]) => {
  if (!dy) return [null];
  const m = math(b);
  const x = op.operands[0]!;
  const axes = ints(op.attrs, 'axes');
  const back = (v: typeof dy) => restore(b, v, x.type.shape, axes);
  const won = m.eq(x, back(op.results[0]!));
  const ties = m.sum(cast(b, won, x.type.elem), axes);
  // Where the extremum is NaN nothing has won, and 0 / 0 says so.
  return [m.div(m.select(won, back(dy), 0), ties)];
};

const index = (name: 'argmax' | 'argmin', better: (a: number, b: number) => boolean): OpDef =>
  defineOp({
    doc: `The position of the ${name === 'argmax' ? 'greatest' : 'least'} element along an axis: the first of equals, the first NaN where there is one. \`torch.${name}\`.`,
    operands: [{ name: 'x', elem: 'number' }],
    attrs: { axis: { type: 'int' }, keepdims: { type: 'bool', default: false } },
    shape: ([x], attrs, ctx) => {
      const axis = num(attrs, 'axis');
      const wrong = axesFault([axis], x!.shape);
      if (wrong) return wrong;
      const what = `axis ${axis} is empty, so no element has a position`;
      if (!ctx.atLeast(x!.shape[axis]!, dim(1), what)) return fault(what, 0);
      return [{ elem: 'i32', shape: reduced(x!.shape, [axis], flag(attrs, 'keepdims')) }];
    },
    grad: { notDifferentiable: 'a position is an integer' },
    lower: { kind: 'family', family: 'reduce' },
    reference: ([x], op, [type]) => {
      const out = ndarray('i32', type!.shape);
      eachRow(x!, [num(op.attrs, 'axis')], (row, _index, at) => {
        let best = 0;
        for (let i = 1; i < row.length; i++) {
          if (Number.isNaN(row[best]!)) break;
          if (Number.isNaN(row[i]!) || better(row[i]!, row[best]!)) best = i;
        }
        out.data[at] = best;
      });
      return [out];
    },
  });

export const reduceOps = {
  sum: reduction({
    doc: 'The sum over axes; 0 over nothing, integers wrap. `torch.sum`.',
    elem: 'number',
    combine: (row) => row.reduce((a, b) => a + b, 0),
    grad: (b, op, [dy]) => {
      const x = op.operands[0]!.type.shape;
      return [dy ? broadcastTo(b, restore(b, dy, x, ints(op.attrs, 'axes')), x) : null];
    },
  }),
  max: reduction({
    doc: 'The greatest element over axes; NaN wins. Equals share the gradient. `torch.amax`.',
    elem: 'number',
    needsOne: true,
    combine: (row) => row.reduce((a, b) => Math.max(a, b)),
    grad: extremumGrad,
  }),
  min: reduction({
    doc: 'The least element over axes; NaN wins. Equals share the gradient. `torch.amin`.',
    elem: 'number',
    needsOne: true,
    combine: (row) => row.reduce((a, b) => Math.min(a, b)),
    grad: extremumGrad,
  }),
  prod: reduction({
    doc: 'The product over axes; 1 over nothing, integers wrap. `torch.prod`.',
    elem: 'number',
    combine: (row, elem) => row.reduce((a, b) => (isFloat(elem) ? a * b : Math.imul(a, b)), 1),
    grad: (b, op, [dy]) => {
      if (!dy) return [null];
      const m = math(b);
      const x = op.operands[0]!;
      const axes = ints(op.attrs, 'axes');
      // The product of the others is y / x where nothing is 0; beside one zero it is the product of the rest, and 0 else.
      const zero = m.eq(x, 0);
      const zeros = m.sum(cast(b, zero, x.type.elem), axes);
      const safe = m.select(zero, 1, x);
      const rest = m.prod(safe, axes);
      const others = m.select(zero, m.select(m.eq(zeros, 1), rest, 0), m.div(m.select(m.eq(zeros, 0), rest, 0), safe));
      return [m.mul(restore(b, dy, x.type.shape, axes), others)];
    },
  }),
  argmax: index('argmax', (a, b) => a > b),
  argmin: index('argmin', (a, b) => a < b),
} satisfies Record<string, OpDef>;
