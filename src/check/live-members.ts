/** The members of a declaration that are in force: compile-time conditions choose. */
import type { Member } from '../parser/ast.ts';
import { report, staticCx, type Cx } from './context.ts';
import { truth } from './control.ts';
import { describe } from './describe.ts';
import { evaluate } from './evaluate.ts';
import type { Scope } from './scope.ts';
import { isPoison } from './values.ts';

export function liveMembers(cx: Cx, scope: Scope, members: readonly Member[]): Member[] {
  return members.flatMap((m): Member[] => {
    if (m.kind !== 'ifMember') return [m];
    const inner = staticCx(cx, scope);
    const v = evaluate(inner, m.cond);
    const known = isPoison(v) ? null : truth(v, m.cond, inner);
    if (known === null && !isPoison(v))
      report(cx, 'not_static', { what: `this condition (${describe(v)})` }, m.cond.span);
    return known === null ? [] : liveMembers(cx, scope, known ? m.then : m.else);
  });
}
