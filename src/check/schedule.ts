/** The `schedule` of a `train` block: a function of the step as IR, or the settings of one that follows a metric. */
import { value } from '../ir/builder.ts';
import type { CallExpr, Expr, FnDecl, Ident, Lambda } from '../parser/ast.ts';
import type { PlateauEntry } from '../runtime/artifact.ts';
import { callValue } from './call.ts';
import { at, newFn, originOf, refuse, report, type Cx } from './context.ts';
import { describe } from './describe.ts';
import { evaluate } from './evaluate.ts';
import { freeName } from './outline.ts';
import { Scope } from './scope.ts';
import { settingsOf, type Range } from './settings.ts';
import { toTensor } from './tensor.ts';
import { isPoison, settle, tensorVal, type FnVal, type Val } from './values.ts';

export interface SchedulePlan {
  /** Name of a function (step: i32[]) -> f32[]. */
  readonly factor: string | null;
  readonly plateau: PlateauEntry | null;
}

const NO_SCHEDULE: SchedulePlan = { factor: null, plateau: null };

const PLATEAU: Readonly<Record<string, Range>> = {
  factor: { wanted: 'a float below 1', holds: (x) => x >= 0 && x < 1 },
  patience: { wanted: 'an int of at least 0', holds: (x) => x >= 0 },
  cooldown: { wanted: 'an int of at least 0', holds: (x) => x >= 0 },
};

export function planSchedule(cx: Cx, inner: Cx, e: Expr | null): SchedulePlan {
  if (!e) return NO_SCHEDULE;
  const callee = settle(evaluate(inner, e.kind === 'call' ? e.callee : e));
  if (isPoison(callee)) return NO_SCHEDULE;
  if (callee.kind !== 'fn') {
    const wanted = 'a schedule such as cosine_lr(total_steps: 1000)';
    report(cx, 'type_mismatch', { what: '`schedule`', wanted, found: describe(callee) }, e.span);
    return NO_SCHEDULE;
  }
  const first = takesStep(callee.decl) ? callee.decl.params[0]?.name : null;
  if (first) return { factor: lowerSchedule(cx, inner, e, callee, first.name), plateau: null };
  const v = e.kind === 'call' ? settle(evaluate(inner, e)) : callee;
  if (isPoison(v)) return NO_SCHEDULE;
  const plateau = settingsOf(cx, v, 'Plateau', PLATEAU, e.span);
  if (plateau === null) refuseSignature(cx, callee, e);
  return { factor: null, plateau: plateau as PlateauEntry | null };
}

function refuseSignature(cx: Cx, callee: FnVal, e: Expr): null {
  return refuse(cx, 'schedule_signature', { name: callee.name }, e.span, {
    related: at([nameOf(callee.decl)?.span, 'declared here']),
  });
}

/** A lambda's argument has no type; a function's must be an i32 scalar. */
function takesStep(decl: FnDecl | Lambda): boolean {
  const type = decl.params[0]?.type;
  if (!type) return decl.params.length > 0;
  return type.kind === 'tensorType' && type.elem.name === 'i32' && type.dims.length === 0;
}

/** `cosine_lr(total_steps: 1000)`, a function name, or `step => ...`: all as a function (step: i32[]) -> f32[]. */
function lowerSchedule(cx: Cx, inner: Cx, e: Expr, callee: FnVal, first: string): string | null {
  const fn = newFn(null, true);
  const step = value({ elem: 'i32', shape: [] }, 'step');
  const scope = new Scope(inner.scope);
  scope.bind('$step', 'local', tensorVal(step, null), e.span);
  const within: Cx = { ...inner, scope, fn, path: '' };
  const stepArg = { name: null, value: { kind: 'name' as const, name: '$step', span: e.span }, span: e.span };
  const call: CallExpr =
    e.kind === 'call' ? { ...e, args: e.args } : { kind: 'call', callee: e, args: [], span: e.span };
  const v: Val = callValue(
    within,
    callee,
    [{ ...stepArg, name: { name: first, span: e.span } }, ...call.args],
    e.span,
    null,
  );
  const made = toTensor(within, v, e.span, 'f32');
  if (made.kind !== 'tensor') return null;
  if (made.value.type.elem !== 'f32' || made.value.type.shape.length > 0) {
    return refuseSignature(cx, callee, e);
  }
  const name = freeName(cx.world, `schedule_${callee.name}`);
  cx.world.funcs.set(name, {
    name,
    body: { params: [step], ops: fn.b.ops, results: [made.value] },
    checks: [],
    origin: originOf(inner, e.span),
  });
  return name;
}

const nameOf = (d: FnDecl | Lambda): Ident | null => (d.kind === 'fn' ? d.name : null);
