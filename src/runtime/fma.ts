/**
 * Fused multiply-adds for engines with relaxed SIMD. `a b mul c add` and `a b c madd` have the same operands in the same order, and a
 * multiplication, an addition and a relaxed multiply-add take three bytes each: so one becomes the other in place, the
 * multiplication turning into no-operations, which engines drop. One module serves both, and is compiled and sent once.
 */
import type { WasmCode } from './artifact.ts';

const MADD = [0xfd, 0x85, 0x02];
const NOTHING = [0x01, 0x01, 0x01];
/** The byte behind the prefix of `f32x4.mul`; the other half is `f32x4.add`. */
const MUL = 0xe6;

/** The bytes for an engine: as they are, or with multiply-adds that round once. */
export function wasmFor(code: WasmCode, variant: 'simd' | 'relaxed'): Uint8Array<ArrayBuffer> {
  const bytes = code.plain.slice();
  if (variant === 'simd') return bytes;
  let at = 0;
  let step = 0;
  let shift = 0;
  for (const byte of code.fusible) {
    step |= (byte & 0x7f) << shift;
    shift += 7;
    if (byte >= 0x80) continue;
    at += step;
    bytes.set(bytes[at + 1] === MUL ? NOTHING : MADD, at);
    [step, shift] = [0, 0];
  }
  return bytes;
}
