/**
 * `if`, `for` and `while`. Over compile-time values they choose and unroll; over data they become regions of the IR.
 * A region carries what it changes: the locals that existed before it, and the buffers that it updates.
 */
import * as D from '../ir/dim.ts';
import { IrBuilder, value } from '../ir/builder.ts';
import type { Op, Region, TensorType, Value } from '../ir/ir.ts';
import type { Body, Expr, ForStmt, IfExpr, IfStmt, Span, Stmt, WhileStmt } from '../parser/ast.ts';
import { assignLocal, evalBody, execBody } from './body.ts';
import { at, originOf, report, type Cx, type FnState, type Wanted } from './context.ts';
import { describe } from './describe.ts';
import { bindItem, evaluate, evalValue, itemsOf, use } from './evaluate.ts';
import type { TensorNode } from './instance.ts';
import { Scope, type Binding } from './scope.ts';
import { compareAtLeast, constantOf, emitOne, keyOf, readTensor, requireEqual, reshape, toTensor } from './tensor.ts';
import { isPoison, mapTensors, POISON, settle, tensorsIn, type TensorVal, type Val } from './values.ts';

// ---------------------------------------------------------------- conditions

/** What a condition is while compiling; null where only the run knows (or it is no condition at all). */
export function truth(given: Val, e: Expr, cx: Cx): boolean | null {
  const v = settle(given);
  switch (v.kind) {
    case 'bool':
      return v.value;
    case 'absent':
    case 'none':
      return false;
    case 'instance':
      return true;
    case 'slot':
      return isFlag(v.slot.tensor.type) ? null : true;
    case 'tensor':
      if (isFlag(v.value.type)) return null;
      return isOptional(e, cx) ? true : null;
    case 'record':
    case 'tuple':
    case 'list':
      return isOptional(e, cx) ? true : null;
    default:
      return null;
  }
}

const isFlag = (t: TensorType): boolean => t.elem === 'bool' && t.shape.length === 0;
const isOptional = (e: Expr, cx: Cx): boolean => e.kind === 'name' && cx.scope.find(e.name)?.optional === true;

/** A condition of run time: bool[], or poison after a report. */
function condition(cx: Cx, v: Val, e: Expr): Val {
  const t = use(cx, v, e.span);
  if (t.kind === 'tensor' && isFlag(t.value.type)) return t;
  if (isPoison(t)) return t;
  const help =
    t.kind === 'tensor' && t.value.type.elem === 'bool'
      ? 'reduce it to one value, or choose per element with `select`'
      : null;
  return report(cx, 'bad_condition', { found: describe(t) }, e.span, help === null ? {} : { help });
}

// ---------------------------------------------------------------- what a region changes

interface Snapshot {
  readonly locals: readonly (readonly [Scope, ReadonlyMap<string, Binding>])[];
  readonly tensors: ReadonlyMap<TensorNode, Value>;
  readonly updated: ReadonlySet<TensorNode>;
}

function snapshot(cx: Cx, fn: FnState): Snapshot {
  return {
    locals: [...cx.scope.body()].map((s) => [s, new Map(s.names)] as const),
    tensors: new Map([...fn.tensors].map(([t, u]) => [t, u.current])),
    updated: new Set(fn.updated),
  };
}

/** Puts everything back and gives what had changed. */
function rewind(fn: FnState, before: Snapshot): Changes {
  const locals = new Map<string, Val>();
  for (const [scope, names] of before.locals) {
    for (const [name, old] of names) {
      const now = scope.names.get(name);
      if (now && now !== old && !locals.has(name)) locals.set(name, now.val);
    }
    scope.names.clear();
    for (const [name, b] of names) scope.names.set(name, b);
  }
  const tensors = new Map<TensorNode, Value>();
  for (const [node, u] of fn.tensors) {
    const old = before.tensors.get(node) ?? u.param;
    if (u.current !== old) tensors.set(node, u.current);
    u.current = old;
  }
  fn.updated.clear();
  for (const t of before.updated) fn.updated.add(t);
  return { locals, tensors };
}

interface Changes {
  readonly locals: ReadonlyMap<string, Val>;
  readonly tensors: ReadonlyMap<TensorNode, Value>;
}

/** Runs `work` with a builder of its own. */
function inRegion<T>(fn: FnState, work: () => T): { readonly made: T; readonly b: IrBuilder } {
  const outer = fn.b;
  const b = new IrBuilder(outer.origin);
  fn.b = b;
  try {
    return { made: work(), b };
  } finally {
    fn.b = outer;
  }
}

