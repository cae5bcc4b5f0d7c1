/** Rows kept whole for their numerics, each a computation on rows along its axes: softmax and what belongs to it, moments. */
import type { IrBuilder } from '../builder.ts';
import type { Op, TensorType, Value } from '../ir.ts';
import type { NdArray } from '../ndarray.ts';
import { ndarray } from '../ndarray.ts';
import { flag, ints, num } from './attrs.ts';
import type { Attrs } from '../ir.ts';
import type { AttrSpec, Lowering, OpDef, OperandSpec, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { cast, countOf, math, restore, reshape } from './gradients.ts';
import { single } from './pointwise.ts';
import { eachRow } from './reduce.ts';
import { axesFault, reduced } from './shapes.ts';

const X: OperandSpec = { name: 'x', elem: 'float' };
const AXIS: Record<string, AttrSpec> = { axis: { type: 'int' } };

const axisShape = ([x]: readonly TensorType[], attrs: Attrs): readonly TensorType[] | ShapeFault =>
  axesFault([num(attrs, 'axis')], x!.shape) ?? [x!];

const axisOf = (op: Op): number => num(op.attrs, 'axis');
const along = (decompose: (b: IrBuilder, x: Value, op: Op) => Value): Lowering => ({
  kind: 'rowwise',
  axes: (op) => [axisOf(op)],
  // Accumulates in f32 whatever the storage type.
  decompose: (b, op) => {
    const x = op.operands[0]!;
    return [cast(b, decompose(b, cast(b, x, 'f32'), op), x.type.elem)];
  },
});

/** x - max(x): safe to exponentiate. */
function shifted(b: IrBuilder, x: Value, axis: number): Value {
  return math(b).sub(x, math(b).max(x, [axis]));
}

/** Writes f(row) over each row. */
function mapRows(x: NdArray, axis: number, f: (row: readonly number[]) => readonly number[]): NdArray {
  const out = ndarray(x.elem, x.shape);
  const stride = x.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  eachRow(x, [axis], (row, index) => {
    const at = rowStart(x.shape, index);
    f(row).forEach((v, i) => (out.data[at + i * stride] = v));
  });
  return out;
}

const rowStart = (shape: readonly number[], index: readonly number[]): number =>
  index.reduce((at, i, axis) => at * shape[axis]! + i, 0);

const peak = (row: readonly number[]): number => row.reduce((a, b) => Math.max(a, b), -Infinity);
const total = (row: readonly number[]): number => row.reduce((a, b) => a + b, 0);

/** log(sum(exp(row))); infinities of one sign give themselves, as in PyTorch. */
export function logSumExp(row: readonly number[]): number {
  const m = peak(row);
  return Math.abs(m) === Infinity ? m : m + Math.log(total(row.map((v) => Math.exp(v - m))));
}

const momentsOf = (op: Op) => ({ x: op.operands[0]!, axes: ints(op.attrs, 'axes') });

export const rowwiseOps = {
  softmax: defineOp({
    doc: 'exp(x) / sum(exp(x)) along an axis. `torch.softmax`.',
    operands: [X],
    attrs: AXIS,
    shape: axisShape,
    grad: (b, op, [dy]) => {
      if (!dy) return [null];
      const m = math(b);
      const y = op.results[0]!;
      return [m.mul(y, m.sub(dy, m.sum(m.mul(dy, y), [axisOf(op)])))];
    },
    lower: along((b, x, op) => {
      const e = math(b).exp(shifted(b, x, axisOf(op)));
      return math(b).div(e, math(b).sum(e, [axisOf(op)]));
    }),
    reference: single(([x], op) =>
      mapRows(x!, axisOf(op), (row) => {
        const m = peak(row);
        const e = row.map((v) => Math.exp(v - m));
        return e.map((v) => v / total(e));
      }),
    ),
  }),
  log_softmax: defineOp({
    doc: 'x - log(sum(exp(x))) along an axis. `torch.log_softmax`.',
    operands: [X],
    attrs: AXIS,
    shape: axisShape,
    grad: (b, op, [dy]) => {
      if (!dy) return [null];
      const m = math(b);
      return [m.sub(dy, m.mul(m.exp(op.results[0]!), m.sum(dy, [axisOf(op)])))];
    },
    lower: along((b, x, op) => {
      const m = math(b);
      const s = shifted(b, x, axisOf(op));
      return m.sub(s, m.log(m.sum(m.exp(s), [axisOf(op)])));
    }),
    reference: single(([x], op) =>
      mapRows(x!, axisOf(op), (row) => {
        const m = peak(row);
        const log = Math.log(total(row.map((v) => Math.exp(v - m))));
        return row.map((v) => v - m - log);
      }),
    ),
  }),
  logsumexp: defineOp({
    doc: 'log(sum(exp(x))) along an axis, without overflow. `torch.logsumexp`.',
    operands: [X],
    attrs: { ...AXIS, keepdims: { type: 'bool', default: false } },
    shape: ([x], attrs) => {
      const axis = num(attrs, 'axis');
      return (
        axesFault([axis], x!.shape) ?? [{ elem: x!.elem, shape: reduced(x!.shape, [axis], flag(attrs, 'keepdims')) }]
      );
    },
    grad: (b, op, [dy]) => {
      if (!dy) return [null];
      const m = math(b);
      const x = op.operands[0]!;
      const back = (v: Value) => restore(b, v, x.type.shape, [axisOf(op)]);
      return [m.mul(back(dy), m.exp(m.sub(x, back(op.results[0]!))))];
    },
    lower: along((b, x, op) => {
      const m = math(b);
      const top = m.max(x, [axisOf(op)]);
      // An infinite maximum is not subtracted: inf - inf would be NaN.
      const shift = m.select(b.one('is_inf', [top]), 0, top);
      const y = m.add(m.log(m.sum(m.exp(m.sub(x, shift)), [axisOf(op)])), shift);
      return reshape(b, y, op.results[0]!.type.shape);
    }),
    reference: ([x], op, [type]) => {
      const out = ndarray(type!.elem, type!.shape);
      eachRow(x!, [axisOf(op)], (row, _index, at) => (out.data[at] = logSumExp(row)));
      return [out];
    },
  }),
  moments: defineOp({
    doc: 'The mean and the biased variance over axes, in two passes. What the norms are made of. `torch.var_mean(correction=0)`.',
    operands: [X],
    attrs: { axes: { type: 'ints' }, keepdims: { type: 'bool', default: false } },
    shape: ([x], attrs) => {
      const axes = ints(attrs, 'axes');
      const y = { elem: x!.elem, shape: reduced(x!.shape, axes, flag(attrs, 'keepdims')) };
      return axesFault(axes, x!.shape) ?? [y, y];
    },
    grad: (b, op, [dmean, dvar]) => {
      const m = math(b);
      const { x, axes } = momentsOf(op);
      const n = countOf(b, x.type.shape, axes, x.type.elem);
      const back = (v: Value) => restore(b, v, x.type.shape, axes);
      const viaMean = dmean ? m.div(back(dmean), n) : null;
      if (!dvar) return [viaMean && b.one('broadcast_to', [viaMean], { shape: x.type.shape })];
      const centred = m.sub(x, back(op.results[0]!));
      const viaVar = m.mul(centred, m.div(m.mul(back(dvar), 2), n));
      return [viaMean ? m.add(viaVar, viaMean) : viaVar];
    },
    lower: {
      kind: 'rowwise',
      axes: (op) => ints(op.attrs, 'axes'),
      decompose: (b, op) => {
        const m = math(b);
        const { x, axes } = momentsOf(op);
        const wide = cast(b, x, 'f32');
        const n = countOf(b, x.type.shape, axes, 'f32');
        const mean = m.div(m.sum(wide, axes), n);
        const centred = m.sub(wide, mean);
        const variance = m.div(m.sum(m.mul(centred, centred), axes), n);
        return [mean, variance].map((v, i) => cast(b, reshape(b, v, op.results[i]!.type.shape), x.type.elem));
      },
    },
    reference: ([x], op, [type]) => {
      const mean = ndarray(type!.elem, type!.shape);
      const variance = ndarray(type!.elem, type!.shape);
      eachRow(x!, ints(op.attrs, 'axes'), (row, _index, at) => {
        const mu = total(row) / row.length;
        mean.data[at] = mu;
        variance.data[at] = total(row.map((v) => (v - mu) ** 2)) / row.length;
      });
      return [mean, variance];
    },
  }),
} satisfies Record<string, OpDef>;
