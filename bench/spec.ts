/** The workloads' tensors, made by a counter-based hash (lowbias32) so that every implementation starts from the same bits. */

const mix = (n: number): number => {
  let x = n;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  x ^= x >>> 16;
  return x >>> 0;
};
export const hash = (i: number, seed: number): number => mix((i + Math.imul(seed, 0x9e3779b9)) >>> 0);
const size = (s: readonly number[]): number => s.reduce((a, b) => a * b, 1);

/** float32 in [center - bound, center + bound). */
export function uniform(shape: readonly number[], seed: number, bound: number, center = 0): Float32Array {
  return Float32Array.from(
    { length: size(shape) },
    (_, i) => (2 * ((hash(i, seed) >>> 8) / 16777216) - 1) * bound + center,
  );
}

/** int32 in [0, k). */
export function ints(shape: readonly number[], seed: number, k: number): Int32Array {
  return Int32Array.from({ length: size(shape) }, (_, i) => (hash(i, seed) >>> 8) % k);
}

/** [name, shape, bound, center]; a parameter's seed is 100 * id + its place in the list. */
export type ParamSpec = readonly [name: string, shape: readonly number[], bound: number, center: number];

const lin = (name: string, out: number, inp: number, bound = 1 / Math.sqrt(inp)): ParamSpec[] => [
  [`${name}.weight`, [out, inp], bound, 0],
  [`${name}.bias`, [out], bound, 0],
];
const conv = (name: string, o: number, i: number, k: number): ParamSpec[] => {
  const bound = 1 / Math.sqrt(i * k * k);
  return [
    [`${name}.weight`, [o, i, k, k], bound, 0],
    [`${name}.bias`, [o], bound, 0],
  ];
};

export const LENET: readonly ParamSpec[] = [
  ...conv('conv1', 6, 1, 5),
  ...conv('conv2', 16, 6, 5),
  ...lin('fc1', 120, 400),
  ...lin('fc2', 84, 120),
  ...lin('fc3', 10, 84),
];

export const parameters = (
  id: number,
  specs: readonly ParamSpec[],
): Map<string, { shape: readonly number[]; data: Float32Array }> =>
  new Map(
    specs.map(([name, shape, bound, center], i) => [
      name,
      { shape, data: uniform(shape, 100 * id + i, bound, center) },
    ]),
  );

/** Inputs in [0, 1) and labels of a workload. */
export const images = (id: number, shape: readonly number[]): Float32Array => uniform(shape, 100 * id + 4090, 0.5, 0.5);
export const labels = (id: number, shape: readonly number[], classes: number): Int32Array =>
  ints(shape, 100 * id + 4092, classes);
