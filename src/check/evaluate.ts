/** The one walk over expressions: compile-time values are computed, tensors become net IR, faults are reported once. */
import { count } from '../diagnostics/words.ts';
import { didYouMean } from '../diagnostics/index.ts';
import type { Expr, Ident, ListComp, MemberExpr, Name, Pattern, SeqExpr, SeqItem, Span } from '../parser/ast.ts';
import { binary, unary } from './arithmetic.ts';
import { callExpr } from './call.ts';
import { report, staticCx, type Cx, type Wanted } from './context.ts';
import { evalIf, truth } from './control.ts';
import { describe } from './describe.ts';
import { evalIndex } from './subscript.ts';
import { tensorMemberHelp } from './unknown-name.ts';
import type { InstanceNode } from './instance.ts';
import { labelOf } from './instance.ts';
import { placeKey } from './project.ts';
import { readSlot } from './tensor.ts';
import { Scope } from './scope.ts';
import {
  boolVal,
  floatVal,
  intVal,
  isPoison,
  listVal,
  NONE,
  POISON,
  settle,
  stringVal,
  tupleVal,
  type RecordVal,
  type SeqVal,
  type Val,
} from './values.ts';

/** `wanted` is the type that the place asks for, where it has one: what `rand()` takes its shape from. */
export function evaluate(cx: Cx, e: Expr, wanted: Wanted | null = null): Val {
  switch (e.kind) {
    case 'number':
      return e.isInt ? intVal(e.value, e.span) : floatVal(e.value);
    case 'string':
      return stringVal(e.value);
    case 'bool':
      return boolVal(e.value);
    case 'none':
      return NONE;
    case 'name':
      return evalName(cx, e);
    case 'infer':
      return report(cx, 'infer_misplaced', {}, e.span);
    case 'member':
      return evalMember(cx, e);
    case 'index':
      return evalIndex(cx, e);
    case 'call':
      return callExpr(cx, e, wanted);
    case 'tuple':
      return tupleVal(e.items.map((x) => evaluate(cx, x)));
    case 'list':
      return listVal(e.items.map((x) => evaluate(cx, x)));
    case 'listComp':
      return evalComp(cx, e);
    case 'record': {
      const fields = new Map<string, Val>();
      for (const f of e.fields) fields.set(f.name.name, evaluate(cx, f.value));
      const made: RecordVal = { kind: 'record', name: null, fields };
      return made;
    }
    case 'seq':
      return evalSeq(cx, e);
    case 'lambda':
      return { kind: 'fn', name: 'lambda', decl: e, scope: cx.scope };
    case 'unary':
      return unary(cx, e.op, evaluate(cx, e.operand, wanted), e.span);
    case 'binary':
      return evalBinary(cx, e, wanted);
    case 'ifExpr':
      return evalIf(cx, e, wanted);
    case 'range': {
      const start = evaluate(cx, e.start);
      const stop = evaluate(cx, e.stop);
      if (isPoison(start) || isPoison(stop)) return POISON;
      for (const [v, x] of [
        [start, e.start],
        [stop, e.stop],
      ] as const)
        if (v.kind !== 'int')
          return report(
            cx,
            'type_mismatch',
            { what: 'the end of a range', wanted: 'an int', found: describe(v) },
            x.span,
          );
      return start.kind === 'int' && stop.kind === 'int' ? { kind: 'range', start: start.dim, stop: stop.dim } : POISON;
    }
    case 'error':
      return POISON;
  }
}

/** An expression whose value must be usable now: tensors of instances are read, `_` that is not solved is a fault. */
export function evalValue(cx: Cx, e: Expr, wanted: Wanted | null = null): Val {
  return use(cx, evaluate(cx, e, wanted), e.span);
}

export function use(cx: Cx, given: Val, span: Span): Val {
  const v = settle(given);
  if (v.kind === 'slot') return readSlot(cx, v.slot, span);
  if (v.kind === 'absent') return report(cx, 'absent_member', { name: v.name }, span);
  if (v.kind === 'infer') return report(cx, 'infer_misplaced', {}, v.cell.span);
  return v;
}

