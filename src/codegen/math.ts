/**
 * Mathematical functions as kernel IR: polynomials and range reductions without branches, for any number of lanes, the
 * same on every target. NaN, infinities and zeros give what IEEE 754 and C's <math.h> say. Error bounds were measured
 * against float64 over dense samples with plain multiply-add (`test/codegen/math.test.ts`); a fused one is no worse.
 */
import type { ElemType } from '../ir/ir.ts';
import type { KernelBuilder } from './builder.ts';
import {
  add,
  and,
  bin,
  bitcast,
  cast,
  coerce,
  div,
  eq,
  fma,
  ge,
  gt,
  lt,
  mul,
  ne,
  neg,
  or,
  select,
  sub,
  un,
} from './builder.ts';
import { atLeast, atMost, nearest, poly, pow2, upper, withSign } from './floats.ts';
import type { KElem, KExpr } from './kernel.ts';

/** ln 2 in two parts: n * LN2_HI is exact for |n| < 2^9 (Cody and Waite). */
const LN2_HI = 0.693359375;
const LN2_LO = -2.1219444e-4;

/** x = n ln 2 + r with |r| <= ln 2 / 2, and exp(r) - 1 - r. Cephes expf (Moshier). */
function expParts(k: KernelBuilder, x: KExpr): { n: KExpr; r: KExpr; tail: KExpr } {
  const n = nearest(k, mul(x, Math.LOG2E));
  const nf = k.let(cast(n, 'f32'));
  const r = k.let(fma(nf, -LN2_LO, fma(nf, -LN2_HI, x)));
  const p = poly(
    r,
    [1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1],
  );
  return { n, r, tail: mul(mul(r, r), p) };
}

/**
 * e^x. Error < 1.2 ulp, denormal results included. From -176 down the factors below are zeros: what a mask threw away is 0 times 0 and
 * never a denormal product, which processors take tens of cycles for.
 */
export function exp(k: KernelBuilder, x: KExpr): KExpr {
  const { n, r, tail } = expParts(k, k.let(atLeast(atMost(x, 89), -176)));
  // 2^n leaves the range of normal numbers at both ends: two factors that do not.
  const half = k.let(bin('shr', n, 1));
  return mul(mul(add(add(tail, r), 1), pow2(half)), pow2(sub(n, half)));
}

/** e^x - 1. Error < 2 ulp. */
export function expm1(k: KernelBuilder, x: KExpr): KExpr {
  const { n, r, tail } = expParts(k, k.let(atLeast(atMost(x, 89), -25)));
  const small = k.let(add(tail, r));
  // 2 (2^(n-1) e^r' + (2^(n-1) - 1/2)): n = 128 does not overflow too early.
  const scale = k.let(pow2(sub(n, 1)));
  const y = mul(fma(scale, small, sub(scale, 0.5)), 2);
  // n = 0 has no rounding at all beyond that of the polynomial, and keeps -0.
  return select(eq(n, 0), select(eq(x, 0), x, small), y);
}

/** log((1 + f) 2^e) for 1 + f in [sqrt(1/2), sqrt(2)). Cephes logf (Moshier). */
function logCore(k: KernelBuilder, f: KExpr, e: KExpr): KExpr {
  const z = k.let(mul(f, f));
  const p = poly(
    f,
    [
      7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
      2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    ],
  );
  const y = fma(z, -0.5, fma(e, LN2_LO, mul(mul(p, f), z)));
  return fma(e, LN2_HI, add(f, y));
}

const SQRT_HALF_BITS = 0x3f3504f3;
const ONE_BITS = 0x3f800000;

/** Splits a positive normal x into mantissa in [sqrt(1/2), sqrt(2)) and exponent. */
function split(k: KernelBuilder, x: KExpr): { mantissa: KExpr; exponent: KExpr } {
  const bits = k.let(add(bitcast(x, 'i32'), ONE_BITS - SQRT_HALF_BITS));
  return {
    exponent: cast(sub(bin('shr', bits, 23), 127), 'f32'),
    mantissa: bitcast(add(bin('and', bits, 0x7fffff), SQRT_HALF_BITS), 'f32'),
  };
}

/** The natural logarithm. Error < 1 ulp; denormals are scaled up first. */
export function log(k: KernelBuilder, x0: KExpr): KExpr {
  const x = k.let(x0);
  const tiny = k.let(lt(x, 1.17549435e-38));
  const { mantissa, exponent } = split(k, k.let(select(tiny, mul(x, 8388608), x)));
  const e = k.let(sub(exponent, select(tiny, coerce(23, x.type), coerce(0, x.type))));
  return logSpecial(x, logCore(k, k.let(sub(mantissa, 1)), e));
}

/** NaN below 0 and for NaN, -inf at 0, inf at inf. */
function logSpecial(x: KExpr, y: KExpr): KExpr {
  const inside = select(eq(x, 0), coerce(-Infinity, x.type), select(lt(x, Infinity), y, x));
  return select(lt(x, 0), coerce(NaN, x.type), inside);
}

/** log(1 + x). Error < 1.5 ulp. Where 1 + x lies near 1 the series takes x itself; else what 1 + x loses is added back. */
export function log1p(k: KernelBuilder, x0: KExpr): KExpr {
  const x = k.let(x0);
  const u = k.let(add(x, 1));
  const { mantissa, exponent } = split(k, u);
  const near = k.let(and(gt(x, -0.29), lt(x, 0.41)));
  const f = k.let(select(near, x, sub(mantissa, 1)));
  const e = k.let(select(near, coerce(0, x.type), exponent));
  const lost = div(select(gt(x, 1), sub(1, sub(u, x)), sub(x, sub(u, 1))), u);
  const y = logCore(k, f, e);
  const whole = select(near, select(eq(x, 0), x, y), add(y, lost));
  return select(
    eq(x, -1),
    coerce(-Infinity, x.type),
    select(lt(x, -1), coerce(NaN, x.type), select(lt(x, Infinity), whole, x)),
  );
}

