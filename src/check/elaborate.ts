/** One exported block with its hyper-parameters as everything after the checker wants it. */
import { didYouMean, type DiagnosticBag } from '../diagnostics/index.ts';
import { value } from '../ir/builder.ts';
import { sym, symbolsOf } from '../ir/dim.ts';
import type { BlockDecl, Expr, FnDecl, Param, Span, TypeExpr } from '../parser/ast.ts';
import { at, report, type Cx, type World } from './context.ts';
import { typeExprText } from './describe.ts';
import type { Elaborated, MethodFunc, MethodInfo, StaticValue, ValueSpec } from './elaborated.ts';
import { evaluate } from './evaluate.ts';
import { chooseRules, initFunction } from './init.ts';
import { instantiate, reportNeverCalled } from './instantiate.ts';
import { descendants, subtreeTensors, type InstanceNode } from './instance.ts';
import { lowerEntry, scopeOf, type LoweredMethod } from './method.ts';
import { nameTensors, staticHyper, type Named } from './names.ts';
import { typeNamed, type ModuleFile, type Project } from './project.ts';
import { Scope } from './scope.ts';
import { settleTies } from './ties.ts';
import { frozenTensors, planTraining } from './train.ts';
import { coerce, isUpper, tensorTypeOf } from './unify.ts';
import {
  boolVal,
  floatVal,
  intVal,
  isPoison,
  listVal,
  NONE,
  stringVal,
  tensorVal,
  tupleVal,
  type HyperArg,
  type Val,
} from './values.ts';
import type { Bound } from './arguments.ts';

/** Elaborates a block of a file; null where there were errors, which are in the bag. */
export function elaborateBlock(
  project: Project,
  file: ModuleFile,
  decl: BlockDecl,
  hyper: Readonly<Record<string, StaticValue>>,
  bag: DiagnosticBag,
): Elaborated | null {
  const errors = bag.errorCount;
  const world: World = {
    project,
    bag,
    funcs: new Map(),
    methods: new Map(),
    lowering: new Set(),
    pendingTies: [],
    ids: new WeakMap(),
    nextId: 0,
    nextInstance: 0,
  };
  const cx: Cx = {
    world,
    scope: file.scope,
    fn: null,
    self: null,
    path: '',
    trail: '',
    site: null,
    result: null,
    inDim: false,
    depth: 0,
  };
  const args = hyperArgs(cx, file, decl, hyper);
  if (!args) return null;
  const root = instantiate(
    cx,
    { kind: 'blockExpr', decl, scope: file.scope, hyper: args, span: decl.name.span },
    { path: '', drawPath: '', letAt: null },
  );
  settleTies(cx);
  const lowered = [...root.methods.values()].flatMap((m) => {
    const made = lowerEntryMethod(cx, root, m);
    return made ? [made] : [];
  });
  reportNeverCalled(cx, descendants(root));
  if (bag.errorCount > errors) {
    // The rest would only repeat what is wrong already, except what no method shows.
    if ([...descendants(root)].some((n) => n.pending)) return null;
  }
  const named = nameTensors(root);
  const methods = lowered.map((m) => methodInfo(m, root, named));
  const rules = chooseRules(cx, root);
  const frozen = frozenTensors(cx, root);
  const initNames = new Map<string, string>();
  const tensors = named.order.map((t) => {
    const init = initFunction(cx, t, rules.get(t) ?? null, initNames);
    return {
      role: t.role,
      type: t.type,
      name: named.names.get(t)!,
      drawPath: t.owner.drawPath === '' ? t.member.name.name : `${t.owner.drawPath}.${t.member.name.name}`,
      stored: t.member.stored ? ('i64' as const) : null,
      trainable: t.role === 'param' && !frozen.has(t),
      init: init.func,
      initText: init.text,
      doc: t.member.doc,
      origin: { span: t.member.span, path: t.owner.path ?? '' },
    };
  });
  const train = planTraining(cx, root, named, methods, frozen);
  if (bag.errorCount > errors) return null;
  return {
    name: decl.name.name,
    doc: decl.doc,
    origin: { span: decl.name.span, path: '' },
    hyper: staticHyper(root.hyper),
    tree: named.tree,
    tensors,
    stateDict: named.stateDict,
    methods,
    train,
    module: { funcs: world.funcs },
  };
}

