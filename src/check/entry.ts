/** Methods of the exported block as the outside calls them: fresh tensors as arguments, sizes as symbols, both modes. */
import { value } from '../ir/builder.ts';
import { dim, sym, symbolsOf, type Dim } from '../ir/dim.ts';
import type { Expr, FnDecl, Param, Span, TypeExpr } from '../parser/ast.ts';
import type { Bound } from './arguments.ts';
import { at, report, type Cx } from './context.ts';
import { typeExprText } from './describe.ts';
import { isElem, isUpper, tensorTypeOf } from './dims.ts';
import type { MethodFunc, MethodInfo, ValueSpec } from './elaborated.ts';
import { evaluate } from './evaluate.ts';
import { subtreeTensors, type InstanceNode } from './instance.ts';
import type { Named } from './names.ts';
import { lowerEntry, scopeOf, type LoweredMethod } from './outline.ts';
import { reportPinned } from './pinned.ts';
import { typeNamed } from './project.ts';
import { Scope } from './scope.ts';
import { coerce } from './unify.ts';
import { intVal, isPoison, listVal, NONE, POISON, tensorVal, tupleVal, type Val } from './values.ts';

export interface EntryMethod {
  readonly decl: FnDecl;
  readonly given: readonly string[];
  readonly signature: readonly string[];
  readonly args: MethodInfo['args'];
  readonly eval: LoweredMethod;
  readonly training: LoweredMethod;
}

/** Programs for every set of optional arguments that may be given: more of them are too many programs. */
const MOST_OPTIONAL = 4;

/** Every form of a method that the outside can call, that without optional arguments first. */
export function lowerEntryMethod(cx: Cx, root: InstanceNode, decl: FnDecl): EntryMethod[] {
  const optional = decl.params.filter((p) => p.type?.kind === 'optionalType' && hasTensor(cx, p.type));
  if (optional.length > MOST_OPTIONAL) {
    const extra = optional[MOST_OPTIONAL]!;
    report(cx, 'many_optionals', { name: decl.name.name, most: MOST_OPTIONAL }, extra.span);
    return [];
  }
  const forms: EntryMethod[] = [];
  for (let set = 0; set < 2 ** optional.length; set++) {
    const form = lowerForm(cx, root, decl, new Set(optional.filter((_, i) => (set >> i) & 1)));
    // What one form lacks the others lack too, and it has been said.
    if (!form) return forms;
    forms.push(form);
  }
  return forms;
}

/** Both modes of a form, its sizes as symbols. Null where the outside cannot call it, or after a fault. */
function lowerForm(cx: Cx, root: InstanceNode, decl: FnDecl, given: ReadonlySet<Param>): EntryMethod | null {
  const scope = new Scope(scopeOf(root), new Map(), true);
  const isThere = (p: Param): boolean => p.type?.kind !== 'optionalType' || given.has(p);
  for (const p of decl.params) {
    if (isSize(p)) scope.bind(p.name.name, 'dim', intVal(sym(p.name.name), p.span), p.span);
    else if (p.type && isThere(p)) bindSymbols(cx, p.type, scope);
  }
  const bound = new Map<string, Bound>();
  // Arguments without tensors first: a dim may be made of them.
  const ordered = [...decl.params].sort((a, b) => Number(hasTensor(cx, a.type)) - Number(hasTensor(cx, b.type)));
  for (const p of ordered) {
    const val = isThere(p) ? entryArg(cx, p, scope, decl) : NONE;
    if (!val || isPoison(val)) return null;
    bound.set(p.name.name, { val, span: p.span, optional: p.type?.kind === 'optionalType' });
    if (!isSize(p)) scope.bind(p.name.name, 'arg', val, p.span);
  }
  const inOrder = new Map(decl.params.map((p) => [p.name.name, bound.get(p.name.name)!]));
  const args = decl.params.flatMap((p) => {
    const { val } = inOrder.get(p.name.name)!;
    const spec = val.kind === 'int' && isSize(p) ? sizeSpec(val.dim) : specOf(val, p.type);
    return spec ? [{ name: p.name.name, spec }] : [];
  });
  if (!checkBound(cx, decl, scope, inOrder)) return null;
  const [plain, training] = [false, true].map((mode) => lowerEntry(cx, root, decl, inOrder, scope, mode));
  if (plain) reportPinned(cx, plain.checks, scope);
  if (!plain?.result || !training?.result) return null;
  const names = decl.params.filter((p) => isSize(p) || hasTensor(cx, p.type)).map((p) => p.name.name);
  return { decl, given: [...given].map((p) => p.name.name), signature: names, args, eval: plain, training };
}

