/**
 * `for` and `while`. Lists unroll; ranges and conditions on data become loops of the IR, which carry the locals that existed
 * before them, the buffers they update, and a random key of their own per round.
 */
import * as D from '../ir/dim.ts';
import { value, type IrBuilder } from '../ir/builder.ts';
import type { Op, Region, Value } from '../ir/ir.ts';
import type { Body, ForStmt, Span, WhileStmt } from '../parser/ast.ts';
import { assignLocal, execBody } from './body.ts';
import { at, originOf, report, type Cx } from './context.ts';
import { condition } from './control.ts';
import { describe } from './describe.ts';
import { bindItem, evaluate, evalValue, itemsOf } from './evaluate.ts';
import type { TensorNode } from './instance.ts';
import { assignedNames, inRegion, poisonAssigned, poisonNames, rewind, snapshot, within } from './region.ts';
import { Scope } from './scope.ts';
import { compareAtLeast, constantOf, emitOne, keyOf, readTensor, requireEqual, reshape, toTensor } from './tensor.ts';
import { isPoison, mapTensors, POISON, tensorsIn, type TensorVal, type Val, isNumber } from './values.ts';

export function execFor(cx: Cx, s: ForStmt): void {
  const over = evalValue(cx, s.iter);
  if (isPoison(over)) return poisonAssigned(cx, [s]);
  if (over.kind === 'range' && cx.fn) return lowerFor(cx, s, over.start, over.stop);
  const items = itemsOf(cx, over, s.iter.span);
  if (!items) {
    report(cx, 'not_iterable', { found: describe(over) }, s.iter.span);
    return poisonAssigned(cx, [s]);
  }
  for (const item of items) {
    const scope = new Scope(cx.scope);
    bindItem(cx, s.pattern, item, scope);
    execBody({ ...cx, scope }, s.body);
  }
}

function lowerFor(cx: Cx, s: ForStmt, start: D.Dim, stop: D.Dim): void {
  const name = s.pattern;
  if ('items' in name) {
    report(cx, 'destructure_mismatch', { names: name.items.length, found: 'an int' }, s.iter.span);
    return poisonAssigned(cx, [s]);
  }
  const length = D.sub(stop, start);
  const count = compareAtLeast(length, D.dim(0)) === 'yes' ? length : D.max(length, 0);
  lowerLoop(cx, s.body, s.span, {
    kind: 'for',
    attrs: { count },
    counter: true,
    run: (inner, index) => {
      const at0: TensorVal = { kind: 'tensor', value: index!, from: [] };
      const first = start.value === 0 ? at0 : offset(inner, at0, start, s.iter.span);
      inner.scope.bind(name.name, 'local', first, name.span);
      execBody(inner, s.body);
      return null;
    },
  });
}

function offset(cx: Cx, index: TensorVal, start: D.Dim, span: Span): Val {
  const first = toTensor(cx, { kind: 'int', dim: start, from: null }, span);
  return first.kind === 'tensor' ? emitOne(cx, 'add', [index, first], {}, span) : first;
}

export function execWhile(cx: Cx, s: WhileStmt): void {
  if (!cx.fn) {
    report(cx, 'not_static', { what: 'a `while` loop' }, s.span);
    return;
  }
  lowerLoop(cx, s.body, s.span, {
    kind: 'while',
    attrs: {},
    counter: false,
    run: (inner) => {
      execBody(inner, s.body);
      return null;
    },
    cond: (inner) => {
      const v = evaluate(inner, s.cond);
      if (v.kind === 'bool') return report(inner, 'constant_loop', { value: String(v.value) }, s.cond.span);
      return isPoison(v) ? v : condition(inner, v, s.cond);
    },
  });
}

interface Loop {
  readonly kind: 'for' | 'while';
  readonly attrs: Op['attrs'];
  /** The region gets the position as first parameter. */
  readonly counter: boolean;
  readonly run: (cx: Cx, index: Value | null) => null;
  readonly cond?: (cx: Cx) => Val;
}

interface Carry {
  readonly name: string;
  readonly init: Val;
}

/**
 * Builds the loop, again with more carries when its body turns out to update a buffer or to draw: what a body does to
 * buffers is known only after it has been lowered, through all the functions it calls.
 */
