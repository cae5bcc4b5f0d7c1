/** Rules for matrix products: the same products are added in the same order, only addressed otherwise. */
import { product } from '../../dim.ts';
import type { Value } from '../../ir.ts';
import { madeBy, type Rule, type Scope } from './rule.ts';

/** The operand of a transpose that swaps the last two axes and nothing else. */
function turned(at: Scope, v: Value): Value | null {
  const op = madeBy(at, v, 'transpose');
  const perm = op?.attrs['perm'];
  if (!op || !Array.isArray(perm)) return null;
  const n = perm.length;
  const swaps = n >= 2 && perm.every((p, i) => p === (i === n - 1 ? n - 2 : i === n - 2 ? n - 1 : i));
  return swaps ? op.operands[0]! : null;
}

export const CONTRACTIONS: readonly Rule[] = [
  {
    name: 'matmul-transpose',
    why: 'the kernel reads a transposed matrix in place through its flag',
    kinds: ['matmul'],
    rewrite: (op, at) => {
      const [a, b] = [op.operands[0]!, op.operands[1]!];
      const [ta, tb] = [turned(at, a), turned(at, b)];
      if (!ta && !tb) return null;
      return at.emit('matmul', [ta ?? a, tb ?? b], {
        transpose_a: (op.attrs['transpose_a'] === true) !== (ta !== null),
        transpose_b: (op.attrs['transpose_b'] === true) !== (tb !== null),
      });
    },
  },
  {
    name: 'matmul-rows',
    why: 'a batch times one matrix is one product over all rows: each row is what it was',
    kinds: ['matmul'],
    rewrite: (op, at) => {
      const [a, b] = [op.operands[0]!, op.operands[1]!];
      if (a.type.shape.length <= 2 || b.type.shape.length !== 2 || op.attrs['transpose_a'] === true) return null;
      const inner = a.type.shape.at(-1)!;
      const rows = at.emit('reshape', [a], { shape: [product(a.type.shape.slice(0, -1)), inner] });
      return at.emit('reshape', [at.emit('matmul', [rows, b], op.attrs)], { shape: op.results[0]!.type.shape });
    },
  },
];
