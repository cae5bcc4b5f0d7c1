/** What this WebAssembly engine can do: found by validating and running tiny modules, never by timing. */

/** `f32x4.relaxed_madd` of three zero vectors, dropped: (module (func (drop (f32x4.relaxed_madd ...)))). */
// prettier-ignore
const RELAXED = [
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version
  0x01, 0x04, 0x01, 0x60, 0x00, 0x00, // type 0: () -> ()
  0x03, 0x02, 0x01, 0x00, // function 0 of type 0
  0x0a, 0x14, 0x01, 0x12, 0x00, // code: one body of 18 bytes, no locals
  0x41, 0x00, 0xfd, 0x11, // i32.const 0, i32x4.splat
  0x41, 0x00, 0xfd, 0x11,
  0x41, 0x00, 0xfd, 0x11,
  0xfd, 0x85, 0x02, // f32x4.relaxed_madd
  0x1a, 0x0b, // drop, end
];

/** (module (func (drop (i32x4.splat (i32.const 0))))) */
// prettier-ignore
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 17, 26, 11];
export const hasSimd = (): boolean => WebAssembly.validate(new Uint8Array(SIMD));

/** Relaxed SIMD: fused multiply-add as one instruction. */
export const hasRelaxedSimd = (): boolean => WebAssembly.validate(new Uint8Array(RELAXED));

/** (a, b, c) -> lane 0 of f32x4.relaxed_madd(a, b, c), exported as `f`. */
// prettier-ignore
const MADD = [
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version
  0x01, 0x08, 0x01, 0x60, 0x03, 0x7d, 0x7d, 0x7d, 0x01, 0x7d, // type 0: (f32, f32, f32) -> f32
  0x03, 0x02, 0x01, 0x00, // function 0 of type 0
  0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00, // export f
  0x0a, 0x16, 0x01, 0x14, 0x00, // code: one body of 20 bytes, no locals
  0x20, 0x00, 0xfd, 0x13, 0x20, 0x01, 0xfd, 0x13, 0x20, 0x02, 0xfd, 0x13, // splat each argument
  0xfd, 0x85, 0x02, 0xfd, 0x1f, 0x00, 0x0b, // f32x4.relaxed_madd, extract lane 0, end
];

/**
 * Names what the last bit of a result depends on. An engine may round a relaxed multiply-add once or twice; which one this
 * is shows in (1 + e)(1 - e) - 1 = -e^2, which is 0 when the product is rounded first.
 */
export function numericFeatures(variant: 'simd' | 'relaxed'): string {
  if (variant === 'simd') return 'wasm-simd';
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(MADD)));
  const madd = exports['f'] as (a: number, b: number, c: number) => number;
  const e = 2 ** -23;
  return madd(1 + e, 1 - e, -1) === 0 ? 'wasm-relaxed-unfused' : 'wasm-relaxed-fused';
}
