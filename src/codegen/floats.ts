/** Pieces of floating-point arithmetic in kernel IR that the mathematical functions share. */
import type { KernelBuilder } from './builder.ts';
import { add, bin, bitcast, coerce, fma, gt, sub } from './builder.ts';
import type { KExpr } from './kernel.ts';

const ROUNDER = 12582912; // 1.5 * 2^23
const ROUNDER_BITS = 0x4b400000;

/**
 * The integer nearest to x (|x| < 2^22) as i32; any integer for NaN. The low bits of x + 1.5 * 2^23: two instructions, and
 * unlike (x + c) - c nothing that a compiler which may reassociate (WGSL) can undo.
 */
export const nearest = (k: KernelBuilder, x: KExpr): KExpr => k.let(sub(bitcast(add(x, ROUNDER), 'i32'), ROUNDER_BITS));

/** 2^n for -126 <= n <= 127, 0 for n = -127. */
export const pow2 = (n: KExpr): KExpr => bitcast(bin('shl', add(n, 127), 23), 'f32');

/** min and max that keep x where it is NaN: one instruction each where IEEE's take several. */
export const atMost = (x: KExpr, c: number): KExpr => bin('pmin', x, c);
export const atLeast = (x: KExpr, c: number): KExpr => bin('pmax', x, c);

/** Horner's rule, highest power first, after `first` where the leading coefficient is an expression. */
export function poly(x: KExpr, coefs: readonly number[], first?: KExpr): KExpr {
  const rest = first ? coefs : coefs.slice(1);
  return rest.reduce((acc: KExpr, c) => fma(acc, x, coerce(c, x.type)), first ?? coerce(coefs[0]!, x.type));
}

export const signBit = (x: KExpr): KExpr => bin('and', bitcast(x, 'u32'), 0x80000000);

/** `magnitude` (not negative) with the sign of x. */
export const withSign = (magnitude: KExpr, x: KExpr): KExpr =>
  bitcast(bin('or', bitcast(magnitude, 'u32'), signBit(x)), 'f32');

/** By its bits: WGSL may assume that no NaN exists. */
export const isNan = (x: KExpr): KExpr => gt(bin('and', bitcast(x, 'u32'), 0x7fffffff), 0x7f800000);

/** x cut to the upper 12 bits of its mantissa: products of two such numbers are exact. */
export const upper = (k: KernelBuilder, x: KExpr): KExpr =>
  k.let(bitcast(bin('and', bitcast(x, 'u32'), 0xfffff000), 'f32'));
