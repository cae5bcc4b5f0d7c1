/** Functions of numbers in float64 that JavaScript lacks, for the references. */
import type { ElemType } from '../ir.ts';

/** To nearest, ties to even. */
export function roundEven(x: number): number {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

/** A float as another element type. To integers it truncates and saturates, NaN is 0: WebAssembly's trunc_sat, which the other printers imitate. */
export function toElem(elem: ElemType, x: number): number {
  if (elem !== 'i32' && elem !== 'u32') return x;
  if (Number.isNaN(x)) return 0;
  const [lo, hi] = elem === 'u32' ? [0, 0xffffffff] : [-0x80000000, 0x7fffffff];
  return Math.min(Math.max(Math.trunc(x), lo), hi);
}

/**
 * erf to float64 precision: the Maclaurin series erf(x) = 2/sqrt(pi) exp(-x^2) sum 2^n x^(2n+1)/(2n+1)!! below 3 (all terms
 * positive, nothing cancels) and the continued fraction of erfc above (Abramowitz and Stegun 7.1.6 and 7.1.14).
 */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (!(a < 6)) return Number.isNaN(x) ? NaN : Math.sign(x);
  if (a < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let f = 0;
  for (let n = 60; n > 0; n--) f = n / 2 / (a + f);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + f));
}