/** `N: int`: a size that the caller chooses. */
const isSize = (p: Param): boolean =>
  isUpper(p.name.name) && p.type?.kind === 'namedType' && p.type.name.name === 'int';

const sizeSpec = (d: Dim): ValueSpec => ({ kind: 'tensor', type: { elem: 'u32', shape: [d, dim(0)] }, size: true });

/** Whether values of a type hold tensors, which the outside can give. */
export function hasTensor(cx: Cx, t: TypeExpr | null): boolean {
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
  if (!p.type) return POISON; // the parser has asked for it
  if (isSize(p)) return intVal(sym(p.name.name), p.span);
  if (!hasTensor(cx, p.type) && !p.default) return p.type.kind === 'optionalType' ? NONE : null;
  if (!hasTensor(cx, p.type)) {
    const v = evaluate({ ...cx, scope }, p.default!);
    return isPoison(v)
      ? v
      : coerce(cx, p.type, v, { scope, what: `\`${p.name.name}\``, span: p.default!.span, fills: false });
  }
  const type = p.type.kind === 'optionalType' ? p.type.item : p.type;
  return freshValue(cx, type, p.name.name, scope, decl.name.name);
}

function freshValue(cx: Cx, t: TypeExpr, hint: string, scope: Scope, method: string): Val {
  switch (t.kind) {
    case 'tensorType': {
      const open = t.dims.flatMap((d) => (d.kind === 'dim' ? namesIn(d.value) : [])).find((n) => !scope.find(n.name));
      if (open) return report(cx, 'unbound_dim', { name: open.name, method }, open.span);
      const type = tensorTypeOf(cx, t, scope);
      if (!type) return POISON;
      const { elem } = type;
      if (elem === null || !isElem(elem)) return report(cx, 'unknown_type', { name: t.elem.name }, t.elem.span);
      return { ...tensorVal(value({ elem, shape: type.shape }, hint), null), from: type.from };
    }
    case 'tupleType':
      return tupleVal(t.items.map((x, i) => freshValue(cx, x, `${hint}_${i}`, scope, method)));
    case 'recordType':
      return record(cx, null, t.fields, hint, scope, method);
    case 'optionalType':
      return NONE;
    case 'namedType': {
      const named = typeNamed(cx.world.project, t.name.name, t.span.file)?.type;
      if (named?.kind === 'recordType') return record(cx, t.name.name, named.fields, hint, scope, method);
      return named
        ? freshValue(cx, named, hint, scope, method)
        : report(cx, 'unknown_type', { name: t.name.name }, t.span);
    }
    case 'listType': {
      const n = t.length ? evaluate({ ...cx, scope }, t.length) : null;
      if (n?.kind === 'int' && n.dim.value !== null && n.dim.value >= 0 && n.dim.value < 1000) {
        return listVal(
          Array.from({ length: n.dim.value }, (_, i) => freshValue(cx, t.item, `${hint}_${i}`, scope, method)),
        );
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
  method: string,
): Val {
  return {
    kind: 'record',
    name,
    fields: new Map(fields.map((f) => [f.name.name, freshValue(cx, f.type, `${hint}_${f.name.name}`, scope, method)])),
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
    } else if (v.kind === 'int') symbolsOf(v.dim).forEach((x) => known.add(x));
    else if (v.kind === 'tuple' || v.kind === 'list') v.items.forEach(visit);
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

export function methodInfo(m: EntryMethod, root: InstanceNode, named: Named): MethodInfo {
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
    given: m.given,
    signature: m.signature,
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
