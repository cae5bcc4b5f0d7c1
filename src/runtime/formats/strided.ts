/** Views with strides, copied into row-major order. */

export interface View {
  readonly shape: readonly number[];
  /** In elements, like `offset`. */
  readonly strides: readonly number[];
  readonly offset: number;
  /** Bytes of an element. */
  readonly width: number;
}

export const countOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

export function rowMajor(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  for (let d = shape.length - 1, n = 1; d >= 0; n *= Math.max(1, shape[d]!), d--) strides[d] = n;
  return strides;
}

/** Whether the elements lie one after the other; the stride of a dim of size 1 does not matter. */
export function isContiguous({ shape, strides }: View): boolean {
  const want = rowMajor(shape);
  return shape.includes(0) || shape.every((n, d) => n === 1 || strides[d] === want[d]);
}

/** The view's bytes, row-major. The caller has checked that it stays inside; contiguous views are not copied. */
export function gather(storage: Uint8Array, v: View): Uint8Array {
  const { shape, strides, width } = v;
  const length = countOf(shape) * width;
  if (isContiguous(v)) return storage.subarray(v.offset * width, v.offset * width + length);
  const out = new Uint8Array(length);
  const last = shape.length - 1;
  const [inner, innerStride] = [shape[last]!, strides[last]! * width];
  const index = shape.map(() => 0);
  let from = v.offset * width;
  for (let to = 0; to < length;) {
    if (innerStride === width) {
      out.set(storage.subarray(from, from + inner * width), to);
      to += inner * width;
    } else {
      for (let i = 0, p = from; i < inner; i++, p += innerStride) {
        for (let b = 0; b < width; b++) out[to++] = storage[p + b]!;
      }
    }
    for (let d = last - 1; d >= 0; d--) {
      from += strides[d]! * width;
      if (++index[d]! < shape[d]!) break;
      from -= strides[d]! * shape[d]! * width;
      index[d] = 0;
    }
  }
  return out;
}