// ---------------------------------------------------------------- hyper-parameters from outside

function hyperArgs(
  cx: Cx,
  file: ModuleFile,
  decl: BlockDecl,
  given: Readonly<Record<string, StaticValue>>,
): Map<string, HyperArg> | null {
  const names = decl.params.map((p) => p.name.name);
  let ok = true;
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    const help =
      didYouMean(name, names) ?? (names.length > 0 ? `it has ${names.join(', ')}` : 'it has no hyper-parameters');
    report(cx, 'unknown_hyper', { block: decl.name.name, name }, decl.name.span, { help });
    ok = false;
  }
  const scope = new Scope(file.scope);
  const out = new Map<string, HyperArg>();
  for (const p of decl.params) {
    const set = Object.hasOwn(given, p.name.name) ? given[p.name.name] : undefined;
    let val: Val;
    if (set !== undefined) val = valueFrom(set);
    else if (p.default) val = evaluate({ ...cx, scope }, p.default);
    else if (p.type?.kind === 'optionalType') val = NONE;
    else {
      val = report(cx, 'hyper_without_default', { block: decl.name.name, name: p.name.name }, p.span);
    }
    const span = set === undefined ? (p.default?.span ?? p.span) : p.span;
    if (p.type && !isPoison(val))
      val = coerce(cx, p.type, val, { scope, what: `\`${p.name.name}\` of ${decl.name.name}`, span, fills: false });
    if (isPoison(val)) ok = false;
    out.set(p.name.name, { val, span });
    scope.bind(p.name.name, 'hyper', val, span);
  }
  return ok ? out : null;
}

/** Plain data as a compile-time value; the declared type turns ints into floats where floats are meant. */
function valueFrom(v: StaticValue): Val {
  if (v === null) return NONE;
  if (typeof v === 'number') return Number.isSafeInteger(v) ? intVal(v) : floatVal(v);
  if (typeof v === 'boolean') return boolVal(v);
  if (typeof v === 'string') return stringVal(v);
  return v.length > 0 && v.every((x) => typeof x === 'number') ? tupleVal(v.map(valueFrom)) : listVal(v.map(valueFrom));
}

// ---------------------------------------------------------------- methods as entries

interface EntryMethod {
  readonly decl: FnDecl;
  readonly args: MethodInfo['args'];
  readonly eval: LoweredMethod;
  readonly training: LoweredMethod;
}

/** Both modes of a method, its sizes as symbols. Null where the outside cannot call it, or after a fault. */
function lowerEntryMethod(cx: Cx, root: InstanceNode, decl: FnDecl): EntryMethod | null {
  const scope = new Scope(scopeOf(root), new Map(), true);
  for (const p of decl.params) if (p.type) bindSymbols(cx, p.type, scope);
  const bound = new Map<string, Bound>();
  const args: { name: string; spec: ValueSpec }[] = [];
  // Arguments without tensors first: a dim may be made of them.
  const ordered = [...decl.params].sort((a, b) => Number(hasTensor(cx, a.type)) - Number(hasTensor(cx, b.type)));
  for (const p of ordered) {
    const val = entryArg(cx, p, scope, decl);
    if (!val) return null;
    if (isPoison(val)) return null;
    bound.set(p.name.name, { val, span: p.span, optional: p.type?.kind === 'optionalType' });
    scope.bind(p.name.name, 'arg', val, p.span);
  }
  const inOrder = new Map(decl.params.map((p) => [p.name.name, bound.get(p.name.name)!]));
  for (const p of decl.params) {
    const spec = specOf(inOrder.get(p.name.name)!.val, p.type);
    if (spec) args.push({ name: p.name.name, spec });
  }
  if (!checkBound(cx, decl, scope, inOrder)) return null;
  const [plain, training] = [false, true].map((mode) => lowerEntry(cx, root, decl, inOrder, scope, mode));
  return plain?.result && training?.result ? { decl, args, eval: plain, training } : null;
}

