/** Comparisons that throw a short message: fast-check shrinks on throws, and counts every failed assertion of ava's. */
import type { NdArray } from '../../src/ir/ndarray.ts';

/** Same types, shapes and bits; a NaN is a NaN. */
export function expectSameBits(found: readonly NdArray[], wanted: readonly NdArray[]): void {
  expectClose(found, wanted, 0);
}

/** `tolerance` is relative to the largest magnitude of the wanted array, and at least absolute. */
export function expectClose(found: readonly NdArray[], wanted: readonly NdArray[], tolerance: number): void {
  if (found.length !== wanted.length) throw new Error(`${found.length} results, not ${wanted.length}`);
  wanted.forEach((w, k) => {
    const f = found[k]!;
    const type = (x: NdArray): string => `${x.elem}[${x.shape.join(', ')}]`;
    if (type(f) !== type(w)) throw new Error(`result ${k} is ${type(f)}, not ${type(w)}`);
    let scale = 1;
    for (const x of w.data) if (Number.isFinite(x)) scale = Math.max(scale, Math.abs(x));
    for (let i = 0; i < w.data.length; i++) {
      const [a, b] = [f.data[i]!, w.data[i]!];
      if (!Object.is(a, b) && !(Math.abs(a - b) <= tolerance * scale && tolerance > 0)) {
        throw new Error(`result ${k}, element ${i}: ${text(a)}, not ${text(b)}`);
      }
    }
  });
}

const text = (x: number): string => (Object.is(x, -0) ? '-0' : String(x));

export function expectNone(faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(faults.join('\n'));
}
