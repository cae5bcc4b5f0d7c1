/** Statements of methods and functions: locals, destructuring, updates of buffers; the value of a body is its last expression. */
import type { Assign, Body, Stmt, Update } from '../parser/ast.ts';
import { compare } from '../ir/dim.ts';
import { at, report, type Cx, type Wanted } from './context.ts';
import { evalIf, execIf } from './control.ts';
import { execFor, execWhile } from './loop.ts';
import { describe } from './describe.ts';
import { evaluate, evalValue } from './evaluate.ts';
import type { Slot } from './instance.ts';
import { Scope } from './scope.ts';
import { updateAt } from './subscript.ts';
import { emitOne, fill, reshape, requireEqual, toTensor, writeTensor } from './tensor.ts';
import { typeText } from '../ir/builder.ts';
import { isPoison, POISON, settle, type Val } from './values.ts';

/** Runs the statements in `cx.scope` and gives the body's value; poison (after a report) where it has none but needs one. */
export function evalBody(cx: Cx, body: Body, wanted: Wanted | null): Val {
  const last = body.stmts.at(-1);
  // `if c { a } else { b }` at the end is the value, also where the grammar took it for a statement.
  const ends =
    !body.result && last?.kind === 'if' && last.else ? { ...last, kind: 'ifExpr' as const, else: last.else } : null;
  for (const s of ends ? body.stmts.slice(0, -1) : body.stmts) execStmt(cx, s);
  if (ends) return evalIf(cx, ends, wanted);
  if (body.result) return evalValue(cx, body.result, wanted);
  return report(cx, 'no_result', {}, last?.span ?? body.span);
}

/** Only for its effects: branches and loop bodies. Names born inside die here. */
export function execBody(cx: Cx, body: Body): void {
  const inner: Cx = { ...cx, scope: new Scope(cx.scope) };
  for (const s of body.stmts) execStmt(inner, s);
  if (body.result) evaluate(inner, body.result);
}

function execStmt(cx: Cx, s: Stmt): void {
  switch (s.kind) {
    case 'assign':
      return execAssign(cx, s);
    case 'update':
      return execUpdate(cx, s);
    case 'if':
      return execIf(cx, s);
    case 'while':
      return execWhile(cx, s);
    case 'for':
      return execFor(cx, s);
    case 'expr':
      evaluate(cx, s.value);
      return;
  }
}

// ---------------------------------------------------------------- assignment

export function assignLocal(
  cx: Cx,
  name: string,
  val: Val,
  span: { readonly file: string; readonly start: number; readonly end: number },
): void {
  const old = cx.scope.local(name);
  (old?.scope ?? cx.scope).bind(name, 'local', val, span);
}

function execAssign(cx: Cx, s: Assign): void {
  const [first] = s.targets;
  if (!first) return;
  if (s.index) {
    const old = cx.scope.local(first.name)?.binding.val;
    const given = evalValue(cx, s.value);
    if (!old || isPoison(old) || isPoison(given)) return;
    const base = old.kind === 'tensor' ? old : null;
    if (!base) {
      report(
        cx,
        'type_mismatch',
        { what: `\`${first.name}\``, wanted: 'a tensor, to have a part replaced', found: describe(old) },
        first.span,
      );
      return;
    }
    assignLocal(cx, first.name, updateAt(cx, base, s.index, given, s.span), s.span);
    return;
  }
  const v = evalValue(cx, s.value);
  if (s.targets.length === 1) return assignLocal(cx, first.name, v, s.value.span);
  const items = v.kind === 'tuple' || v.kind === 'list' ? v.items : null;
  if (!isPoison(v) && items?.length !== s.targets.length) {
    report(cx, 'destructure_mismatch', { names: s.targets.length, found: describe(v) }, s.value.span);
    for (const t of s.targets) assignLocal(cx, t.name, POISON, t.span);
    return;
  }
  s.targets.forEach((t, i) => assignLocal(cx, t.name, items?.[i] ?? POISON, s.value.span));
}

// ---------------------------------------------------------------- buffers

function execUpdate(cx: Cx, s: Update): void {
  const target = settle(evaluate(cx, s.target));
  const given = evalValue(cx, s.value);
  if (isPoison(target) || isPoison(given)) return;
  const slot = target.kind === 'slot' ? target.slot : null;
  if (!slot || slot.tensor.role !== 'buffer') {
    report(cx, 'update_target', { found: describe(target) }, s.target.span, {
      related: at([slot?.tensor.member.span, 'declared here']),
    });
    return;
  }
  if (cx.self && slot.owner !== cx.self) {
    report(cx, 'update_target', { found: `\`${slot.name}\` of another block` }, s.target.span);
    return;
  }
  const fn = cx.fn;
  if (!fn) return;
  const next = bufferValue(cx, slot, given, s);
  if (next.kind !== 'tensor') return;
  const stopped = emitOne(cx, 'stop_gradient', [next], {}, s.span);
  if (stopped.kind === 'tensor') writeTensor(fn, slot.tensor, stopped.value);
}

/** The new content in exactly the buffer's type; a number fills it. */
function bufferValue(cx: Cx, slot: Slot, given: Val, s: Update): Val {
  const type = slot.tensor.type;
  const v = toTensor(cx, given, s.value.span, type.elem);
  if (v.kind !== 'tensor') return v;
  const found = v.value.type;
  const args = { name: slot.name, type: typeText(type), found: describe(v) };
  const related = at([slot.tensor.member.span, 'declared here']);
  if (found.elem !== type.elem) return report(cx, 'update_type', args, s.value.span, { related });
  if (found.shape.length === 0 && type.shape.length > 0 && given.kind !== 'tensor')
    return fill(cx, v, type.shape, s.span);
  if (found.shape.length !== type.shape.length) return report(cx, 'update_type', args, s.value.span, { related });
  for (const [i, d] of type.shape.entries()) {
    if (compare(d, found.shape[i]!) === 'equal') continue;
    if (!requireEqual(cx, d, found.shape[i]!, 'update_type', args, s.value.span, related)) return POISON;
  }
  return reshape(cx, v, type.shape, s.span);
}