function hasTensor(cx: Cx, t: TypeExpr | null): boolean {
  switch (t?.kind) {
    case 'tensorType':
      return true;
    case 'tupleType':
      return t.items.some((x) => hasTensor(cx, x));
    case 'recordType':
      return t.fields.some((f) => hasTensor(cx, f.type));
    case 'optionalType':
    case 'listType':
      return hasTensor(cx, t.item);
    case 'namedType': {
      const named = typeNamed(cx.world.project, t.name.name, t.span.file);
      return named ? hasTensor(cx, named.type) : false;
    }
    default:
      return false;
  }
}

/** Every upper-case name of the types becomes a size that the run binds; `...S` is one dim. */
function bindSymbols(cx: Cx, t: TypeExpr, scope: Scope): void {
  switch (t.kind) {
    case 'tensorType':
      if (isUpper(t.elem.name) && !scope.names.has(t.elem.name))
        scope.bind(t.elem.name, 'dim', { kind: 'elem', elem: 'f32' }, t.elem.span);
      for (const d of t.dims) {
        if (d.kind === 'spread') {
          if (isUpper(d.name.name) && !scope.names.has(d.name.name))
            scope.bind(d.name.name, 'dim', tupleVal([intVal(sym(d.name.name), d.span)]), d.span);
        } else if (d.value.kind === 'name' && isUpper(d.value.name) && !scope.names.has(d.value.name)) {
          scope.bind(d.value.name, 'dim', intVal(sym(d.value.name), d.span), d.span);
        }
      }
      return;
    case 'tupleType':
      for (const x of t.items) bindSymbols(cx, x, scope);
      return;
    case 'recordType':
      for (const f of t.fields) bindSymbols(cx, f.type, scope);
      return;
    case 'optionalType':
    case 'listType':
      return bindSymbols(cx, t.item, scope);
    case 'namedType': {
      const named = typeNamed(cx.world.project, t.name.name, t.span.file);
      if (named) bindSymbols(cx, named.type, scope);
      return;
    }
    default:
      return;
  }
}

/** A value for an argument of an entry: fresh tensors, or the default. Null where only other methods can give one. */
function entryArg(cx: Cx, p: Param, scope: Scope, decl: FnDecl): Val | null {
  if (!p.type) return report(cx, 'argument_without_type', { name: p.name.name, method: decl.name.name }, p.span);
  if (p.type.kind === 'optionalType' || (!hasTensor(cx, p.type) && !p.default))
    return p.type.kind === 'optionalType' ? NONE : null;
  if (!hasTensor(cx, p.type)) {
    const v = evaluate({ ...cx, scope }, p.default!);
    return isPoison(v)
      ? v
      : coerce(cx, p.type, v, { scope, what: `\`${p.name.name}\``, span: p.default!.span, fills: false });
  }
  return freshValue(cx, p.type, p.name.name, scope);
}

function freshValue(cx: Cx, t: TypeExpr, hint: string, scope: Scope): Val {
  switch (t.kind) {
    case 'tensorType': {
      const open = t.dims.flatMap((d) => (d.kind === 'dim' ? namesIn(d.value) : [])).find((n) => !scope.find(n.name));
      if (open) return report(cx, 'unbound_dim', { name: open.name, method: 'this method' }, open.span);
      const type = tensorTypeOf(cx, t, scope);
      if (!type) return { kind: 'poison' };
      const elem = type.elem === null ? null : type.elem;
      if (!elem) return report(cx, 'unknown_type', { name: t.elem.name }, t.elem.span);
      return { ...tensorVal(value({ elem: elem as 'f32', shape: type.shape }, hint), null), from: type.from };
    }
    case 'tupleType':
      return tupleVal(t.items.map((x, i) => freshValue(cx, x, `${hint}_${i}`, scope)));
    case 'recordType':
      return record(cx, null, t.fields, hint, scope);
    case 'optionalType':
      return NONE;
    case 'namedType': {
      const named = typeNamed(cx.world.project, t.name.name, t.span.file)?.type;
      if (named?.kind === 'recordType') return record(cx, t.name.name, named.fields, hint, scope);
      return named ? freshValue(cx, named, hint, scope) : report(cx, 'unknown_type', { name: t.name.name }, t.span);
    }
    case 'listType': {
      const n = t.length ? evaluate({ ...cx, scope }, t.length) : null;
      if (n?.kind === 'int' && n.dim.value !== null && n.dim.value >= 0 && n.dim.value < 1000) {
        return listVal(Array.from({ length: n.dim.value }, (_, i) => freshValue(cx, t.item, `${hint}_${i}`, scope)));
      }
      return report(cx, 'entry_type', { type: typeExprText(t) }, t.span);
    }
    default:
      return report(cx, 'entry_type', { type: typeExprText(t) }, t.span);
  }
}

