/** Makes rows of elementwise ops: shape by broadcasting, reference from a function of numbers, lowering from a scalar expression. */
import type { KernelBuilder } from '../../codegen/builder.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import type { ElemType, Op, TensorType, Value } from '../ir.ts';
import type { IrBuilder } from '../builder.ts';
import type { NdArray } from '../ndarray.ts';
import { ndarray, sizeOf, stridesOf } from '../ndarray.ts';
import type { NotDifferentiable, OpDef, OperandSpec, Reference, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { sumTo } from './gradients.ts';
import { broadcast, isFault } from './shapes.ts';

/** Numbers to number at an element type; integer results are wrapped by the caller. */
export type PointRef = (elem: ElemType, ...xs: number[]) => number;
/** `dy` and the operands to the gradients of the operands at the shape of the result; they are summed back afterwards. */
export type PointGrad = (b: IrBuilder, dy: Value, op: Op) => readonly (Value | null)[];

export interface Pointwise {
  readonly doc: string;
  readonly operands: readonly OperandSpec[];
  /** The element type of the result; that of the first operand by default. */
  readonly result?: (operands: readonly TensorType[]) => ElemType;
  /** What the operand specs cannot say about element types. */
  readonly check?: (operands: readonly TensorType[]) => ShapeFault | null;
  readonly grad: PointGrad | NotDifferentiable;
  readonly ref: PointRef;
  readonly scalar: (k: KernelBuilder, args: readonly KExpr[], op: Op) => KExpr;
}

export function pointwise(row: Pointwise): OpDef {
  const { grad } = row;
  return defineOp({
    doc: row.doc,
    operands: row.operands,
    attrs: {},
    shape: (types, _attrs, ctx) => {
      const wrong = row.check?.(types);
      if (wrong) return wrong;
      const shape = broadcast(types, ctx);
      if (isFault(shape)) return shape;
      return [{ elem: row.result?.(types) ?? types[0]!.elem, shape }];
    },
    grad:
      typeof grad === 'function'
        ? (b, op, [dy]) =>
            dy
              ? grad(b, dy, op).map((g, i) => g && sumTo(b, g, op.operands[i]!.type.shape))
              : op.operands.map(() => null)
        : grad,
    lower: { kind: 'elementwise', scalar: row.scalar },
    reference: (inputs, _op, [type]) => {
      const elem = inputs[0]!.elem;
      return [mapBroadcast(type!.elem, type!.shape, inputs, (...xs) => row.ref(elem, ...xs))];
    },
  });
}

/** Applies f to the elements of arrays that broadcast to `shape`. */
export function mapBroadcast(
  elem: ElemType,
  shape: readonly number[],
  inputs: readonly NdArray[],
  f: (...xs: number[]) => number,
): NdArray {
  const out = ndarray(elem, shape);
  const strides = inputs.map((x) => broadcastStrides(x.shape, shape));
  const xs = new Array<number>(inputs.length);
  eachIndex(shape, (index, at) => {
    for (let k = 0; k < inputs.length; k++) xs[k] = inputs[k]!.data[offset(index, strides[k]!)]!;
    out.data[at] = wrap(elem, f(...xs));
  });
  return out;
}

/** Strides of an array seen at a bigger shape: 0 along stretched axes. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const own = stridesOf(from);
  const lead = to.length - from.length;
  return to.map((_, i) => (i < lead || from[i - lead] === 1 ? 0 : own[i - lead]!));
}

export const offset = (index: readonly number[], strides: readonly number[]): number =>
  index.reduce((sum, i, axis) => sum + i * strides[axis]!, 0);

/** Calls f with each index of the shape in row-major order; the index array is reused. */
export function eachIndex(shape: readonly number[], f: (index: readonly number[], at: number) => void): void {
  const n = sizeOf(shape);
  const index = shape.map(() => 0);
  for (let at = 0; at < n; at++) {
    f(index, at);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
}

/** Integers wrap and bools are 0 or 1; floats keep the precision of float64. */
export function wrap(elem: ElemType, x: number): number {
  if (elem === 'i32') return x | 0;
  if (elem === 'u32') return x >>> 0;
  return elem === 'bool' ? Number(x !== 0) : x;
}

/** A reference that has one result of the given type. */
export const single =
  (f: (inputs: readonly NdArray[], op: Op, type: { elem: ElemType; shape: readonly number[] }) => NdArray): Reference =>
  (inputs, op, types) => [f(inputs, op, types[0]!)];
