/** Sizes that a signature leaves open and its body does not: `x * y` of f32[B, 3] and f32[B] fits for B = 3 alone. */
import { sub, type Dim } from '../ir/dim.ts';
import type { DimCheck } from '../ir/ir.ts';
import { at, type Cx } from './context.ts';
import type { Scope } from './scope.ts';

/** Warns once for each size of a method that an equality fixes. `scope` holds the sizes of the signature. */
export function reportPinned(cx: Cx, checks: readonly DimCheck[], scope: Scope): void {
  const seen = new Set<string>();
  for (const c of checks) {
    const fixed = c.kind === 'equal' ? solve(sub(c.left, c.right)) : null;
    const declared = fixed && scope.names.get(fixed.name);
    if (!fixed || declared?.kind !== 'dim' || seen.has(fixed.name)) continue;
    seen.add(fixed.name);
    const args = { size: fixed.name, value: fixed.value, reason: c.message };
    const related = at([declared.span, `\`${fixed.name}\` may be any size here`]);
    cx.world.bag.report('size_pinned', args, c.origin.span, { related });
  }
}

/** `k A + c = 0` and `A - C = 0` for a symbol: all other equations leave something open, or cannot be told apart from that. */
function solve(d: Dim): { readonly name: string; readonly value: string } | null {
  const [first, second, ...rest] = d.terms;
  const name = symbolOf(first);
  if (!first || !second || name === null || rest.length > 0) return null;
  if (second.atoms.length === 0) {
    const value = -second.coef / first.coef;
    return Number.isInteger(value) && value >= 0 ? { name, value: String(value) } : null;
  }
  const other = symbolOf(second);
  return other !== null && first.coef === -second.coef ? { name, value: `\`${other}\`` } : null;
}

function symbolOf(t: Dim['terms'][number] | undefined): string | null {
  const [atom, ...more] = t?.atoms ?? [];
  return atom?.kind === 'sym' && more.length === 0 ? atom.name : null;
}
