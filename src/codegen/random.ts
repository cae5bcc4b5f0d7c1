/** Philox-4x32-10 as kernel IR, at any number of lanes: bit for bit what `src/runtime/rng.ts` computes on the host. */
import { FOLD_TAG, PHILOX } from '../runtime/rng.ts';
import type { KernelBuilder } from './builder.ts';
import { add, bin, bitcast, coerce, eq, mul, select, splat, u32, vector } from './builder.ts';
import type { KExpr } from './kernel.ts';
import { halves, mulhi } from './words.ts';

export type PhiloxBlock = readonly [KExpr, KExpr, KExpr, KExpr];

const xor = (a: KExpr, b: KExpr): KExpr => bin('xor', a, b);

/** Four words for the counter (c0, c1, 0, 0) under a key; all u32. */
export function philoxBlock(k: KernelBuilder, key0: KExpr, key1: KExpr, c0: KExpr, c1: KExpr): PhiloxBlock {
  let c: PhiloxBlock = [c0, c1, coerce(0, c0.type), coerce(0, c0.type)];
  const [m0, m1] = [halves(k, PHILOX.M0), halves(k, PHILOX.M1)];
  let [k0, k1] = [key0, key1];
  for (let round = 0; round < PHILOX.rounds; round++) {
    const [a, b] = [k.let(c[0]), k.let(c[2])];
    c = [
      xor(xor(mulhi(k, b, m1), c[1]), k0),
      k.let(mul(b, PHILOX.M1)),
      xor(xor(mulhi(k, a, m0), c[3]), k1),
      k.let(mul(a, PHILOX.M0)),
    ];
    k0 = k.let(add(k0, PHILOX.W0));
    k1 = k.let(add(k1, PHILOX.W1));
  }
  return [k.let(c[0]), c[1], k.let(c[2]), c[3]];
}

/** Element `linear` (i32) of `random_bits`: a quarter of the block is used, see `philoxVectors` for all of it. */
export function philoxWord(k: KernelBuilder, key0: KExpr, key1: KExpr, linear: KExpr): KExpr {
  const i = k.let(bitcast(linear, 'u32'));
  const counter = k.let(bin('or', bin('and', bin('shr', i, 2), 0x3ffffffc), bin('and', i, 3)));
  const block = philoxBlock(k, key0, key1, counter, coerce(0, i.type));
  const word = k.let(bin('and', bin('shr', i, 2), 3));
  const low = select(eq(word, 0), block[0], block[1]);
  return select(bin('lt', word, 2), low, select(eq(word, 2), block[2], block[3]));
}

/**
 * Elements `first` to `first + 15` of `random_bits` as four vectors of four lanes; `first` (i32, scalar) is a multiple of
 * 16. The blocks of four counters stand side by side in the lanes, which is why element i lies where it does.
 */
export function philoxVectors(k: KernelBuilder, key0: KExpr, key1: KExpr, first: KExpr): PhiloxBlock {
  const lanes = vector([0, 1, 2, 3].map((n) => u32(n)));
  const counter = k.let(add(splat(bin('shr', bitcast(first, 'u32'), 2), 4), lanes));
  return philoxBlock(k, key0, key1, counter, coerce(0, counter.type));
}

/** The two words of `fold_in`. `data` is u32. */
export function philoxFoldIn(k: KernelBuilder, key0: KExpr, key1: KExpr, data: KExpr): readonly [KExpr, KExpr] {
  const block = philoxBlock(k, key0, key1, data, coerce(FOLD_TAG, data.type));
  return [block[0], block[1]];
}