/**
 * tanh as a ratio of polynomials, x (1 + x^2 p(x^2)) / q(x^2): weighted least squares for the relative error up to 8.8, then a search
 * among neighbouring f32 coefficients for the least error with and without fused multiply-add. Error < 6.5 ulp (4e-7 of the value),
 * < 3 ulp below 1/2, for half the work of the way through e^x. Results are cut to 1, which rounding would pass by a unit or two.
 */
export function tanh(k: KernelBuilder, x0: KExpr): KExpr {
  const x = k.let(atLeast(atMost(x0, 9.01), -9.01));
  const s = k.let(mul(x, x));
  const p = poly(s, [1.3779077434605824e-8, 2.0916108041e-5, 3.514318494e-3, 0.13396838307]);
  const q = poly(s, [7.950434905978909e-7, 3.31620394718e-4, 2.5948362424969673e-2, 0.46730157732963562, 1]);
  return atLeast(atMost(div(fma(mul(s, x), p, x), q), 1), -1);
}

/** 1 / (1 + e^-x). Error < 2.5 ulp; 0 below -88.7, where the true value is denormal. */
export function sigmoid(k: KernelBuilder, x: KExpr): KExpr {
  return div(coerce(1, x.type), add(exp(k, neg(x)), 1));
}

export const rsqrt = (_k: KernelBuilder, x: KExpr): KExpr => div(coerce(1, x.type), un('sqrt', x));

/**
 * erf: a polynomial in x^2 times x below 0.9277, 1 - exp(polynomial) above. Coefficients by N. Juffa ("An accurate
 * vectorizable erff", 2014). Error < 1.5 ulp.
 */
export function erf(k: KernelBuilder, x0: KExpr): KExpr {
  const x = k.let(x0);
  const a = k.let(atMost(un('abs', x), 4));
  const s = k.let(mul(a, a));
  const near = fma(
    poly(s, [-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1]),
    a,
    a,
  );
  const high = poly(a, [-1.7285347e-5, 3.83197126e-4]);
  const low = poly(a, [-3.88396438e-3, 2.42546219e-2]);
  const tail = poly(a, [-1.06777877e-1, -6.34846687e-1, -1.28717512e-1], fma(high, s, low));
  const far = sub(1, exp(k, k.let(fma(tail, a, neg(a)))));
  return withSign(select(gt(a, 0.927734375), far, near), x);
}

/** a / b; integers floor, with 0 for b = 0 (a kernel never divides an integer by zero). */
export function floorDiv(k: KernelBuilder, a0: KExpr, b0: KExpr): KExpr {
  if (a0.type.elem === 'f32') return div(a0, b0);
  const [a, b] = [k.let(a0), k.let(b0)];
  const none = k.let(eq(b, 0));
  if (a.type.elem === 'u32') return select(none, coerce(0, a.type), div(a, select(none, coerce(1, b.type), b)));
  // -2^31 / -1 traps on some targets: -1 is a negation.
  const minus = k.let(eq(b, -1));
  const safe = k.let(select(or(none, minus), coerce(1, b.type), b));
  const q = k.let(div(a, safe));
  const r = k.let(sub(a, mul(q, safe)));
  const below = and(ne(r, 0), lt(bin('xor', r, safe), 0));
  const floored = select(below, sub(q, 1), q);
  return select(none, coerce(0, a.type), select(minus, sub(coerce(0, a.type), a), floored));
}

/**
 * a - b floor(a / b), with the sign of b; 0 for integers where b = 0. Floats: the product is taken in two parts, exact for
 * quotients below 2^12; from 2^24 on the neighbours of a are further apart than b, and the remainder is 0.
 */
export function floorRem(k: KernelBuilder, a0: KExpr, b0: KExpr): KExpr {
  const [a, b] = [k.let(a0), k.let(b0)];
  if (a.type.elem !== 'f32') {
    const q = floorDiv(k, a, b);
    return select(eq(b, 0), coerce(0, a.type), sub(a, mul(q, b)));
  }
  const q = k.let(un('floor', div(a, b)));
  const high = upper(k, b);
  const exact = sub(sub(a, mul(q, high)), mul(q, sub(b, high)));
  const lost = and(ge(un('abs', q), 2 ** 24), and(lt(un('abs', a), Infinity), ne(b, 0)));
  const r = k.let(select(eq(q, 0), a, select(lost, coerce(0, a.type), exact)));
  const wrong = and(ne(r, 0), ne(lt(r, 0), lt(b, 0)));
  return select(wrong, add(r, b), r);
}

/** The element type of an expression that stands for a tensor's element: half floats are computed in f32. */
export const kernelElem = (elem: ElemType): KElem => (elem === 'f16' || elem === 'bf16' ? 'f32' : elem);

export const constant = (value: number, elem: ElemType): KExpr =>
  coerce(elem === 'bool' ? Number(value !== 0) : value, { elem: kernelElem(elem), lanes: 1 });

/** As `cast` of the op table. Half floats stay f32 here: the emitter rounds every value of such a type. */
export function castTo(_k: KernelBuilder, x: KExpr, elem: ElemType): KExpr {
  const to = kernelElem(elem);
  if (to === 'bool') return x.type.elem === 'bool' ? x : ne(x, 0);
  return integer(x.type.elem) && integer(to) ? bitcast(x, to) : cast(x, to);
}

const integer = (e: KElem): boolean => e === 'i32' || e === 'u32';

export { isNan } from './floats.ts';
export { pow } from './pow.ts';
export { cos, sin } from './trig.ts';
