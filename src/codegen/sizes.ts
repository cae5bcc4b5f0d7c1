/** Symbolic sizes as the plain data that the runtime evaluates. */
import type { Dim } from '../ir/dim.ts';
import type { SizeExpr } from '../runtime/artifact.ts';

const OPERATORS = { div: '/', mod: '%', min: 'min', max: 'max' } as const;

export function sizeExpr(d: Dim): SizeExpr {
  if (d.value !== null) return d.value;
  let total: SizeExpr | null = null;
  for (const t of d.terms) {
    let p: SizeExpr | null = t.coef === 1 && t.atoms.length > 0 ? null : t.coef;
    for (const a of t.atoms) {
      const factor: SizeExpr = a.kind === 'sym' ? a.name : [OPERATORS[a.fn], sizeExpr(a.a), sizeExpr(a.b)];
      p = p === null ? factor : ['*', p, factor];
    }
    total = total === null ? p! : ['+', total, p!];
  }
  return total!;
}
