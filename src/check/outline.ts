/**
 * Functions of methods: all instances of equal structure share one, lowered once per argument types and mode, with the
 * sizes of its arguments as symbols of its own.
 */
import * as D from '../ir/dim.ts';
import { value } from '../ir/builder.ts';
import type { DimCheck, Func, Value } from '../ir/ir.ts';
import type { FnDecl, Span, TypeExpr } from '../parser/ast.ts';
import type { Bound } from './arguments.ts';
import { evalBody } from './body.ts';
import { isLibrary, newFn, originOf, report, type Cx, type FnState, type World } from './context.ts';
import { tensorTypeOf, unboundIn } from './dims.ts';
import { subtreeTensors, type InstanceNode } from './instance.ts';
import { structureKey, valueKey } from './key.ts';
import { typeNamed } from './project.ts';
import { Scope } from './scope.ts';
import { reshape } from './tensor.ts';
import { coerce } from './unify.ts';
import { intVal, isPoison, settle, tensorsIn, tupleVal, type Val } from './values.ts';

/** A method function with what a caller must know. Positions count in the instance's tensors (`subtreeTensors`). */
export interface LoweredMethod {
  readonly func: string;
  readonly tensors: readonly number[];
  readonly updates: readonly number[];
  readonly random: boolean;
  readonly readsMode: boolean;
  /** The result with the function's own result values as leaves; null after a fault, which has been reported. */
  readonly result: Val | null;
  readonly checks: readonly DimCheck[];
}

export const scopeOf = (inst: InstanceNode): Scope => inst.methodScope ?? inst.declScope!;

/** Functions of tensors only, and of compile-time values: closures and sizes that no tensor carries are lowered in place. */
export function canOutline(bound: ReadonlyMap<string, Bound>, decl: FnDecl, scope: Scope): boolean {
  if (decl.params.some((p) => p.type === null)) return false;
  for (const b of bound.values()) if (!outlinable(b.val)) return false;
  const carried = new Set<string>();
  for (const b of bound.values())
    for (const t of tensorsIn(b.val)) for (const d of t.value.type.shape) carried.add(d.key);
  for (const b of scope.names.values()) {
    if (b.kind !== 'dim') continue;
    const sizes = b.val.kind === 'tuple' ? b.val.items : [b.val];
    if (sizes.some((x) => x.kind === 'int' && x.dim.value === null && !carried.has(x.dim.key))) return false;
  }
  return true;
}

function outlinable(v: Val): boolean {
  switch (v.kind) {
    case 'int':
      return v.dim.value !== null;
    case 'tuple':
    case 'list':
      return v.items.every(outlinable);
    case 'record':
      return [...v.fields.values()].every(outlinable);
    case 'fn':
    case 'method':
    case 'instance':
    case 'blockExpr':
    case 'slot':
      return false;
    default:
      return true;
  }
}

/** The names of the signature with sizes of the callee's own: numbers stay, everything else becomes a symbol. */
function ownSizes(
  scope: Scope,
  parent: Scope,
): { readonly scope: Scope; readonly actual: Map<string, D.Dim>; readonly key: string } {
  const own = new Scope(parent, new Map(), true);
  const actual = new Map<string, D.Dim>();
  const key: string[] = [];
  const one = (v: Val, name: string): Val => {
    if (v.kind !== 'int') return v;
    key.push(`${name}=${v.dim.value ?? '?'}`);
    if (v.dim.value !== null) return v;
    actual.set(name, v.dim);
    return intVal(D.sym(name), v.from);
  };
  for (const [name, b] of scope.names) {
    if (b.kind !== 'dim') continue;
    if (b.val.kind === 'elem') key.push(`${name}=${b.val.elem}`);
    const val = b.val.kind === 'tuple' ? tupleVal(b.val.items.map((x, i) => one(x, `${name}_${i}`))) : one(b.val, name);
    if (b.val.kind === 'tuple') key.push(`${name}:${b.val.items.length}`);
    own.bind(name, 'dim', val, b.span);
  }
  return { scope: own, actual, key: key.sort().join() };
}

