/** `require cond, "message"`: what a block or function asks of its user, said in its own words. */
import * as D from '../ir/dim.ts';
import type { DimCheck } from '../ir/ir.ts';
import type { Expr, Require, Span, Template } from '../parser/ast.ts';
import { at, originOf, report, type Cx } from './context.ts';
import { truth } from './control.ts';
import { describe, staticText } from './describe.ts';
import { evaluate } from './evaluate.ts';
import { addCheck, compareAtLeast } from './tensor.ts';
import { isPoison, settle, stringVal, type Val } from './values.ts';

/** The text with its names filled in, as messages and file names show values. Null after a fault, which has been reported. */
export function templateText(cx: Cx, t: Template): string | null {
  let text = '';
  for (const part of t.parts) {
    const v: Val = typeof part === 'string' ? stringVal(part) : settle(evaluate(cx, part));
    if (isPoison(v)) return null;
    text += v.kind === 'string' ? v.value : staticText(v);
  }
  return text;
}

/** `user` is the place that is to blame: where the block was asked for, or the call. False after a report. */
export function execRequire(cx: Cx, r: Require, user: Span | null = cx.site ?? cx.caller): boolean {
  const sizes = comparison(cx, r.cond);
  const known = sizes ? verdict(sizes) : truthOf(cx, r.cond);
  if (known === null && !sizes) return false;
  if (known === true) return true;
  const message = templateText(cx, r.message) ?? '…';
  if (sizes && known === null) {
    addCheck(cx.fn!, { ...sizes, message, origin: originOf(cx, r.cond.span) });
    return true;
  }
  const related = at([user && r.span, 'required here']);
  report({ ...cx, site: null }, 'requirement', { message }, user ?? r.span, { related });
  return false;
}

/** Null after a report. */
function truthOf(cx: Cx, e: Expr): boolean | null {
  const cond = evaluate(cx, e);
  const known = isPoison(cond) ? null : truth(cond, e, cx);
  if (known === null && !isPoison(cond))
    report(cx, 'not_static', { what: `this condition (${describe(cond)})` }, e.span);
  return known;
}

type Sizes = Pick<DimCheck, 'kind' | 'left' | 'right'>;

/** Sizes that only the run knows are compared then, before anything is computed: `require T <= max_len, "..."`. */
function comparison(cx: Cx, e: Expr): Sizes | null {
  if (!cx.fn || e.kind !== 'binary' || !['==', '<', '<=', '>', '>='].includes(e.op)) return null;
  const [a, b] = [e.left, e.right].map((x) => settle(evaluate(cx, x)));
  if (a?.kind !== 'int' || b?.kind !== 'int') return null;
  const [left, right] = e.op.startsWith('<') ? [b.dim, a.dim] : [a.dim, b.dim];
  if (e.op === '==') return { kind: 'equal', left, right };
  return { kind: 'atLeast', left, right: e.op.length === 1 ? D.add(right, 1) : right };
}

/** Null where it depends on the run. */
function verdict({ kind, left, right }: Sizes): boolean | null {
  const found = kind === 'equal' ? D.compare(left, right) : compareAtLeast(left, right);
  return found === 'equal' || found === 'yes' ? true : found === 'unknown' ? null : false;
}
