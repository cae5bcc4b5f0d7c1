/** Which argument goes to which parameter of a declaration, and what the open ones default to. */
import { atMost } from '../diagnostics/words.ts';
import type { Arg, Expr, Param, Span } from '../parser/ast.ts';
import { report, staticCx, type Cx } from './context.ts';
import { typeExprText } from './describe.ts';
import { evaluate, evalValue } from './evaluate.ts';
import type { Scope } from './scope.ts';
import { bindDim, isUpper, tensorTypeOf } from './dims.ts';
import { unknownArgumentHelp } from './unknown-name.ts';
import { coerce, type Meeting } from './unify.ts';
import { intVal, isPoison, POISON, settle, type Val } from './values.ts';

/** Argument per parameter, by position and name; null after a report. */
export function matchArgs(
  cx: Cx,
  callee: string,
  params: readonly {
    readonly name: { readonly name: string };
    readonly optional: boolean;
    readonly type: string | null;
  }[],
  args: readonly Arg[],
  span: Span,
): Map<string, Arg> | null {
  const out = new Map<string, Arg>();
  let ok = true;
  let next = 0;
  for (const arg of args) {
    if (arg.name) {
      const name = arg.name.name;
      if (!params.some((p) => p.name.name === name)) {
        const known = params.map((p) => p.name.name);
        const help = unknownArgumentHelp(name, known) ?? takes(params);
        report(cx, 'unknown_argument', { callee, name }, arg.name.span, { help });
        ok = false;
      } else if (out.has(name)) {
        report(cx, 'repeated_argument', { callee, name }, arg.span, { help: asList(params) });
        ok = false;
      } else out.set(name, arg);
      continue;
    }
    const param = params[next++];
    if (!param) {
      if (next === params.length + 1) {
        report(cx, 'too_many_arguments', { callee, count: atMost(params.length) }, arg.span, {
          help: asList(params) ?? takes(params),
        });
      }
      ok = false;
    } else if (out.has(param.name.name)) {
      report(cx, 'repeated_argument', { callee, name: param.name.name }, arg.span);
      ok = false;
    } else out.set(param.name.name, arg);
  }
  for (const p of params) {
    if (p.optional || out.has(p.name.name) || !ok) continue;
    const help = p.name.name === 'dim' ? 'of classes it is often the last: `dim: -1`' : null;
    const what = p.type === null ? p.name.name : `${p.name.name}: ${p.type}`;
    report(cx, 'missing_argument', { callee, name: what }, span, { help });
    ok = false;
  }
  return ok ? out : null;
}

/** `permute(x, 0, 2, 1)` and `cat(a, b, dim: 1)`: what PyTorch takes one by one is a list. */
function asList(
  params: readonly { readonly name: { readonly name: string }; readonly type: string | null }[],
): string | null {
  const list = params.find((p) => p.type?.startsWith('['));
  return list ? `\`${list.name.name}\` is a list: \`[..., ...]\`` : null;
}

const takes = (params: readonly { readonly name: { readonly name: string } }[]): string =>
  params.length === 0 ? 'leave them out' : `it takes ${params.map((p) => `\`${p.name.name}\``).join(', ')}`;

export const paramSpecs = (params: readonly Param[]) =>
  params.map((p) => ({
    name: p.name,
    optional: p.default !== null || p.type?.kind === 'optionalType',
    type: p.type && typeExprText(p.type),
  }));

export interface Bound {
  readonly val: Val;
  readonly span: Span;
  readonly optional: boolean;
}

/**
 * Evaluates the arguments of a call in the caller's scope, coerces each to its parameter's type and binds it in `scope`
 * (a child of the declaration's scope). Faults are reported in the layer at `path`. Parameters without tensors come first: `n: int` may size the type of another.
 * With `infers` an int may be `_`: the callee makes a layer.
 */
export function bindArgs(
  cx: Cx,
  callee: string,
  params: readonly Param[],
  args: readonly Arg[],
  scope: Scope,
  span: Span,
  path = cx.path,
  infers = false,
): Map<string, Bound> | null {
  const matched = matchArgs(cx, callee, paramSpecs(params), args, span);
  if (!matched) return null;
  const out = new Map<string, Bound>();
  let ok = true;
  const late = params.filter((p) => p.type === null || WITH_TENSORS.has(p.type.kind));
  const lateNames = new Set(late.map((p) => p.name.name));
  for (const p of [...params.filter((q) => !lateNames.has(q.name.name)), ...late]) {
    const arg = matched.get(p.name.name) ?? null;
    const bound: Bound =
      infers && arg?.value.kind === 'infer' && isInt(p)
        ? { val: unsolved(p, arg.value.span), span: arg.value.span, optional: false }
        : bindOne(cx, callee, p, arg?.value ?? null, arg?.value.span ?? span, scope, path);
    if (isPoison(bound.val)) ok = false;
    out.set(p.name.name, bound);
    // `S: [int]? = none` that is not given leaves `...S` open, for the place where the result goes to say.
    if (isUpper(p.name.name) && bound.val.kind === 'none') continue;
    scope.bind(p.name.name, 'arg', bound.val, bound.span, bound.optional);
  }
  if (!ok) return null;
  // Declaration order, whatever the order of evaluation was.
  return new Map(params.map((p) => [p.name.name, out.get(p.name.name)!]));
}

export const isInt = (p: Param): boolean => p.type?.kind === 'namedType' && p.type.name.name === 'int';

/** What `_` is for a hyper-parameter until the first call of the layer says it. */
export const unsolved = (p: Param, span: Span): Val => ({
  kind: 'infer',
  cell: { name: p.name.name, span, solved: null },
});

/** Types that may hold tensors, whose dims may be other arguments. */
const WITH_TENSORS: ReadonlySet<string> = new Set(['tensorType', 'optionalType', 'recordType', 'errorType']);

function bindOne(cx: Cx, callee: string, p: Param, given: Expr | null, span: Span, scope: Scope, path: string): Bound {
  const type = p.type;
  const optional = type?.kind === 'optionalType';
  const inLayer: Cx = { ...cx, path };
  const meeting: Meeting = { scope, what: `\`${p.name.name}\` of ${callee}`, span, fills: false };
  if (given === null) {
    if (p.default === null) return { val: { kind: 'none' }, span, optional };
    const made = evaluate({ ...staticCx(cx, scope), fn: cx.fn, site: cx.site ?? span }, p.default);
    return {
      val: type && !isPoison(made) ? coerce(inLayer, type, made, { ...meeting, span: p.default.span }) : made,
      span,
      optional,
    };
  }
  const tensorType =
    type?.kind === 'tensorType' ? type : optional && type.item.kind === 'tensorType' ? type.item : null;
  const wanted = tensorType ? (tensorTypeOf(cx, tensorType, scope) ?? cx.result) : null;
  const v = tensorType || type === null ? evalValue(cx, given, wanted) : settle(evaluate(cx, given));
  if (isPoison(v)) return { val: v, span, optional };
  // `N: int` in capitals binds a dim of the signature.
  if (type?.kind === 'namedType' && type.name.name === 'int' && isUpper(p.name.name) && v.kind === 'int') {
    const ok = bindDim(inLayer, { kind: 'name', name: p.name.name, span: p.name.span }, intVal(v.dim, span), meeting);
    return { val: ok ? intVal(v.dim, span) : POISON, span, optional };
  }
  return { val: type ? coerce(inLayer, type, v, meeting) : v, span, optional };
}