/** Structure of an argument for the key: sizes are in the signature's names. */
function shapeKey(world: World, v: Val): string {
  switch (v.kind) {
    case 'tensor':
      return `${v.value.type.elem}/${v.value.type.shape.length}`;
    case 'tuple':
    case 'list':
      return `(${v.items.map((x) => shapeKey(world, x)).join()})`;
    case 'record':
      return `{${[...v.fields].map(([k, x]) => `${k}:${shapeKey(world, x)}`).join()}}`;
    default:
      return valueKey(world, v);
  }
}

export function lowerMethod(
  cx: Cx,
  inst: InstanceNode,
  decl: FnDecl,
  bound: ReadonlyMap<string, Bound>,
  scope: Scope,
  training: boolean,
  span: Span,
): LoweredMethod {
  const own = ownSizes(scope, scopeOf(inst));
  const args = [...bound].map(([k, b]) => `${k}:${shapeKey(cx.world, b.val)}`).join();
  const signature = (key: string): string => `${key}|${decl.span.start}.${decl.name.name}|${own.key}|${args}`;
  const structure = structureKey(cx.world, inst) ?? `open${inst.id}`;
  const known = cached(cx.world, signature(structure), training);
  if (known) return known;
  const guard = `${signature(structure)}|${training}`;
  if (cx.world.lowering.has(guard)) {
    report(cx, 'recursion', { name: decl.name.name }, span);
    return { func: '', tensors: [], updates: [], random: false, readsMode: false, result: null, checks: [] };
  }
  cx.world.lowering.add(guard);
  const site = isLibrary(decl.span) ? (cx.site ?? (isLibrary(inst.span) ? span : inst.span)) : null;
  const caller = span === decl.name.span ? null : span;
  const made = lowerFunction({ ...cx, site, caller }, inst, decl, bound, own.scope, training);
  cx.world.lowering.delete(guard);
  // A `_` below may have been solved by this very body: then an equal function may exist already.
  const settled = structureKey(cx.world, inst);
  const final = signature(settled ?? structure);
  const twin = cached(cx.world, final, training);
  if (twin) return twin;
  const named = { ...made.lowered, func: freeName(cx.world, `${inst.type}_${decl.name.name}`) };
  cx.world.funcs.set(named.func, { ...made.func, name: named.func });
  cx.world.methods.set(`${final}|${named.readsMode ? training : 'any'}`, named);
  return named;
}

function cached(world: World, key: string, training: boolean): LoweredMethod | null {
  return world.methods.get(`${key}|any`) ?? world.methods.get(`${key}|${training}`) ?? null;
}

export function freeName(world: World, base: string): string {
  let name = base;
  for (let n = 2; world.funcs.has(name); n++) name = `${base}_${n}`;
  return name;
}

/** The function itself: parameters are the tensors it reads, the leaves of its arguments, and the key where it draws. */
function lowerFunction(
  cx: Cx,
  inst: InstanceNode,
  decl: FnDecl,
  bound: ReadonlyMap<string, Bound>,
  scope: Scope,
  training: boolean,
): { readonly lowered: LoweredMethod; readonly func: Func } {
  const fn = newFn(inst, training);
  const inner: Cx = {
    ...cx,
    scope,
    fn,
    self: inst,
    path: inst.path ?? cx.path,
    trail: '',
    result: null,
    inDim: false,
    depth: cx.depth + 1,
  };
  const params: Value[] = [];
  for (const p of decl.params) {
    const b = bound.get(p.name.name)!;
    // A size that the outside chooses comes as something that has it.
    if (b.val.kind === 'int' && b.val.dim.value === null)
      params.push(value({ elem: 'u32', shape: [b.val.dim, D.dim(0)] }, p.name.name));
    const val = abstract(inner, p.type!, b.val, p.name.name, params);
    scope.bind(p.name.name, 'arg', val, p.name.span, b.optional);
  }
  const result = runBody(inner, decl, scope);
  return seal(fn, inst, params, result, originOf(inner, decl.name.span));
}

