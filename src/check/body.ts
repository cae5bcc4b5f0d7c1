/** Statements of methods and functions: locals, destructuring, updates of buffers; the value of a body is its last expression. */
import type { Assign, Body, Stmt, Update } from '../parser/ast.ts';
import { didYouMean } from '../diagnostics/index.ts';
import { compare } from '../ir/dim.ts';
import { namesIn, patternText } from '../parser/patterns.ts';
import { at, report, type Cx, type Wanted } from './context.ts';
import { evalIf, execIf } from './control.ts';
import { execFor, execWhile } from './loop.ts';
import { describe } from './describe.ts';
import { evaluate, evalValue, takeApart } from './evaluate.ts';
import { execRequire } from './require.ts';
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
  for (const s of ends ? body.stmts.slice(0, -1) : body.stmts) {
    if (s.kind !== 'require') execStmt(cx, s);
    else if (!execRequire(cx, s)) return POISON;
  }
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
    case 'require':
      execRequire(cx, s);
      return;
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
  if (s.index || s.fields.length > 0) return replacePart(cx, s);
  const v = evalValue(cx, s.value);
  takeApart(cx, s.target, v, s.value.span, (name, val) => assignLocal(cx, name.name, val, s.value.span));
}

/** `cache.k[:, t] = v` gives `cache` a new value, whose `k` is the old one with a part replaced. */
function replacePart(cx: Cx, s: Assign): void {
  for (const { name, span } of namesIn(s.target)) {
    const old = cx.scope.local(name)?.binding.val;
    const given = evalValue(cx, s.value);
    if (old) assignLocal(cx, name, replaced(cx, old, s, 0, given), s.span);
    else if (cx.scope.find(name)) {
      const help = 'only a buffer outlives a call, and it changes by `update name = value`';
      report(cx, 'invalid_target', {}, span, { help });
    }
  }
}

/** `owner` with the part replaced that the fields from `depth` on, and the index behind them, lead to. */
function replaced(cx: Cx, owner: Val, s: Assign, depth: number, given: Val): Val {
  if (isPoison(owner) || isPoison(given)) return POISON;
  const field = s.fields[depth];
  if (!field) {
    if (!s.index) return given;
    if (owner.kind === 'tensor') return updateAt(cx, owner, s.index, given, s.span);
    const what = `\`${[patternText(s.target), ...s.fields.map((f) => f.name)].join('.')}\``;
    const args = { what, wanted: 'a tensor, to have a part replaced', found: describe(owner) };
    return report(cx, 'type_mismatch', args, (s.fields.at(-1) ?? s.target).span);
  }
  const { name, span } = field;
  if (owner.kind === 'record') {
    const old = owner.fields.get(String(name));
    if (old)
      return { ...owner, fields: new Map(owner.fields).set(String(name), replaced(cx, old, s, depth + 1, given)) };
  } else if ((owner.kind === 'tuple' || owner.kind === 'list') && typeof name === 'number') {
    const old = owner.items[name];
    if (old) return { ...owner, items: owner.items.with(name, replaced(cx, old, s, depth + 1, given)) };
  }
  const help = owner.kind === 'record' ? didYouMean(String(name), owner.fields.keys()) : null;
  return report(cx, 'unknown_member', { name, what: describe(owner) }, span, { help });
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
