/** Dims of the compiler as size expressions of an artifact, which the runtime evaluates without the compiler. */
import type { Atom, Dim } from '../../ir/dim.ts';
import type { SizeExpr } from '../../runtime/artifact.ts';

const FNS = { div: '/', mod: '%', min: 'min', max: 'max' } as const;

export function sizeExpr(d: Dim): SizeExpr {
  let sum: SizeExpr | null = null;
  for (const t of d.terms) {
    let product: SizeExpr | null = t.coef === 1 && t.atoms.length > 0 ? null : t.coef;
    for (const a of t.atoms) product = product === null ? atom(a) : ['*', product, atom(a)];
    sum = sum === null ? product : ['+', sum, product!];
  }
  return sum ?? 0;
}

const atom = (a: Atom): SizeExpr => (a.kind === 'sym' ? a.name : [FNS[a.fn], sizeExpr(a.a), sizeExpr(a.b)]);