/** Body and declared result, in `cx.scope`. */
export function runBody(cx: Cx, decl: FnDecl, scope: Scope): Val {
  const declared = decl.result;
  if (!declared) return settle(evalBody(cx, decl.body, null));
  const open = unboundIn(declared, scope);
  if (open) return report(cx, 'unbound_dim', { name: open.name, method: decl.name.name }, open.span);
  const wanted = declared.kind === 'tensorType' ? tensorTypeOf(cx, declared, scope) : null;
  const v = evalBody({ ...cx, result: wanted }, decl.body, wanted);
  if (isPoison(v)) return v;
  const span = decl.body.result?.span ?? decl.body.span;
  const made = coerce(cx, declared, v, { scope, what: `the result of \`${decl.name.name}\``, span, fills: true });
  if (made.kind !== 'tensor' || !wanted) return made;
  // The declared sizes, which the body's may equal only by a check, are what callers see.
  const typed = reshape(cx, made, wanted.shape, span);
  return typed.kind === 'tensor' ? { ...typed, from: typed.from.map((x, i) => wanted.from[i] ?? x) } : typed;
}

/** Fresh parameters for the tensors of an argument, typed by the signature in the function's own symbols. */
function abstract(cx: Cx, written: TypeExpr, v: Val, hint: string, params: Value[]): Val {
  const type = plainType(cx, written);
  switch (v.kind) {
    case 'tensor': {
      const known = type.kind === 'tensorType' ? tensorTypeOf(cx, type, cx.scope) : null;
      const made = value({ elem: v.value.type.elem, shape: known?.shape ?? v.value.type.shape }, hint);
      params.push(made);
      return { kind: 'tensor', value: made, from: known?.from ?? v.from };
    }
    case 'tuple':
    case 'list': {
      const itemType = (i: number): TypeExpr =>
        type.kind === 'tupleType' ? (type.items[i] ?? type) : type.kind === 'listType' ? type.item : type;
      return { kind: v.kind, items: v.items.map((x, i) => abstract(cx, itemType(i), x, `${hint}_${i}`, params)) };
    }
    case 'record': {
      const fields = type.kind === 'recordType' ? type.fields : [];
      const fieldType = (k: string): TypeExpr => fields.find((f) => f.name.name === k)?.type ?? type;
      const made = [...v.fields].map(([k, x]) => [k, abstract(cx, fieldType(k), x, `${hint}_${k}`, params)] as const);
      return { ...v, fields: new Map(made) };
    }
    default:
      return v;
  }
}

/** Without the optional, and what a declared name stands for. Declared types do not mention themselves: they were coerced to. */
function plainType(cx: Cx, t: TypeExpr): TypeExpr {
  if (t.kind === 'optionalType') return plainType(cx, t.item);
  const named = t.kind === 'namedType' ? typeNamed(cx.world.project, t.name.name, t.span.file) : null;
  return named ? plainType(cx, named.type) : t;
}

/** Closes a function: which tensors it took, what it gives back. */
function seal(
  fn: FnState,
  inst: InstanceNode,
  args: readonly Value[],
  result: Val,
  origin: Func['origin'],
): { readonly lowered: LoweredMethod; readonly func: Func } {
  const order = new Map(subtreeTensors(inst).map((t, i) => [t, i]));
  const used = [...fn.tensors]
    .map(([t, u]) => ({ index: order.get(t) ?? -1, node: t, ...u }))
    .filter((u) => u.index >= 0);
  used.sort((a, b) => a.index - b.index);
  const updates = used.filter((u) => fn.updated.has(u.node));
  const leaves = tensorsIn(result);
  const params = [...used.map((u) => u.param), ...args, ...(fn.keyParam ? [fn.keyParam] : [])];
  const results = [...leaves.map((t) => t.value), ...updates.map((u) => u.current)];
  return {
    func: { name: '', body: { params, ops: fn.b.ops, results }, checks: fn.checks, origin },
    lowered: {
      func: '',
      tensors: used.map((u) => u.index),
      updates: updates.map((u) => u.index),
      random: fn.keyParam !== null,
      readsMode: fn.readsMode,
      result: isPoison(result) || args.some((a) => a === null) ? null : result,
      checks: fn.checks,
    },
  };
}

/** A method as an entry of the exported block: its sizes are the symbols that the run binds. */
export function lowerEntry(
  cx: Cx,
  root: InstanceNode,
  decl: FnDecl,
  bound: ReadonlyMap<string, Bound>,
  scope: Scope,
  training: boolean,
): LoweredMethod {
  return lowerMethod(cx, root, decl, bound, scope, training, decl.name.span);
}