function lowerLoop(cx: Cx, body: Body, span: Span, loop: Loop): void {
  const fn = cx.fn!;
  const assigned = assignedNames(body.stmts);
  const carries: Carry[] = [];
  for (const name of assigned) {
    const old = cx.scope.local(name)?.binding;
    if (!old) continue;
    const init = carried(cx, old.val, name, span);
    if (isPoison(init)) return poisonNames(cx, assigned);
    carries.push({ name, init });
  }
  const nodes = new Set<TensorNode>();
  let draws = false;
  for (let attempt = 0; attempt < 50; attempt++) {
    const ordinals = new Map(fn.ordinals);
    const outcome = tryLoop(cx, span, loop, carries, [...nodes], draws);
    const fresh = [...outcome.updated].filter((n) => !nodes.has(n));
    if (fresh.length === 0 && (draws || !outcome.draws)) return outcome.commit();
    for (const n of fresh) nodes.add(n);
    draws ||= outcome.draws;
    fn.ordinals.clear();
    for (const [k, v] of ordinals) fn.ordinals.set(k, v);
  }
}

/** The value of a local as loops carry it: every leaf a tensor. */
function carried(cx: Cx, v: Val, name: string, span: Span): Val {
  switch (v.kind) {
    case 'int':
    case 'float':
    case 'uniform':
    case 'bool':
    case 'tensor':
    case 'slot':
      return toTensor(cx, v, span);
    case 'tuple':
    case 'list': {
      const items = v.items.map((x) => carried(cx, x, name, span));
      return items.some(isPoison) ? POISON : { kind: v.kind, items };
    }
    case 'record': {
      const fields = new Map([...v.fields].map(([k, x]) => [k, carried(cx, x, name, span)]));
      return [...fields.values()].some(isPoison) ? POISON : { ...v, fields };
    }
    case 'poison':
      return v;
    default:
      return report(cx, 'loop_carry', { name, found: describe(v) }, span);
  }
}

function tryLoop(
  cx: Cx,
  span: Span,
  loop: Loop,
  carries: readonly Carry[],
  nodes: readonly TensorNode[],
  draws: boolean,
) {
  const fn = cx.fn!;
  const before = snapshot(cx, fn);
  // A `while` that draws counts its rounds, so that each has a key of its own.
  const counting = draws && !loop.counter;
  const outerKey = draws ? keyOf(fn) : null;
  const inits: Value[] = [
    ...carries.flatMap((c) => tensorsIn(c.init).map((t) => t.value)),
    ...nodes.map((n) => readTensor(fn, n)),
  ];
  if (counting) inits.push(fn.b.constant(0, 'i32'));

  const region = (work: (inner: Cx, index: Value | null) => void): { params: Value[]; b: IrBuilder } => {
    const index = loop.counter ? value({ elem: 'i32', shape: [] }, 'i') : null;
    const params = inits.map((v) => value(v.type, v.hint));
    let next = 0;
    const inner: Cx = { ...cx, scope: new Scope(cx.scope) };
    for (const c of carries)
      assignLocal(
        cx,
        c.name,
        mapTensors(c.init, (t) => ({ ...t, value: params[next++]! })),
        span,
      );
    for (const n of nodes) fn.tensors.get(n)!.current = params[next++]!;
    const { b } = inRegion(fn, () => {
      if (outerKey) fn.key = fn.b.one('fold_in', [outerKey, (loop.counter ? index : params.at(-1))!], { data: 0 });
      work(inner, index);
    });
    return { params: index ? [index, ...params] : params, b };
  };

  let condValue: Val | null = null;
  let cond: Region | null = null;
  const keyBefore = fn.keyUsed;
  if (loop.cond) {
    const made = region((inner) => {
      condValue = loop.cond!(inner);
    });
    rewind(fn, before);
    const flag = condValue as Val | null;
    if (flag?.kind === 'tensor') cond = { params: made.params, ops: made.b.ops, results: [flag.value] };
  }
  fn.keyUsed = false;
  const made = region((inner, index) => loop.run(inner, index));
  const drew = fn.keyUsed;
  fn.keyUsed = keyBefore || drew;
  if (outerKey) fn.key = outerKey;
  const updated = new Set(
    [...fn.updated].filter((n) => !before.updated.has(n) || fn.tensors.get(n)!.current !== before.tensors.get(n)),
  );

  // What the body leaves in each carry, in the carry's own type.
  const results: Value[] = [];
  const broken = new Set<string>();
  within(fn, made.b, () => {
    for (const c of carries) {
      const now = cx.scope.local(c.name)?.binding.val ?? POISON;
      if (!keepType(cx, c, now, span, results)) broken.add(c.name);
    }
  });
  for (const n of nodes) results.push(fn.tensors.get(n)!.current);
  if (counting) {
    const round = made.params.at(-1)!;
    results.push(within(fn, made.b, () => fn.b.one('add', [round, fn.b.constant(1, 'i32')])));
  }
  rewind(fn, before);

  const commit = (): void => {
    if (broken.size > 0 || (loop.cond && !cond))
      return poisonNames(
        cx,
        carries.map((c) => c.name),
      );
    const body: Region = { params: made.params, ops: made.b.ops, results };
    fn.b.origin = originOf(cx, span);
    const out = fn.b.emitTyped(
      loop.kind,
      inits,
      loop.attrs,
      inits.map((v) => v.type),
      cond ? [cond, body] : [body],
    );
    let next = 0;
    for (const c of carries)
      assignLocal(
        cx,
        c.name,
        mapTensors(c.init, (t) => ({ ...t, value: out[next++]! })),
        span,
      );
    for (const n of nodes) {
      fn.tensors.get(n)!.current = out[next++]!;
      fn.updated.add(n);
    }
  };
  return { updated, draws: drew, commit };
}