function evalBinary(cx: Cx, e: Expr & { kind: 'binary' }, wanted: Wanted | null): Val {
  if (e.op === 'and' || e.op === 'or') {
    const left = evaluate(cx, e.left);
    const known = truth(left, e.left, cx);
    if (known !== null) {
      if (known === (e.op === 'or')) return boolVal(known);
      const right = evaluate(cx, e.right);
      const second = truth(right, e.right, cx);
      return second === null ? use(cx, right, e.right.span) : boolVal(second);
    }
    const right = evaluate(cx, e.right);
    const second = truth(right, e.right, cx);
    if (second !== null && !isPoison(left))
      return second === (e.op === 'or') ? boolVal(second) : use(cx, left, e.left.span);
    return binary(cx, e.op, use(cx, left, e.left.span), use(cx, right, e.right.span), e);
  }
  // `x == none` asks for presence and reads nothing.
  if ((e.op === '==' || e.op === '!=') && (e.left.kind === 'none' || e.right.kind === 'none')) {
    const v = evaluate(cx, e.left.kind === 'none' ? e.right : e.left);
    if (isPoison(v)) return v;
    return boolVal((v.kind === 'none' || v.kind === 'absent') === (e.op === '=='));
  }
  const shapeOnly = wanted && ['+', '-', '*', '/', '%'].includes(e.op) ? wanted : null;
  return binary(cx, e.op, evalValue(cx, e.left, shapeOnly), evalValue(cx, e.right, shapeOnly), e);
}

// ---------------------------------------------------------------- names

function evalName(cx: Cx, e: Name): Val {
  if (e.name === 'training') {
    if (!cx.fn) return report(cx, 'mode_at_compile_time', {}, e.span);
    cx.fn.readsMode = true;
    return boolVal(cx.fn.training);
  }
  const b = cx.scope.find(e.name);
  if (!b) {
    // The resolver has seen every body once and reported what exists nowhere; the rest exists, but not yet.
    if (cx.world.project.unknown.has(placeKey(e.span))) return POISON;
    return report(cx, 'used_before', { name: e.name }, e.span);
  }
  const v = b.val.kind === 'constant' ? constantValue(cx, b.val) : settle(b.val);
  if (v.kind === 'int' && b.span && b.kind !== 'local') return { ...v, from: b.span };
  return v;
}

/** A constant of a file, in the file's own scope. */
function constantValue(cx: Cx, c: Val & { kind: 'constant' }): Val {
  if (c.cell.value) return c.cell.value;
  if (c.cell.busy) return report(cx, 'constant_cycle', { name: c.decl.name.name }, c.decl.name.span);
  c.cell.busy = true;
  c.cell.value = settle(evaluate({ ...staticCx(cx, c.scope), self: null, site: null }, c.decl.value));
  c.cell.busy = false;
  return c.cell.value;
}

function evalMember(cx: Cx, e: MemberExpr): Val {
  const object = settle(evaluate(cx, e.object));
  const { name, span } = e.member;
  switch (object.kind) {
    case 'poison':
      return POISON;
    case 'tuple':
    case 'list':
      if (typeof name === 'number') {
        const item = object.items[name];
        return (
          item ??
          report(
            cx,
            'index_out_of_range',
            { index: name, what: describe(object), size: count(object.items.length, 'item') },
            span,
          )
        );
      }
      break;
    case 'record': {
      const field = object.fields.get(String(name));
      if (field) return field;
      const help = didYouMean(String(name), object.fields.keys());
      return report(cx, 'unknown_member', { name, what: describe(object) }, span, { help });
    }
    case 'instance':
      return memberOf(cx, object.inst, name, span);
    case 'blockExpr': {
      const h = object.hyper.get(String(name));
      if (h) return settle(h.val);
      break;
    }
  }
  return report(cx, 'unknown_member', { name, what: describe(object) }, span, {
    help: memberHelp(cx, object, String(name)),
  });
}

/** `x.reshape(...)` of PyTorch is `reshape(x, ...)` here, and lists do not grow. */
function memberHelp(cx: Cx, object: Val, name: string): string | null {
  if (object.kind === 'list')
    return name === 'append' ? 'a list is written with all of its items: `[for i in 0..n: f(i)]`' : null;
  if (object.kind !== 'tensor' && object.kind !== 'slot') return null;
  const fn = cx.scope.find(name)?.val.kind;
  const named = fn === 'fn' || fn === 'op' || fn === 'builtin';
  return tensorMemberHelp(name) ?? (named ? `write ${name}(x, ...): functions are not methods of tensors` : null);
}