function within<T>(fn: FnState, b: IrBuilder, work: () => T): T {
  const outer = fn.b;
  fn.b = b;
  try {
    return work();
  } finally {
    fn.b = outer;
  }
}

// ---------------------------------------------------------------- if

export function evalIf(cx: Cx, e: IfExpr, wanted: Wanted | null): Val {
  const cond = evaluate(cx, e.cond);
  if (isPoison(cond)) return cond;
  const known = truth(cond, e.cond, cx);
  if (known !== null) return evalBody({ ...cx, scope: new Scope(cx.scope) }, known ? e.then : e.else, wanted);
  return lowerIf(cx, cond, e.cond, e.then, e.else, wanted, true, e.span);
}

export function execIf(cx: Cx, s: IfStmt): void {
  const cond = evaluate(cx, s.cond);
  const known = isPoison(cond) ? null : truth(cond, s.cond, cx);
  if (isPoison(cond)) return poisonAssigned(cx, [s]);
  if (known !== null) {
    const branch = known ? s.then : s.else;
    if (branch) execBody(cx, branch);
    return;
  }
  lowerIf(cx, cond, s.cond, s.then, s.else, null, false, s.span);
}

function lowerIf(
  cx: Cx,
  cond: Val,
  e: Expr,
  yes: Body,
  no: Body | null,
  wanted: Wanted | null,
  asValue: boolean,
  span: Span,
): Val {
  const fn = cx.fn;
  if (!fn) return report(cx, 'not_static', { what: 'this condition' }, e.span);
  const flag = condition(cx, cond, e);
  if (flag.kind !== 'tensor') {
    poisonAssigned(cx, [...yes.stmts, ...(no?.stmts ?? [])]);
    return POISON;
  }
  const run = (body: Body | null) => {
    const before = snapshot(cx, fn);
    const { made, b } = inRegion(fn, () => {
      if (!body) return null;
      if (asValue) return evalBody({ ...cx, scope: new Scope(cx.scope) }, body, wanted);
      execBody(cx, body);
      return null;
    });
    return { val: made, b, changes: rewind(fn, before) };
  };
  const [a, b] = [run(yes), run(no)];
  const names = [...new Set([...a.changes.locals.keys(), ...b.changes.locals.keys()])];
  const nodes = [...new Set([...a.changes.tensors.keys(), ...b.changes.tensors.keys()])];
  const results: [Value[], Value[]] = [[], []];
  const merge = (x: Val, y: Val, what: string): Val => {
    if (isPoison(x) || isPoison(y)) return POISON;
    return joinVals(cx, fn, [a.b, b.b], x, y, what, span, results);
  };
  const value_ = asValue ? merge(a.val ?? POISON, b.val ?? POISON, 'the result') : null;
  const locals = names.map((n) => {
    const old = cx.scope.find(n)?.val ?? POISON;
    return [n, merge(a.changes.locals.get(n) ?? old, b.changes.locals.get(n) ?? old, `\`${n}\``)] as const;
  });
  for (const n of nodes) {
    results[0].push(a.changes.tensors.get(n) ?? readTensor(fn, n));
    results[1].push(b.changes.tensors.get(n) ?? readTensor(fn, n));
  }
  const regions = [a, b].map((r, i): Region => ({ params: [], ops: r.b.ops, results: results[i as 0 | 1] }));
  fn.b.origin = originOf(cx, span);
  const made = fn.b.emitTyped(
    'if',
    [flag.value],
    {},
    results[0].map((r) => r.type),
    regions,
  );
  const outer = new Map(results[0].map((r, i) => [r, made[i]!]));
  const lift = (v: Val): Val => mapTensors(v, (t) => ({ ...t, value: outer.get(t.value) ?? t.value }));
  for (const [n, v] of locals) assignLocal(cx, n, lift(v), span);
  nodes.forEach((n, i) => {
    fn.tensors.get(n)!.current = made[results[0].length - nodes.length + i]!;
    fn.updated.add(n);
  });
  return value_ ? lift(value_) : POISON;
}