/** Adds the leaves of `now` to `results`, each in the type that the carry started with. */
function keepType(cx: Cx, c: Carry, now: Val, span: Span, results: Value[]): boolean {
  const want = tensorsIn(c.init);
  const v = carriedLike(cx, c.init, now, span);
  const got = v ? tensorsIn(v) : [];
  if (isPoison(now)) return false;
  const args = { name: c.name, before: describe(c.init), after: describe(now) };
  const changes = (): boolean => {
    report(cx, 'loop_types', args, span, {
      related: at([cx.scope.local(c.name)?.binding.span, `\`${c.name}\` is assigned here`]),
    });
    return false;
  };
  if (!v || got.length !== want.length) return changes();
  for (const [i, t] of got.entries()) {
    const type = want[i]!.value.type;
    if (t.value.type.elem !== type.elem || t.value.type.shape.length !== type.shape.length) return changes();
    if (!type.shape.every((d, j) => requireEqual(cx, d, t.value.type.shape[j]!, 'loop_types', args, span)))
      return false;
    const kept = reshape(cx, t, type.shape, span);
    if (kept.kind !== 'tensor') return false;
    results.push(kept.value);
  }
  return true;
}

/** Numbers assigned in the body become tensors of the carry's element type. */
function carriedLike(cx: Cx, init: Val, now: Val, span: Span): Val | null {
  if (init.kind === 'tensor') {
    if (now.kind === 'tensor') return now;
    const elem = init.value.type.elem;
    if (isNumber(now)) return constantOf(cx, now, elem, span);
    return now.kind === 'bool' || now.kind === 'slot' ? toTensor(cx, now, span) : null;
  }
  if ((init.kind === 'tuple' || init.kind === 'list') && (now.kind === 'tuple' || now.kind === 'list')) {
    if (init.items.length !== now.items.length) return null;
    const items = init.items.map((x, i) => carriedLike(cx, x, now.items[i]!, span));
    return items.some((x) => x === null) ? null : { kind: 'list', items: items.map((x) => x!) };
  }
  if (init.kind === 'record' && now.kind === 'record') {
    const fields = new Map<string, Val>();
    for (const [k, x] of init.fields) {
      const y = now.fields.get(k);
      const made = y ? carriedLike(cx, x, y, span) : null;
      if (!made) return null;
      fields.set(k, made);
    }
    return { ...now, fields };
  }
  return init.kind === now.kind ? now : null;
}
