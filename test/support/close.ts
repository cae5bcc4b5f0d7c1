/** Comparison of f32 results with float64 references. */
import type { NdArray } from '../../src/ir/ndarray.ts';

/**
 * What is wrong, or null. Integers must be equal, NaN and infinities agree; floats may differ by `tolerance` times the
 * largest finite magnitude of the reference (at least 1): a few roundings of f32 at the scale of the numbers involved.
 */
export function close(got: NdArray, wanted: NdArray, tolerance = 4e-6): string | null {
  if (got.shape.join() !== wanted.shape.join()) return `shape [${got.shape.join()}], not [${wanted.shape.join()}]`;
  const float = wanted.elem === 'f32' || wanted.elem === 'f16' || wanted.elem === 'bf16';
  let scale = 1;
  for (const x of wanted.data) if (Math.abs(x) < 3.4e38) scale = Math.max(scale, Math.abs(x));
  for (let i = 0; i < wanted.data.length; i++) {
    const [a, b] = [got.data[i]!, wanted.data[i]!];
    if (Object.is(a, b) || a === b) continue;
    const rounded = Math.fround(b);
    const same = Number.isNaN(b) ? Number.isNaN(a) : !Number.isFinite(rounded) ? a === rounded : false;
    if (same) continue;
    if (!float || !Number.isFinite(a) || Math.abs(a - b) > tolerance * Math.max(Math.abs(b), Math.min(scale, 1e30)))
      return `element ${i} is ${a}, not ${b}`;
  }
  return null;
}
