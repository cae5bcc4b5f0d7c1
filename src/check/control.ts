/** Conditions and `if`: known ones choose a branch while compiling, those on data become an op with two regions. */
import type { IrBuilder } from '../ir/builder.ts';
import type { Region, TensorType, Value } from '../ir/ir.ts';
import type { Body, Expr, IfExpr, IfStmt, Span } from '../parser/ast.ts';
import { assignLocal, evalBody, execBody } from './body.ts';
import { originOf, report, type Cx, type FnState, type Wanted } from './context.ts';
import { describe } from './describe.ts';
import { evaluate, use } from './evaluate.ts';
import { inRegion, poisonAssigned, rewind, snapshot, within } from './region.ts';
import { Scope } from './scope.ts';
import { constantOf, emitOne, readTensor, requireEqual, reshape, toTensor } from './tensor.ts';
import { isPoison, mapTensors, POISON, settle, type TensorVal, type Val } from './values.ts';

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
export function condition(cx: Cx, v: Val, e: Expr): Val {
  const t = use(cx, v, e.span);
  if (t.kind === 'tensor' && isFlag(t.value.type)) return t;
  if (isPoison(t)) return t;
  const help =
    t.kind === 'tensor' && t.value.type.elem === 'bool'
      ? 'reduce it to one value, or choose per element with `select`'
      : null;
  return report(cx, 'bad_condition', { found: describe(t) }, e.span, help === null ? {} : { help });
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
  if (!fn && cond.kind !== 'tensor') return report(cx, 'bad_condition', { found: describe(cond) }, e.span);
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
        : [x, y].some((v) => v.kind === 'float' || v.kind === 'uniform')
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

const isTensorish = (v: Val): boolean => ['tensor', 'int', 'float', 'uniform', 'bool'].includes(v.kind);

/** The same content as another value: results of regions are told apart by identity. */
function copyOf(cx: Cx, v: TensorVal, span: Span): TensorVal {
  const made = emitOne(cx, 'reshape', [v], { shape: v.value.type.shape }, span);
  return made.kind === 'tensor' ? made : v;
}
