/** sin and cos in kernel IR for every float: a cheap reduction by pi/2 for ordinary arguments, an exact one behind a branch. */
import type { KernelBuilder } from './builder.ts';
import { add, bin, bitcast, cast, coerce, eq, fma, gt, lt, mul, reduceLanes, select, sub, u32, un } from './builder.ts';
import { nearest, poly, signBit } from './floats.ts';
import type { KExpr } from './kernel.ts';
import { halves, mulhi } from './words.ts';

/** x = quadrant * pi/2 + rest, |rest| <= pi/4. */
interface Reduced {
  readonly quadrant: KExpr; // i32, any number with the right remainder modulo 4
  readonly rest: KExpr;
}

/** pi/2 in parts of few bits, so that n times each is exact for |n| < 2^13 (Cody and Waite). */
const HALF_PI = [1.5703125, 4.83751296997e-4, 7.54953362047672e-8, 2.5633440974e-12] as const;
const ORDINARY = 12000;

function reduceOrdinary(k: KernelBuilder, x: KExpr): Reduced {
  const quadrant = nearest(k, mul(x, 2 / Math.PI));
  const n = k.let(cast(quadrant, 'f32'));
  return { quadrant, rest: HALF_PI.reduce((acc: KExpr, part) => fma(n, -part, acc), x) };
}

/** 2/pi after the binary point, with 32 zero bits in front so that every window lies inside. */
const TWO_OVER_PI = [0, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab] as const;

/**
 * Payne and Hanek: of the product of the mantissa and 2/pi only the bits between 2 and 2^-62 matter. The mantissa is a
 * 24-bit integer, so bits of 2/pi whose weight is 4 or more give multiples of four quadrants and are left out.
 */
function reduceBig(k: KernelBuilder, x: KExpr): Reduced {
  const bits = k.let(bitcast(un('abs', x), 'u32'));
  const mantissa = k.let(bin('or', bin('and', bits, 0x7fffff), 0x800000));
  // Weight of the mantissa's last bit is 2^(exponent - 150); the window starts at the bit of 2/pi that makes it 2.
  const start = k.let(add(bin('shr', bits, 23), 32 - 152));
  const [word, shift] = [k.let(bin('shr', start, 5)), k.let(bin('and', start, 31))];
  const table = [0, 1, 2, 3].map((i) => {
    let w = coerce(u32(TWO_OVER_PI[i]!), bits.type);
    for (let first = 1; first <= 4; first++)
      w = select(eq(word, first), coerce(u32(TWO_OVER_PI[first + i]!), bits.type), w);
    return k.let(w);
  });
  const back = k.let(sub(coerce(31, bits.type), shift));
  const windowed = [0, 1, 2].map((i) =>
    k.let(bin('or', bin('shl', table[i]!, shift), bin('shr', bin('shr', table[i + 1]!, 1), back))),
  ) as [KExpr, KExpr, KExpr];

  const m = halves(k, mantissa);
  const low1 = k.let(mul(mantissa, windowed[1]));
  const r1 = k.let(add(low1, mulhi(k, windowed[2], m)));
  const carry = select(lt(r1, low1), coerce(1, r1.type), coerce(0, r1.type));
  const r0 = k.let(add(add(mul(mantissa, windowed[0]), mulhi(k, windowed[1], m)), carry));

  // r0:r1 is the angle in quadrants with 62 bits after the point; to the nearest, so that the rest has a sign.
  const turns = bitcast(bin('shr', add(r0, 0x20000000), 30), 'i32');
  const high = bitcast(bin('or', bin('shl', r0, 2), bin('shr', r1, 30)), 'i32');
  const low = bin('shl', r1, 2);
  const quarter = fma(cast(low, 'f32'), 2 ** -64, mul(cast(high, 'f32'), 2 ** -32));
  const sign = signBit(x);
  const rest = bitcast(bin('xor', bitcast(mul(quarter, Math.PI / 2), 'u32'), sign), 'f32');
  const negative = eq(sign, 0x80000000);
  const quadrant = select(negative, sub(coerce(0, turns.type), turns), turns);
  // Infinities and NaN have no angle.
  return { quadrant, rest: select(gt(bits, 0x7f7fffff), coerce(NaN, x.type), rest) };
}

function circular(k: KernelBuilder, x0: KExpr, phase: 0 | 1): KExpr {
  const x = k.let(x0);
  const usual = reduceOrdinary(k, x);
  const rest = k.mutable(usual.rest, 'rest');
  const quadrant = k.mutable(usual.quadrant, 'quadrant');
  // Compared as bits: NaN and infinity count as big.
  const magnitude = bin('and', bitcast(x, 'i32'), 0x7fffffff);
  const limit = new Float32Array([ORDINARY]);
  const big = k.let(gt(magnitude, new Int32Array(limit.buffer)[0]!));
  k.if(gt(reduceLanes(k, 'max', k.let(magnitude)), new Int32Array(limit.buffer)[0]!), () => {
    const exact = reduceBig(k, x);
    k.set(rest, select(big, exact.rest, rest));
    k.set(quadrant, select(big, exact.quadrant, quadrant));
  });

  // Cephes sinf and cosf (Moshier) on [-pi/4, pi/4].
  const r = k.let(rest);
  const z = k.let(mul(r, r));
  const sine = fma(mul(poly(z, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]), z), r, r);
  const cosine = fma(
    poly(z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2]),
    mul(z, z),
    fma(z, -0.5, coerce(1, z.type)),
  );
  const q = k.let(add(quadrant, phase));
  const y = select(eq(bin('and', q, 1), 0), sine, cosine);
  const flip = bin('shl', bin('and', q, 2), 30);
  const signed = bitcast(bin('xor', bitcast(y, 'i32'), flip), 'f32');
  return phase === 0 ? select(eq(x, 0), x, signed) : signed;
}

/** Absolute error < 1.2e-7 for every finite argument. */
export const sin = (k: KernelBuilder, x: KExpr): KExpr => circular(k, x, 0);
export const cos = (k: KernelBuilder, x: KExpr): KExpr => circular(k, x, 1);