/** One shape of value for both branches: numbers become tensors, tensors must agree. Leaves are added to `results`. */
function joinVals(
  cx: Cx,
  fn: FnState,
  builders: readonly [IrBuilder, IrBuilder],
  x: Val,
  y: Val,
  what: string,
  span: Span,
  results: [Value[], Value[]],
): Val {
  const differ = (): Val => report(cx, 'branch_types', { what, then: describe(x), else: describe(y) }, span);
  if ((x.kind === 'tuple' || x.kind === 'list') && (y.kind === 'tuple' || y.kind === 'list')) {
    if (x.items.length !== y.items.length) return differ();
    const items = x.items.map((v, i) => joinVals(cx, fn, builders, v, y.items[i]!, what, span, results));
    return items.some(isPoison) ? POISON : { kind: x.kind, items };
  }
  if (x.kind === 'record' && y.kind === 'record') {
    const fields = new Map<string, Val>();
    for (const [k, v] of x.fields) {
      const other = y.fields.get(k);
      if (!other) return differ();
      fields.set(k, joinVals(cx, fn, builders, v, other, `\`${k}\` of ${what}`, span, results));
    }
    return { ...x, fields };
  }
  if (!isTensorish(x) || !isTensorish(y)) return x.kind === y.kind && x.kind === 'none' ? x : differ();
  const elem =
    x.kind === 'tensor'
      ? x.value.type.elem
      : y.kind === 'tensor'
        ? y.value.type.elem
        : x.kind === 'float' || y.kind === 'float'
          ? 'f32'
          : null;
  const as = (v: Val, b: IrBuilder): Val =>
    within(fn, b, () =>
      elem && v.kind !== 'tensor' && v.kind !== 'bool' ? constantOf(cx, v, elem, span) : toTensor(cx, v, span),
    );
  const [p, q] = [as(x, builders[0]), as(y, builders[1])];
  if (p.kind !== 'tensor' || q.kind !== 'tensor') return POISON;
  const [s, t] = [p.value.type, q.value.type];
  if (s.elem !== t.elem || s.shape.length !== t.shape.length) return differ();
  const args = { what, then: describe(p), else: describe(q) };
  if (!s.shape.every((d, i) => requireEqual(cx, d, t.shape[i]!, 'branch_types', args, span))) return POISON;
  const second = within(fn, builders[1], () => reshape(cx, q, s.shape, span));
  if (second.kind !== 'tensor') return POISON;
  // A value may leave a region more than once; each leaving is a result of its own.
  const first = results[0].includes(p.value) ? within(fn, builders[0], () => copyOf(cx, p, span)) : p;
  results[0].push(first.value);
  results[1].push(second.value);
  return first;
}

const isTensorish = (v: Val): boolean => ['tensor', 'int', 'float', 'bool'].includes(v.kind);

/** The same content as another value: results of regions are told apart by identity. */
function copyOf(cx: Cx, v: TensorVal, span: Span): TensorVal {
  const made = emitOne(cx, 'reshape', [v], { shape: v.value.type.shape }, span);
  return made.kind === 'tensor' ? made : v;
}

// ---------------------------------------------------------------- loops

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
    bindItem(cx, s.vars, item, scope);
    execBody({ ...cx, scope }, s.body);
  }
}

function lowerFor(cx: Cx, s: ForStmt, start: D.Dim, stop: D.Dim): void {
  const [name] = s.vars;
  if (!name || s.vars.length !== 1) {
    report(cx, 'destructure_mismatch', { names: s.vars.length, found: 'an int' }, s.iter.span);
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
    if (now.kind === 'int' || now.kind === 'float') return constantOf(cx, now, elem, span);
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

// ---------------------------------------------------------------- names that a body assigns

export function assignedNames(stmts: readonly Stmt[], out: Set<string> = new Set()): Set<string> {
  for (const s of stmts) {
    if (s.kind === 'assign') for (const t of s.targets) out.add(t.name);
    else if (s.kind === 'if') {
      assignedNames(s.then.stmts, out);
      if (s.else) assignedNames(s.else.stmts, out);
    } else if (s.kind === 'for' || s.kind === 'while') assignedNames(s.body.stmts, out);
  }
  return out;
}

/** After a fault, what would have been assigned is unknown: nothing more is said about it. */
function poisonAssigned(cx: Cx, stmts: readonly Stmt[]): void {
  poisonNames(cx, assignedNames(stmts));
}

function poisonNames(cx: Cx, names: Iterable<string>): void {
  for (const n of names) if (cx.scope.local(n)) assignLocal(cx, n, POISON, NOWHERE);
}

const NOWHERE: Span = { file: '', start: 0, end: 0 };
