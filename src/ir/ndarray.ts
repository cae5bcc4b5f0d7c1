/** A dense row-major array of float64, the value domain of the reference implementations. Integers and bools are exact in it. */
import type { ElemType } from './ir.ts';

export interface NdArray {
  readonly elem: ElemType;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

export function ndarray(elem: ElemType, shape: readonly number[], data?: ArrayLike<number>): NdArray {
  const n = sizeOf(shape);
  if (data && data.length !== n) throw new RangeError(`${data.length} values for shape [${shape.join(', ')}]`);
  return { elem, shape, data: data ? Float64Array.from(data) : new Float64Array(n) };
}

/** Row-major strides in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const s = new Array<number>(shape.length);
  for (let i = shape.length - 1, n = 1; i >= 0; i--) {
    s[i] = n;
    n *= shape[i]!;
  }
  return s;
}