function record(
  cx: Cx,
  name: string | null,
  fields: readonly { readonly name: { readonly name: string }; readonly type: TypeExpr }[],
  hint: string,
  scope: Scope,
): Val {
  return {
    kind: 'record',
    name,
    fields: new Map(fields.map((f) => [f.name.name, freshValue(cx, f.type, `${hint}_${f.name.name}`, scope)])),
  };
}

function namesIn(e: Expr): { readonly name: string; readonly span: Span }[] {
  switch (e.kind) {
    case 'name':
      return isUpper(e.name) ? [e] : [];
    case 'binary':
      return [...namesIn(e.left), ...namesIn(e.right)];
    case 'unary':
      return namesIn(e.operand);
    case 'call':
      return e.args.flatMap((a) => namesIn(a.value));
    default:
      return [];
  }
}

/** Every symbol must be the whole of some dim of some argument: else the run could not know it. */
function checkBound(cx: Cx, decl: FnDecl, scope: Scope, bound: ReadonlyMap<string, Bound>): boolean {
  const known = new Set<string>();
  const used = new Map<string, Span>();
  const visit = (v: Val): void => {
    if (v.kind === 'tensor') {
      for (const [i, d] of v.value.type.shape.entries()) {
        for (const s of symbolsOf(d)) {
          if (d.key === s) known.add(s);
          else if (!used.has(s)) used.set(s, v.from[i] ?? decl.name.span);
        }
      }
    } else if (v.kind === 'tuple' || v.kind === 'list') v.items.forEach(visit);
    else if (v.kind === 'record') for (const x of v.fields.values()) visit(x);
  };
  for (const b of bound.values()) visit(b.val);
  let ok = true;
  for (const [s, span] of used) {
    if (known.has(s)) continue;
    report(cx, 'unbound_dim', { name: s, method: decl.name.name }, scope.names.get(s)?.span ?? span, {
      related: at([span, 'it occurs only inside an expression']),
    });
    ok = false;
  }
  return ok;
}

// ---------------------------------------------------------------- results

function methodInfo(m: EntryMethod, root: InstanceNode, named: Named): MethodInfo {
  const tensors = subtreeTensors(root);
  const place = (i: number): number => named.index.get(tensors[i]!)!;
  const func = (l: LoweredMethod): MethodFunc => ({
    func: l.func,
    tensors: l.tensors.map(place),
    random: l.random,
    updates: l.updates.map(place),
  });
  return {
    name: m.decl.name.name,
    doc: m.decl.doc,
    args: m.args,
    result: specOf(m.eval.result!, m.decl.result) ?? { kind: 'tuple', items: [] },
    eval: func(m.eval),
    training: func(m.training),
    origin: { span: m.decl.name.span, path: '' },
  };
}

/** The tensors of a value with the names of its type; null for what carries none. */
function specOf(v: Val, t: TypeExpr | null): ValueSpec | null {
  switch (v.kind) {
    case 'tensor':
      return { kind: 'tensor', type: v.value.type };
    case 'tuple':
    case 'list':
      return { kind: 'tuple', items: v.items.flatMap((x) => specOf(x, null) ?? []) };
    case 'record':
      return {
        kind: 'record',
        name: v.name ?? (t?.kind === 'namedType' ? t.name.name : null),
        fields: [...v.fields].flatMap(([name, x]) => {
          const spec = specOf(x, null);
          return spec ? [{ name, spec }] : [];
        }),
      };
    default:
      return null;
  }
}
