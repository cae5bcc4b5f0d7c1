/** Rows that move elements without arithmetic. */
import type { Dim, DimLike } from '../dim.ts';
import { add, dim, div, mul, product, same, sub } from '../dim.ts';
import type { ElemType } from '../ir.ts';
import { ndarray, sizeOf, stridesOf } from '../ndarray.ts';
import { concrete, ints, num, size, sizes } from './attrs.ts';
import type { OpDef, OperandSpec } from './def.ts';
import { defineOp } from './define.ts';
import { reshape, sumTo } from './gradients.ts';
import { broadcastStrides, eachIndex, offset, single } from './pointwise.ts';
import { axesFault, fault, isOne, text } from './shapes.ts';

const X: OperandSpec = { name: 'x', elem: 'any' };
const VIEW = { kind: 'view' } as const;

export const movementOps = {
  reshape: defineOp({
    doc: 'The same elements in row-major order under another shape. `torch.reshape`.',
    operands: [X],
    attrs: { shape: { type: 'dims' } },
    shape: ([x], attrs, ctx) => {
      const shape = sizes(attrs, 'shape');
      const [from, to] = [product(x!.shape), product(shape)];
      const what = `${text(x!.shape)} has ${from} elements, ${text(shape)} has ${to}`;
      return ctx.equal(from, to, what) ? [{ elem: x!.elem, shape }] : fault(what, 0);
    },
    grad: (b, op, [dy]) => [dy ? reshape(b, dy, op.operands[0]!.type.shape) : null],
    lower: VIEW,
    reference: single(([x], _op, { elem, shape }) => ndarray(elem, shape, x!.data)),
  }),
  broadcast_to: defineOp({
    doc: 'Repeats x along new leading axes and axes of size 1. `torch.broadcast_to`.',
    operands: [X],
    attrs: { shape: { type: 'dims' } },
    shape: ([x], attrs, ctx) => {
      const shape = sizes(attrs, 'shape');
      const lead = shape.length - x!.shape.length;
      const what = `${text(x!.shape)} does not stretch to ${text(shape)}; only a size of 1 stretches`;
      if (lead < 0) return fault(what, 0);
      for (let i = 0; i < x!.shape.length; i++) {
        const [from, to] = [x!.shape[i]!, shape[lead + i]!];
        if (!isOne(from) && !ctx.equal(from, to, what)) return fault(what, 0);
      }
      return [{ elem: x!.elem, shape }];
    },
    grad: (b, op, [dy]) => [dy ? sumTo(b, dy, op.operands[0]!.type.shape) : null],
    lower: VIEW,
    reference: single(([x], _op, { elem, shape }) => {
      const strides = broadcastStrides(x!.shape, shape);
      return gather(elem, shape, (index) => x!.data[offset(index, strides)]!);
    }),
  }),
  transpose: defineOp({
    doc: 'Axis i of the result is axis perm[i] of x. `torch.permute`.',
    operands: [X],
    attrs: { perm: { type: 'ints' } },
    shape: ([x], attrs) => {
      const perm = ints(attrs, 'perm');
      if (perm.length !== x!.shape.length) {
        return fault(
          `the permutation (${perm.join(', ')}) names ${perm.length} axes, the tensor has ${x!.shape.length}`,
          0,
        );
      }
      return axesFault(perm, x!.shape) ?? [{ elem: x!.elem, shape: perm.map((p) => x!.shape[p]!) }];
    },
    grad: (b, op, [dy]) => {
      const perm = ints(op.attrs, 'perm');
      return [dy ? b.one('transpose', [dy], { perm: perm.map((_, i) => perm.indexOf(i)) }) : null];
    },
    lower: VIEW,
    reference: single(([x], op, { elem, shape }) => {
      const own = stridesOf(x!.shape);
      const strides = ints(op.attrs, 'perm').map((p) => own[p]!);
      return gather(elem, shape, (index) => x!.data[offset(index, strides)]!);
    }),
  }),
  slice: defineOp({
    doc: 'Elements start, start + step, ... before stop along each axis. `x[start:stop:step]`; nothing is clamped.',
    operands: [X],
    attrs: { start: { type: 'dims' }, stop: { type: 'dims' }, step: { type: 'ints' } },
    shape: ([x], attrs, ctx) => {
      const [start, stop, step] = [sizes(attrs, 'start'), sizes(attrs, 'stop'), ints(attrs, 'step')];
      const rank = x!.shape.length;
      if (start.length !== rank || stop.length !== rank || step.length !== rank) {
        return fault(`a tensor of shape ${text(x!.shape)} needs ${rank} ranges`, 0);
      }
      const shape: Dim[] = [];
      for (let i = 0; i < rank; i++) {
        if (!(step[i]! >= 1)) return fault(`the step of axis ${i} must be at least 1, not ${step[i]}`, 0);
        const what = `the range ${start[i]}:${stop[i]} does not lie in axis ${i} of size ${x!.shape[i]}`;
        if (!ctx.atLeast(start[i]!, dim(0), what)) return fault(what, 0);
        if (!ctx.atLeast(stop[i]!, start[i]!, what)) return fault(what, 0);
        if (!ctx.atLeast(x!.shape[i]!, stop[i]!, what)) return fault(what, 0);
        shape.push(sliced(start[i]!, stop[i]!, step[i]!));
      }
      return [{ elem: x!.elem, shape }];
    },
    grad: (b, op, [dy]) => {
      if (!dy) return [null];
      const [start, step] = [sizes(op.attrs, 'start'), ints(op.attrs, 'step')];
      return [unslice(b, dy, start, step, op.operands[0]!.type.shape)];
    },
    lower: VIEW,
    reference: single(([x], op, { elem, shape }) => {
      const [start, step] = [concrete(op.attrs, 'start'), ints(op.attrs, 'step')];
      const strides = stridesOf(x!.shape);
      return gather(
        elem,
        shape,
        (index) =>
          x!.data[
            offset(
              index.map((j, i) => start[i]! + j * step[i]!),
              strides,
            )
          ]!,
      );
    }),
  }),
  pad: defineOp({
    doc: 'x with `low` elements before and `high` after along each axis, and `gap` between neighbours, all of `value`. `torch.nn.functional.pad`.',
    operands: [X],
    attrs: {
      low: { type: 'dims' },
      high: { type: 'dims' },
      value: { type: 'float', default: 0 },
      gap: { type: 'ints', default: [] },
    },
    shape: ([x], attrs, ctx) => {
      const [low, high, gap] = [sizes(attrs, 'low'), sizes(attrs, 'high'), ints(attrs, 'gap')];
      const rank = x!.shape.length;
      if (low.length !== rank || high.length !== rank || (gap.length !== 0 && gap.length !== rank)) {
        return fault(`a tensor of shape ${text(x!.shape)} needs ${rank} amounts of padding on each side`, 0);
      }
      for (let i = 0; i < rank; i++) {
        const what = `padding cannot be negative, but axis ${i} has (${low[i]}, ${high[i]})`;
        if (!ctx.atLeast(low[i]!, dim(0), what) || !ctx.atLeast(high[i]!, dim(0), what)) return fault(what, 0);
      }
      return [{ elem: x!.elem, shape: x!.shape.map((d, i) => add(add(low[i]!, spread(d, gap[i] ?? 0)), high[i]!)) }];
    },
    grad: (b, op, [dy]) => {
      if (!dy) return [null];
      const [low, gap] = [sizes(op.attrs, 'low'), ints(op.attrs, 'gap')];
      const stop = op.operands[0]!.type.shape.map((d, i) => add(low[i]!, spread(d, gap[i] ?? 0)));
      return [b.one('slice', [dy], { start: low, stop, step: low.map((_, i) => 1 + (gap[i] ?? 0)) })];
    },
    lower: VIEW,
    reference: single(([x], op, { elem, shape }) => {
      const [low, gap] = [concrete(op.attrs, 'low'), ints(op.attrs, 'gap')];
      const out = ndarray(elem, shape);
      out.data.fill(num(op.attrs, 'value'));
      const strides = stridesOf(shape);
      eachIndex(x!.shape, (index, at) => {
        const to = index.map((j, i) => low[i]! + j * (1 + (gap[i] ?? 0)));
        out.data[offset(to, strides)] = x!.data[at]!;
      });
      return out;
    }),
  }),
  flip: defineOp({
    doc: 'Reverses the order along the axes. `torch.flip`.',
    operands: [X],
    attrs: { axes: { type: 'ints' } },
    shape: ([x], attrs) => axesFault(ints(attrs, 'axes'), x!.shape) ?? [x!],
    grad: (b, op, [dy]) => [dy ? b.one('flip', [dy], op.attrs) : null],
    lower: VIEW,
    reference: single(([x], op, { elem, shape }) => {
      const axes = ints(op.attrs, 'axes');
      const strides = stridesOf(shape);
      return gather(
        elem,
        shape,
        (index) =>
          x!.data[
            offset(
              index.map((j, i) => (axes.includes(i) ? shape[i]! - 1 - j : j)),
              strides,
            )
          ]!,
      );
    }),
  }),
  concat: defineOp({
    doc: 'The tensors one after the other along an axis. `torch.cat`.',
    operands: [{ name: 'parts', elem: 'same', variadic: true }],
    attrs: { axis: { type: 'int' } },
    shape: (parts, attrs, ctx) => {
      const axis = num(attrs, 'axis');
      const first = parts[0]!;
      const wrong = axesFault([axis], first.shape);
      if (wrong) return wrong;
      let total: DimLike = 0;
      for (let k = 0; k < parts.length; k++) {
        const p = parts[k]!;
        const what = `${text(first.shape)} and ${text(p.shape)} cannot be joined along axis ${axis}: the other sizes differ`;
        if (p.shape.length !== first.shape.length) return fault(what, k);
        for (let i = 0; i < p.shape.length; i++) {
          if (i !== axis && !ctx.equal(first.shape[i]!, p.shape[i]!, what)) return fault(what, k);
        }
        total = add(total, p.shape[axis]!);
      }
      return [{ elem: first.elem, shape: first.shape.map((d, i) => (i === axis ? dim(total) : d)) }];
    },
    grad: (b, op, [dy]) => {
      const axis = num(op.attrs, 'axis');
      let at: Dim = dim(0);
      return op.operands.map((p) => {
        const start = at;
        at = add(at, p.type.shape[axis]!);
        if (!dy) return null;
        return b.one('slice', [dy], {
          start: p.type.shape.map((_, i) => (i === axis ? start : dim(0))),
          stop: p.type.shape.map((d, i) => (i === axis ? at : d)),
          step: p.type.shape.map(() => 1),
        });
      });
    },
    lower: VIEW,
    reference: single((parts, op, { elem, shape }) => {
      const axis = num(op.attrs, 'axis');
      const out = ndarray(elem, shape);
      const strides = stridesOf(shape);
      let start = 0;
      for (const p of parts) {
        eachIndex(p.shape, (index, at) => {
          out.data[offset(index, strides) + start * strides[axis]!] = p.data[at]!;
        });
        start += p.shape[axis]!;
      }
      return out;
    }),
  }),
  view: defineOp({
    doc: 'A tensor that lies inside a flat one: an alias, never a copy.',
    operands: [{ name: 'flat', elem: 'any' }],
    attrs: { offset: { type: 'dim' }, shape: { type: 'dims' } },
    shape: ([flat], attrs, ctx) => {
      const shape = sizes(attrs, 'shape');
      if (flat!.shape.length !== 1) return fault(`the tensor under a view is flat, not ${text(flat!.shape)}`, 0);
      const end = add(size(attrs, 'offset'), product(shape));
      const what = `${text(shape)} at ${size(attrs, 'offset')} ends at ${end}, after ${flat!.shape[0]} elements`;
      return ctx.atLeast(flat!.shape[0]!, end, what) ? [{ elem: flat!.elem, shape }] : fault(what, 0);
    },
    grad: (b, op, [dy]) => {
      if (!dy) return [null];
      const n = product(dy.type.shape);
      const low = size(op.attrs, 'offset');
      const high = sub(op.operands[0]!.type.shape[0]!, add(low, n));
      const flat = reshape(b, dy, [n]);
      return [same(low, 0) && same(high, 0) ? flat : b.one('pad', [flat], { low: [low], high: [high], value: 0 })];
    },
    lower: { kind: 'control' },
    reference: single(([flat], op, { elem, shape }) => {
      const start = size(op.attrs, 'offset').value ?? NaN;
      return ndarray(elem, shape, flat!.data.slice(start, start + sizeOf(shape)));
    }),
  }),
  pack: defineOp({
    doc: 'Tensors side by side in a flat one; the linker lets their producers write straight into it.',
    operands: [{ name: 'parts', elem: 'same', variadic: true }],
    attrs: {},
    shape: (parts) => {
      const total = parts.reduce((n: Dim, p) => add(n, product(p.shape)), dim(0));
      return [{ elem: parts[0]!.elem, shape: [total] }];
    },
    grad: (b, op, [dy]) => {
      let at: Dim = dim(0);
      return op.operands.map((p) => {
        const start = at;
        at = add(at, product(p.type.shape));
        return dy ? b.one('view', [dy], { offset: start, shape: p.type.shape }) : null;
      });
    },
    lower: { kind: 'control' },
    reference: single((parts, _op, { elem, shape }) =>
      ndarray(
        elem,
        shape,
        parts.flatMap((p) => [...p.data]),
      ),
    ),
  }),
} satisfies Record<string, OpDef>;

const sliced = (start: Dim, stop: Dim, step: number): Dim => div(add(sub(stop, start), step - 1), step);

/** The extent of n elements with gaps between them. An empty axis has no gaps: padding with gaps needs n >= 1. */
const spread = (n: Dim, gap: number): Dim => (gap === 0 ? n : sub(mul(n, 1 + gap), gap));

/** Puts a slice back into zeros: the adjoint of `slice`. */
function unslice(
  b: Parameters<typeof reshape>[0],
  dy: Parameters<typeof reshape>[1],
  start: readonly Dim[],
  step: readonly number[],
  full: readonly Dim[],
) {
  const high = full.map((d, i) => sub(d, add(start[i]!, spread(dy.type.shape[i]!, step[i]! - 1))));
  return b.one('pad', [dy], { low: start, high, value: 0, gap: step.map((s) => s - 1) });
}

function gather(elem: ElemType, shape: readonly number[], at: (index: readonly number[]) => number) {
  const out = ndarray(elem, shape);
  eachIndex(shape, (index, i) => (out.data[i] = at(index)));
  return out;
}
