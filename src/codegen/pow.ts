/**
 * pow in kernel IR. The logarithm is carried as a sum of two floats, because an error of its last bit is multiplied by
 * up to 128 in the exponent. After FreeBSD's e_powf.c (Sun Microsystems, I. L. Taylor), its branches as selects.
 */
import type { KernelBuilder } from './builder.ts';
import { add, and, bin, bitcast, cast, coerce, div, eq, ge, gt, lt, mul, ne, or, select, sub, un } from './builder.ts';
import { atLeast, atMost, isNan, poly, pow2, signBit, upper } from './floats.ts';
import type { KExpr } from './kernel.ts';

/** log2 of a positive finite number as (high, low), high of 12 bits. */
function log2Parts(k: KernelBuilder, ax: KExpr): [KExpr, KExpr] {
  const tiny = k.let(lt(ax, 1.17549435e-38));
  const bits = k.let(bitcast(select(tiny, mul(ax, 16777216), ax), 'i32'));
  const mantissa = k.let(bin('and', bits, 0x7fffff));
  // Nearest of the base points 1, 1.5 and 2.
  const mid = k.let(and(gt(mantissa, 0x1cc471), lt(mantissa, 0x5db3d7)));
  const top = k.let(ge(mantissa, 0x5db3d7));
  const one = coerce(1, mantissa.type);
  const zero = coerce(0, mantissa.type);
  const n = k.let(
    add(add(sub(bin('shr', bits, 23), 127), select(top, one, zero)), select(tiny, coerce(-24, mantissa.type), zero)),
  );
  const m = k.let(
    bitcast(bin('or', mantissa, select(top, coerce(0x3f000000, zero.type), coerce(0x3f800000, zero.type))), 'f32'),
  );
  const base = k.let(select(mid, coerce(1.5, m.type), coerce(1, m.type)));

  // s = (m - base) / (m + base), in two parts.
  const u = k.let(sub(m, base));
  const v = k.let(div(coerce(1, m.type), add(m, base)));
  const s = k.let(mul(u, v));
  const sh = upper(k, s);
  const th = upper(k, k.let(add(m, base)));
  const tl = k.let(sub(m, sub(th, base)));
  const sl = k.let(mul(v, sub(sub(u, mul(sh, th)), mul(sh, tl))));

  // log2(m / base) = 2 / ln 2 * (s + s^3/3 + ...), in two parts.
  const s2 = k.let(mul(s, s));
  const series = [2.0697501302e-1, 2.3066075146e-1, 2.7272811532e-1, 3.3333334327e-1, 4.2857143283e-1, 6.0000002384e-1];
  const p = poly(s2, series);
  const r = k.let(add(mul(mul(s2, s2), p), mul(sl, add(sh, s))));
  const sh2 = k.let(mul(sh, sh));
  const t3 = upper(k, k.let(add(add(sh2, 3), r)));
  const t3l = sub(r, sub(sub(t3, 3), sh2));
  const uu = k.let(mul(sh, t3));
  const vv = k.let(add(mul(sl, t3), mul(t3l, s)));
  const ph = upper(k, k.let(add(uu, vv)));
  const pl = sub(vv, sub(ph, uu));
  const zh = k.let(mul(ph, 9.619140625e-1));
  const dl = select(mid, coerce(1.56322085e-6, m.type), coerce(0, m.type));
  const dh = k.let(select(mid, coerce(5.84960938e-1, m.type), coerce(0, m.type)));
  const zl = k.let(add(add(mul(ph, -1.1736857402e-4), mul(pl, 9.6179670095e-1)), dl));
  const t = k.let(cast(n, 'f32'));
  const t1 = upper(k, k.let(add(add(add(zh, zl), dh), t)));
  const t2 = sub(zl, sub(sub(sub(t1, t), dh), zh));
  return [t1, k.let(t2)];
}

/** 2^(high + low). */
function exp2Parts(k: KernelBuilder, high0: KExpr, low: KExpr): KExpr {
  const high = k.let(atLeast(atMost(high0, 160), -160));
  const n = k.let(un('round', add(high, low)));
  const rest = k.let(sub(high, n));
  const th = upper(k, k.let(add(low, rest)));
  const tl = sub(low, sub(th, rest));
  const u = k.let(mul(th, 6.93145752e-1));
  const v = k.let(add(mul(tl, 6.9314718246e-1), mul(th, 1.42860654e-6)));
  const z = k.let(add(u, v));
  const w = k.let(sub(v, sub(z, u)));
  const z2 = k.let(mul(z, z));
  const series = [4.1381369442e-8, -1.6533901999e-6, 6.613755977e-5, -2.777777845e-3, 1.6666667163e-1];
  const p = poly(z2, series);
  const t = k.let(sub(z, mul(z2, p)));
  const r = sub(div(mul(z, t), sub(t, 2)), add(w, mul(z, w)));
  const y = sub(1, sub(r, z));
  const e = k.let(cast(n, 'i32'));
  const half = k.let(bin('shr', e, 1));
  return mul(mul(y, pow2(half)), pow2(k.let(sub(e, half))));
}

/** x to the y with all of C's special cases. Error < 2 ulp; denormal results are rounded twice. */
export function pow(k: KernelBuilder, x0: KExpr, y0: KExpr): KExpr {
  const [x, y] = [k.let(x0), k.let(y0)];
  const [zero, one, inf, nan] = [0, 1, Infinity, NaN].map((c) => coerce(c, x.type)) as [KExpr, KExpr, KExpr, KExpr];
  const ax = k.let(un('abs', x));
  const ay = k.let(un('abs', y));

  const [l1, l2] = log2Parts(k, ax);
  const yh = upper(k, y);
  const low = k.let(add(mul(sub(y, yh), l1), mul(y, l2)));
  const core = exp2Parts(k, k.let(mul(yh, l1)), low);

  // An exponent this big decides by the side of 1 alone, and would overflow on the way.
  const grows = eq(gt(ax, 1), gt(y, 0));
  const huge = select(eq(ax, 1), one, select(grows, inf, zero));
  const edge = or(eq(ax, 0), eq(ax, inf));
  const magnitude = k.let(
    select(edge, select(eq(eq(ax, inf), gt(y, 0)), inf, zero), select(gt(ay, 4.2e9), huge, core)),
  );

  const whole = or(eq(un('trunc', y), y), eq(ay, inf));
  const halved = k.let(mul(y, 0.5));
  const odd = and(and(whole, ne(un('trunc', halved), halved)), lt(ay, 16777216));
  const negative = k.let(ne(signBit(x), 0));
  const signed = select(and(negative, odd), sub(zero, magnitude), magnitude);
  const real = select(and(and(lt(x, 0), lt(ax, inf)), un('not', whole)), nan, signed);
  const lost = or(isNan(x), isNan(y));
  return select(or(eq(y, 0), eq(x, 1)), one, select(lost, nan, real));
}
