/** Products of 32-bit words in kernel IR: no target has the upper half in common, so it is made from halves of 16 bits. */
import type { KernelBuilder } from './builder.ts';
import { add, bin, mul } from './builder.ts';
import type { Arg } from './builder.ts';
import type { KExpr } from './kernel.ts';

export interface Halves {
  readonly low: Arg;
  readonly high: Arg;
}

/** A word, or a constant, in halves of 16 bits. */
export function halves(k: KernelBuilder, word: KExpr | number): Halves {
  if (typeof word === 'number') return { low: word & 0xffff, high: word >>> 16 };
  return { low: k.let(bin('and', word, 0xffff)), high: k.let(bin('shr', word, 16)) };
}

/** The upper 32 bits of the product a * b of unsigned words. */
export function mulhi(k: KernelBuilder, a: KExpr, b: Halves): KExpr {
  const al = k.let(bin('and', a, 0xffff));
  const ah = k.let(bin('shr', a, 16));
  const mid = k.let(add(mul(ah, b.low), bin('shr', mul(al, b.low), 16)));
  const low = add(bin('and', mid, 0xffff), mul(al, b.high));
  return add(add(mul(ah, b.high), bin('shr', mid, 16)), bin('shr', low, 16));
}