/** A child, a tensor, a constant, a method or a hyper-parameter of an instance. */
export function memberOf(cx: Cx, inst: InstanceNode, name: string | number, span: Span): Val {
  if (inst.kind === 'seq' || inst.kind === 'list') {
    // A number counts the elements, named ones included.
    const child = typeof name === 'number' ? inst.children[name] : inst.children.find((c) => c.name === name);
    if (child) return { kind: 'instance', inst: child.node };
    if (typeof name === 'number') {
      return report(
        cx,
        'index_out_of_range',
        { index: name, what: labelOf(inst), size: count(inst.children.length, 'item') },
        span,
      );
    }
  }
  const member = inst.members.get(String(name));
  if (member) return settle(member.val);
  const hyper = inst.hyper.get(String(name));
  if (hyper) return settle(hyper.val);
  if (inst.pending) return report(cx, 'infer_pending', { name, what: labelOf(inst) }, span);
  const help = didYouMean(String(name), [
    ...inst.members.keys(),
    ...inst.hyper.keys(),
    ...inst.children.map((c) => c.name),
  ]);
  return report(cx, 'unknown_member', { name, what: labelOf(inst) }, span, { help });
}

// ---------------------------------------------------------------- lists and sequences

/** How far compile-time repetition may go before it is taken for a mistake. */
const MANY = 100_000;

/** The items that a compile-time iteration goes through, or null where they are not known now. */
export function itemsOf(cx: Cx, v: Val, span: Span): readonly Val[] | null {
  switch (v.kind) {
    case 'list':
    case 'tuple':
      return v.items;
    case 'instance':
      if (v.inst.kind === 'list' || v.inst.kind === 'seq')
        return v.inst.children.map((c) => ({ kind: 'instance', inst: c.node }));
      break;
    case 'range': {
      const [start, stop] = [v.start.value, v.stop.value];
      if (start === null || stop === null) return null;
      if (stop - start > MANY) {
        report(cx, 'too_many_steps', { count: stop - start }, span);
        return [];
      }
      return Array.from({ length: Math.max(0, stop - start) }, (_, i) => intVal(start + i));
    }
  }
  return null;
}

/** Binds the names of `for (i, x) in ...` to an item. */
export function bindItem(cx: Cx, pattern: Pattern, item: Val, scope: Scope): void {
  takeApart(cx, pattern, item, pattern.span, (name, val) => scope.bind(name.name, 'local', val, name.span));
}

/** Gives each name of a pattern its part of a value, poison after a report where there is none. */
export function takeApart(
  cx: Cx,
  pattern: Pattern,
  given: Val,
  span: Span,
  bind: (name: Ident, val: Val) => void,
): void {
  const v = settle(given);
  if (!('items' in pattern)) return bind(pattern, v);
  const items = v.kind === 'tuple' || v.kind === 'list' ? v.items : null;
  const fits = items?.length === pattern.items.length;
  if (!fits && !isPoison(v))
    report(cx, 'destructure_mismatch', { names: pattern.items.length, found: describe(v) }, span);
  pattern.items.forEach((p, i) => takeApart(cx, p, fits ? items[i]! : POISON, span, bind));
}

function evalComp(cx: Cx, e: ListComp): Val {
  const over = evalValue(cx, e.iter);
  if (isPoison(over)) return over;
  const items = itemsOf(cx, over, e.iter.span);
  if (!items) return report(cx, 'not_iterable', { found: describe(over) }, e.iter.span);
  return listVal(
    items.map((item) => {
      const scope = new Scope(cx.scope);
      bindItem(cx, e.pattern, item, scope);
      return evaluate({ ...cx, scope }, e.body);
    }),
  );
}

function evalSeq(cx: Cx, e: SeqExpr): Val {
  const items: { name: string | null; val: Val; expr: Expr; span: Span }[] = [];
  const walk = (inner: Cx, list: readonly SeqItem[]): void => {
    for (const item of list) {
      if (item.kind === 'item') {
        const val = evaluate(inner, item.value);
        items.push({ name: item.name?.name ?? null, val, expr: item.value, span: item.span });
      } else if (item.kind === 'seqIf') {
        const cond = evaluate(inner, item.cond);
        if (isPoison(cond)) continue;
        const known = truth(cond, item.cond, inner);
        if (known === null) report(inner, 'not_static', { what: 'a condition in a seq' }, item.cond.span);
        else walk(inner, known ? item.then : item.else);
      } else {
        const over = evalValue(inner, item.iter);
        const each = isPoison(over) ? [] : itemsOf(inner, over, item.iter.span);
        if (!each) report(inner, 'not_iterable', { found: describe(over) }, item.iter.span);
        for (const x of each ?? []) {
          const scope = new Scope(inner.scope);
          bindItem(inner, item.pattern, x, scope);
          walk({ ...inner, scope }, item.body);
        }
      }
    }
  };
  walk(cx, e.items);
  const seq: SeqVal = { kind: 'seq', items, span: e.span };
  return seq;
}
