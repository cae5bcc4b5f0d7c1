/** What this WebAssembly engine can do: found by validating tiny modules, never by timing. */

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

/** Relaxed SIMD: fused multiply-add as one instruction. */
export const hasRelaxedSimd = (): boolean => WebAssembly.validate(new Uint8Array(RELAXED));
