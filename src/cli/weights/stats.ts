/** Numbers about a tensor's values, and about the difference of two. */
import type { FileTensor } from '../../runtime/formats/checkpoint.ts';
import { valuesOf } from '../../runtime/formats/dtypes.ts';

export interface Stats {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly nan: number;
}

/** Null for element types without plain values (complex numbers, packed blocks) and for no elements. NaNs are counted apart. */
export async function statsOf(t: FileTensor): Promise<Stats | null> {
  const values = valuesOf(t.dtype, await t.bytes());
  if (!values || values.length === 0) return null;
  let [min, max, sum, nan] = [Infinity, -Infinity, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const v = Number(values[i]);
    if (Number.isNaN(v)) {
      nan++;
      continue;
    }
    if (v < min) min = v;
    if (v > max) max = v;
    sum += v;
  }
  const known = values.length - nan;
  return known === 0 ? { min: NaN, max: NaN, mean: NaN, nan } : { min, max, mean: sum / known, nan };
}

export interface Difference {
  /** Elements that are not equal; two NaNs are. */
  readonly count: number;
  /** The largest |a - b|; null where values cannot be subtracted, infinite where a NaN meets a number. */
  readonly largest: number | null;
}

/** Of two tensors of equal shape; element types may differ. */
export async function differenceOf(a: FileTensor, b: FileTensor): Promise<Difference> {
  const [left, right] = [await a.bytes(), await b.bytes()];
  const [p, q] = [valuesOf(a.dtype, left), valuesOf(b.dtype, right)];
  if (!p || !q) return rawDifference(left, right);
  let [count, largest] = [0, 0];
  for (let i = 0; i < p.length; i++) {
    const [x, y] = [p[i]!, q[i]!];
    // As they are: two 64-bit integers may differ where their nearest floats do not.
    if (x === y || (Number.isNaN(x) && Number.isNaN(y)) || (typeof x !== typeof y && Number(x) === Number(y))) continue;
    count++;
    const far = typeof x === 'bigint' && typeof y === 'bigint' ? Number(x - y) : Number(x) - Number(y);
    largest = Math.max(largest, Number.isNaN(far) ? Infinity : Math.abs(far));
  }
  return { count, largest };
}

function rawDifference(a: Uint8Array, b: Uint8Array): Difference {
  let count = a.length === b.length ? 0 : Math.max(a.length, b.length);
  if (count === 0) a.forEach((v, i) => (count += v === b[i] ? 0 : 1));
  return { count, largest: count === 0 ? 0 : null };
}
