/** Tensors of random numbers for data and tests. Counter-based: the values depend on the seed and the shape's size only. */
import { foldIn, randomBits } from './rng.ts';
import { tensor, type Shape, type ShapeType, type Tensor } from './tensor.ts';

export interface RandomOptions {
  /** Default 0: the same numbers every time. */
  readonly seed?: number;
}

/** f32 values in [0, 1), multiples of 2^-24. */
export function rand<const S extends Shape>(shape: S, options: RandomOptions = {}): Tensor<'f32', ShapeType<S>> {
  return tensor<'f32', S>(uniform(shape, options.seed ?? 0, 0), { dtype: 'f32', shape });
}

/** f32 values of mean 0 and variance 1 (Box and Muller, 1958). */
export function randn<const S extends Shape>(shape: S, options: RandomOptions = {}): Tensor<'f32', ShapeType<S>> {
  const seed = options.seed ?? 0;
  const [u, v] = [uniform(shape, seed, 0), uniform(shape, seed, 1)];
  // 1 - u lies in (0, 1]: its logarithm is finite.
  const values = u.map((x, i) => Math.sqrt(-2 * Math.log(1 - x)) * Math.cos(2 * Math.PI * v[i]!));
  return tensor<'f32', S>(values, { dtype: 'f32', shape });
}

function uniform(shape: Shape, seed: number, stream: number): Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  const key = foldIn([seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0], stream);
  return Float32Array.from(randomBits(key, size), (bits) => (bits >>> 8) * 2 ** -24);
}
