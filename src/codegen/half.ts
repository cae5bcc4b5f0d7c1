/**
 * Conversions between f32 and the 16-bit storage formats as kernel IR, so that every target rounds alike (to nearest,
 * ties to even). Arguments must be variables or constants: they are used several times.
 */
import { bin, bitcast, coerce, ge, gt, lt, mul, or, select } from './builder.ts';
import type { KExpr } from './kernel.ts';

const bits = (op: 'shl' | 'shr' | 'add' | 'sub' | 'and' | 'or' | 'xor', a: KExpr, b: KExpr | number): KExpr =>
  bin(op, a, typeof b === 'number' ? coerce(b, a.type) : b);

/** f32 from the low 16 bits (the rest is zero) of a u32. */
export function widen(format: 'f16' | 'bf16', raw: KExpr): KExpr {
  if (format === 'bf16') return bitcast(bits('shl', raw, 16), 'f32');
  // A half's magnitude, moved to where f32 has its mantissa, is the value times 2^-112, subnormals included.
  const magnitude = bits('and', raw, 0x7fff);
  const scaled = bitcast(mul(bitcast(bits('shl', magnitude, 13), 'f32'), 2 ** 112), 'u32');
  const special = select(gt(magnitude, 0x7bff), coerce(0x7f800000, raw.type), coerce(0, raw.type));
  return bitcast(or(or(scaled, special), bits('shl', bits('and', raw, 0x8000), 16)), 'f32');
}

/** The 16 bits, in a u32, nearest to an f32. NaN stays NaN, what is too large becomes infinite. */
export function narrow(format: 'f16' | 'bf16', x: KExpr): KExpr {
  const raw = bitcast(x, 'u32');
  const magnitude = bits('and', raw, 0x7fffffff);
  const u = (value: number): KExpr => coerce(value, raw.type);
  if (format === 'bf16') {
    const odd = bits('and', bits('shr', raw, 16), 1);
    const rounded = bits('shr', bits('add', bits('add', raw, 0x7fff), odd), 16);
    return select(gt(magnitude, 0x7f800000), or(bits('shr', raw, 16), u(0x40)), rounded);
  }
  // After F. Giesen, float_to_half_fast3_rtne: adding 0.5 lets the adder round subnormals.
  const subnormal = bits('sub', bitcast(bin('add', bitcast(magnitude, 'f32'), 0.5), 'u32'), 0x3f000000);
  const odd = bits('and', bits('shr', magnitude, 13), 1);
  const rebias = 0xc8000fff; // (15 - 127) << 23, and half a unit less one
  const normal = bits('shr', bits('add', bits('add', magnitude, rebias), odd), 13);
  const large = select(gt(magnitude, 0x7f800000), u(0x7e00), u(0x7c00));
  const value = select(ge(magnitude, 0x47800000), large, select(lt(magnitude, 0x38800000), subnormal, normal));
  return or(value, bits('and', bits('shr', raw, 16), 0x8000));
}

export const isHalf = (elem: string): elem is 'f16' | 'bf16' => elem === 'f16' || elem === 'bf16';
