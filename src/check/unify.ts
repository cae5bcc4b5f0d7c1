/**
 * Matches a value with a declared type: coerces (int to float, int to a pair, number to a scalar tensor), binds the
 * upper-case names of the type (`B`, `...S`, `E`) where they occur first and demands equality where they occur again.
 */
import { compare } from '../ir/dim.ts';
import type { Dim } from '../ir/dim.ts';
import type { ElemType } from '../ir/ir.ts';
import type { DimExpr, Expr, Span, TensorTypeExpr, TypeExpr } from '../parser/ast.ts';
import { listOf } from '../diagnostics/words.ts';
import { at, report, staticCx, type Cx, type Wanted } from './context.ts';
import { describe, typeExprText } from './describe.ts';
import { evaluate } from './evaluate.ts';
import { constantOf, fill, requireEqual, readSlot } from './tensor.ts';
import type { Scope } from './scope.ts';
import { typeNamed } from './project.ts';
import { intVal, isPoison, POISON, settle, tupleVal, type IntVal, type TensorVal, type Val } from './values.ts';

export const ELEMS: readonly string[] = ['f32', 'f16', 'bf16', 'i32', 'u32', 'bool'];
export const isElem = (s: string): s is ElemType => ELEMS.includes(s);
export const isUpper = (name: string): boolean => /^[A-Z]/.test(name);

/** Where a value meets a type: the names of the type live in `scope`, which collects what they are bound to. */
export interface Meeting {
  readonly scope: Scope;
  /** The value, in words and in the source. */
  readonly what: string;
  readonly span: Span;
  /** Numbers may fill a whole tensor: results and initial values, not arguments. */
  readonly fills: boolean;
}

/** The value as that type, or poison after a report. */
export function coerce(cx: Cx, type: TypeExpr, given: Val, m: Meeting): Val {
  let v = settle(given);
  if (isPoison(v)) return v;
  if (v.kind === 'slot' && cx.fn) v = readSlot(cx, v.slot, m.span);
  switch (type.kind) {
    case 'errorType':
      return v;
    case 'tensorType':
      return coerceTensor(cx, type, v, m);
    case 'optionalType':
      return v.kind === 'none' ? v : v.kind === 'absent' ? { kind: 'none' } : coerce(cx, type.item, v, m);
    case 'unionType': {
      if (v.kind === 'string' && type.options.some((o) => o.value === v.value)) return v;
      const options = listOf(type.options.map((o) => JSON.stringify(o.value)));
      return mismatch(cx, `one of ${options.replaceAll('`', '')}`, v, m);
    }
    case 'tupleType': {
      // A single number stands for all of a tuple of numbers: kernel_size: 3.
      if ((v.kind === 'int' || v.kind === 'float') && type.items.every(isNumberType)) {
        const one = v;
        return tupleVal(type.items.map((t) => coerce(cx, t, one, m)));
      }
      if (v.kind !== 'tuple' || v.items.length !== type.items.length) return mismatch(cx, typeExprText(type), v, m);
      const items = v.items;
      return tupleVal(type.items.map((t, i) => coerce(cx, t, items[i]!, { ...m, what: `item ${i} of ${m.what}` })));
    }
    case 'listType': {
      if (v.kind === 'instance' && v.inst.kind === 'list') return v;
      // A single number is a list of one: normalized_shape: 64, dim: 1.
      if ((v.kind === 'int' || v.kind === 'float') && isNumberType(type.item) && !type.length)
        return { kind: 'list', items: [coerce(cx, type.item, v, m)] };
      if (v.kind !== 'list' && v.kind !== 'tuple') return mismatch(cx, typeExprText(type), v, m);
      const items = v.items.map((x, i) => coerce(cx, type.item, x, { ...m, what: `item ${i} of ${m.what}` }));
      if (type.length)
        bindDim(cx, type.length, intVal(items.length, m.span), { ...m, what: `the length of ${m.what}` });
      return { kind: 'list', items };
    }
    case 'recordType':
      return coerceRecord(cx, null, type.fields, v, m);
    case 'fnType':
      if (['fn', 'op', 'builtin', 'block', 'method', 'instance', 'blockExpr', 'elem'].includes(v.kind)) return v;
      return mismatch(cx, `a function ${typeExprText(type)}`, v, m);
    case 'namedType':
      return coerceNamed(cx, type.name.name, v, type.span, m);
  }
}

const isNumberType = (t: TypeExpr): boolean =>
  t.kind === 'namedType' && (t.name.name === 'int' || t.name.name === 'float');

function coerceNamed(cx: Cx, name: string, v: Val, span: Span, m: Meeting): Val {
  switch (name) {
    case 'int':
      return v.kind === 'int' || v.kind === 'infer' ? v : mismatch(cx, 'an int', v, m);
    case 'float':
      if (v.kind === 'float') return v;
      if (v.kind === 'int' && v.dim.value !== null) return { kind: 'float', value: v.dim.value };
      // A number of run time (an optimizer's learning rate) serves wherever arithmetic takes it.
      if (v.kind === 'tensor' && v.value.type.shape.length === 0) return v;
      return mismatch(cx, 'a float', v, m);
    case 'bool':
      return v.kind === 'bool' ? v : mismatch(cx, 'a bool', v, m);
    case 'string':
      return v.kind === 'string' ? v : mismatch(cx, 'a string', v, m);
    case 'tensor':
      return v.kind === 'tensor' ? v : mismatch(cx, 'a tensor', v, m);
    case 'elem':
      return v.kind === 'elem' ? v : mismatch(cx, 'an element type', v, m);
    case 'block':
      if (['blockExpr', 'seq', 'instance', 'block', 'fn', 'op'].includes(v.kind)) return v;
      return mismatch(cx, 'a block', v, m);
  }
  const found = m.scope.find(name)?.val;
  if (found?.kind === 'block') {
    const decl = v.kind === 'instance' ? v.inst.decl : v.kind === 'blockExpr' ? v.decl : null;
    return decl === found.decl ? v : mismatch(cx, `a block ${name}`, v, m);
  }
  const alias = typeNamed(cx.world.project, name, span.file);
  if (!alias) return report(cx, 'unknown_type', { name }, span);
  if (alias.type.kind === 'recordType') return coerceRecord(cx, name, alias.type.fields, v, m);
  return coerce(cx, alias.type, v, m);
}

function coerceRecord(
  cx: Cx,
  name: string | null,
  fields: readonly { readonly name: { readonly name: string }; readonly type: TypeExpr }[],
  v: Val,
  m: Meeting,
): Val {
  const wanted = name ?? `a record of ${fields.map((f) => f.name.name).join(', ')}`;
  if (v.kind !== 'record') return mismatch(cx, wanted, v, m);
  const out = new Map<string, Val>();
  for (const f of fields) {
    const item = v.fields.get(f.name.name) ?? (f.type.kind === 'optionalType' ? ({ kind: 'none' } as const) : null);
    if (!item) return report(cx, 'missing_field', { what: m.what, field: f.name.name, type: wanted }, m.span);
    out.set(f.name.name, coerce(cx, f.type, item, { ...m, what: `\`${f.name.name}\` of ${m.what}` }));
  }
  for (const extra of v.fields.keys())
    if (!out.has(extra)) return report(cx, 'extra_field', { what: m.what, field: extra, type: wanted }, m.span);
  return { kind: 'record', name: name ?? v.name, fields: out };
}

export function mismatch(cx: Cx, wanted: string, found: Val, m: Meeting): Val {
  return report(cx, 'type_mismatch', { what: m.what, wanted, found: describe(found) }, m.span);
}

// ---------------------------------------------------------------- tensors

/** `...normalized_shape`, where the name is that of a list known now, is as many dims. One spread may stay open beside it. */
function spelledOut(type: TensorTypeExpr, scope: Scope): TensorTypeExpr {
  if (!type.dims.some((d) => d.kind === 'spread' && !isUpper(d.name.name))) return type;
  const dims = type.dims.flatMap((d): readonly DimExpr[] => {
    const list = d.kind === 'spread' && !isUpper(d.name.name) ? scope.find(d.name.name)?.val : undefined;
    if (d.kind !== 'spread' || (list?.kind !== 'list' && list?.kind !== 'tuple')) return [d];
    const object: Expr = { kind: 'name', name: d.name.name, span: d.span };
    return list.items.map((_, i) => ({
      kind: 'dim',
      span: d.span,
      value: { kind: 'member', object, member: { name: i, span: d.span }, span: d.span },
    }));
  });
  return { ...type, dims };
}

function coerceTensor(cx: Cx, written: TensorTypeExpr, v: Val, m: Meeting): Val {
  const type = spelledOut(written, m.scope);
  if (v.kind === 'int' || v.kind === 'float' || v.kind === 'bool') return scalarAs(cx, type, v, m);
  if (v.kind !== 'tensor') return mismatch(cx, typeExprText(type), v, m);
  if (!bindElem(cx, type, v, m)) return POISON;
  return bindShape(cx, type, v, m) ? v : POISON;
}

/** A number where a tensor is declared: a scalar of its element type, or a whole tensor where that is known and meant. */
function scalarAs(cx: Cx, type: TensorTypeExpr, v: Val, m: Meeting): Val {
  const spread = type.dims.length === 1 && type.dims[0]!.kind === 'spread' ? type.dims[0]!.name.name : null;
  const rankFree = spread !== null && !m.scope.find(spread);
  if (type.dims.length > 0 && !m.fills && !rankFree) return mismatch(cx, typeExprText(type), v, m);
  if (!cx.fn) return report(cx, 'tensor_at_compile_time', { what: m.what }, m.span);
  const bound = elemOf(type, m.scope);
  const elem = bound ?? (v.kind === 'float' ? 'f32' : v.kind === 'bool' ? 'bool' : 'i32');
  if (!bound) m.scope.bind(type.elem.name, 'dim', { kind: 'elem', elem }, m.span);
  if (rankFree && !m.fills) m.scope.bind(spread, 'dim', tupleVal([]), m.span);
  const made = constantOf(cx, v, elem, m.span);
  if (made.kind !== 'tensor' || type.dims.length === 0 || (rankFree && !m.fills)) return made;
  const wanted = tensorTypeOf(cx, type, m.scope);
  return wanted ? fill(cx, made, wanted.shape, m.span) : made;
}

/** The element type that is written, or that its variable is bound to. */
export function elemOf(type: TensorTypeExpr, scope: Scope): ElemType | null {
  const name = type.elem.name;
  if (isElem(name)) return name;
  const b = scope.find(name)?.val;
  return b?.kind === 'elem' ? b.elem : null;
}

function bindElem(cx: Cx, type: TensorTypeExpr, v: TensorVal, m: Meeting): boolean {
  const wanted = elemOf(type, m.scope);
  const found = v.value.type.elem;
  if (wanted === null) {
    if (!isUpper(type.elem.name)) {
      report(cx, 'unknown_type', { name: type.elem.name }, type.elem.span);
      return false;
    }
    m.scope.bind(type.elem.name, 'dim', { kind: 'elem', elem: found }, m.span);
    return true;
  }
  if (wanted === found) return true;
  const bound = isElem(type.elem.name) ? null : m.scope.find(type.elem.name);
  report(cx, 'elem_mismatch', { what: m.what, wanted, found: describe(v), type: typeExprText(type) }, m.span, {
    related: at([bound?.span, `\`${type.elem.name}\` is ${wanted} here`]),
  });
  return false;
}

function bindShape(cx: Cx, type: TensorTypeExpr, v: TensorVal, m: Meeting): boolean {
  const shape = v.value.type.shape;
  const k = type.dims.findIndex((d) => d.kind === 'spread');
  const fixed = type.dims.length - (k < 0 ? 0 : 1);
  if (k < 0 ? shape.length !== fixed : shape.length < fixed) {
    const wanted = `${k < 0 ? '' : 'at least '}${fixed} dim${fixed === 1 ? '' : 's'}`;
    const found = `${shape.length}: ${describe(v)}`;
    report(cx, 'rank_mismatch', { what: m.what, type: typeExprText(type), wanted, found }, m.span, {
      related: at([v.from.find((f) => f !== null), 'its shape comes from here']),
    });
    return false;
  }
  const tail = type.dims.length - k - 1;
  const stop = shape.length - tail;
  const late: [DimExpr & { kind: 'dim' }, number][] = [];
  let ok = true;
  const one = (d: DimExpr, i: number): void => {
    if (d.kind !== 'dim') return;
    if (mentionsUnbound(d.value, m.scope) && d.value.kind !== 'name') late.push([d, i]);
    else
      ok = bindDim(cx, d.value, { kind: 'int', dim: shape[i]!, from: v.from[i] ?? m.span }, axis(m, type, i, v)) && ok;
  };
  if (k < 0) type.dims.forEach(one);
  else {
    for (let i = 0; i < k; i++) one(type.dims[i]!, i);
    for (let i = 0; i < tail; i++) one(type.dims[k + 1 + i]!, stop + i);
    const spread = type.dims[k]!;
    if (spread.kind === 'spread') ok = bindSpread(cx, spread.name.name, k, stop, v, type, m) && ok;
  }
  for (const [d, i] of late) {
    if (mentionsUnbound(d.value, m.scope)) continue; // bound by a later argument, or reported as unbound
    ok = bindDim(cx, d.value, { kind: 'int', dim: shape[i]!, from: v.from[i] ?? m.span }, axis(m, type, i, v)) && ok;
  }
  return ok;
}

const axis = (m: Meeting, type: TensorTypeExpr, i: number, v: TensorVal): Meeting => ({
  ...m,
  what: `${m.what}: ${describe(v)} does not fit ${typeExprText(type)}: dim ${i}`,
});

function bindSpread(
  cx: Cx,
  name: string,
  from: number,
  to: number,
  v: TensorVal,
  type: TensorTypeExpr,
  m: Meeting,
): boolean {
  const shape = v.value.type.shape.slice(from, to);
  const spans = v.from.slice(from, to);
  const old = m.scope.find(name);
  if (!old || old.val.kind !== 'tuple') {
    m.scope.bind(name, 'dim', tupleVal(shape.map((d, i) => intVal(d, spans[i] ?? m.span))), m.span);
    return true;
  }
  const want = old.val.items;
  if (want.length !== shape.length) {
    const text = `[${want.map((x) => (x.kind === 'int' ? x.dim.key : '?')).join(', ')}]`;
    const args = { what: m.what, type: typeExprText(type), wanted: `...${name} = ${text}`, found: describe(v) };
    report(cx, 'rank_mismatch', args, m.span, { related: at([old.span, `\`${name}\` is bound here`]) });
    return false;
  }
  return want.every((w, i) =>
    w.kind !== 'int'
      ? true
      : equalSizes(cx, w, intVal(shape[i]!, spans[i] ?? m.span), `\`${name}.${i}\``, axis(m, type, from + i, v)),
  );
}

/** Upper-case names of a dim that nothing has bound yet. */
function mentionsUnbound(e: Expr, scope: Scope): boolean {
  switch (e.kind) {
    case 'name':
      return isUpper(e.name) && !scope.find(e.name);
    case 'binary':
      return mentionsUnbound(e.left, scope) || mentionsUnbound(e.right, scope);
    case 'unary':
      return mentionsUnbound(e.operand, scope);
    case 'call':
      return e.args.some((a) => mentionsUnbound(a.value, scope));
    case 'member':
      return mentionsUnbound(e.object, scope);
    default:
      return false;
  }
}

/** One dim of a signature against a size: binds a fresh name, solves a `_`, or demands equality. */
export function bindDim(cx: Cx, pattern: Expr, size: IntVal, m: Meeting): boolean {
  if (pattern.kind === 'name') {
    const b = m.scope.find(pattern.name);
    if (!b && isUpper(pattern.name)) {
      m.scope.bind(pattern.name, 'dim', size, size.from ?? m.span);
      return true;
    }
    if (b?.val.kind === 'infer') {
      const cell = b.val.cell;
      if (cell.solved === null) {
        if (size.dim.value === null) {
          const args = { name: cell.name, size: size.dim.key };
          report(cx, 'infer_symbolic', args, m.span, { related: at([cell.span, 'to be inferred']) });
          cell.solved = intVal(1, null);
          return false;
        }
        cell.solved = intVal(size.dim, m.span);
        return true;
      }
      if (compare(cell.solved.dim, size.dim) === 'different') {
        const args = { name: cell.name, first: cell.solved.dim.key, second: size.dim.key };
        report(cx, 'infer_disagrees', args, m.span, {
          related: at([cell.span, 'to be inferred'], [cell.solved.from, `inferred as ${cell.solved.dim} from here`]),
        });
        return false;
      }
    }
  }
  const want = settle(evaluate(staticCx(cx, m.scope, true), pattern));
  if (want.kind === 'poison') return false;
  if (want.kind !== 'int') {
    report(cx, 'type_mismatch', { what: 'a dim', wanted: 'an int', found: describe(want) }, pattern.span);
    return false;
  }
  const from = pattern.kind === 'name' ? (m.scope.find(pattern.name)?.span ?? want.from) : want.from;
  const label = pattern.kind === 'number' ? '' : patternText(pattern);
  return equalSizes(cx, { ...want, from }, size, label, m);
}

const patternText = (e: Expr): string => (e.kind === 'name' ? `\`${e.name}\`` : 'the declared size');

function equalSizes(cx: Cx, want: IntVal, found: IntVal, label: string, m: Meeting): boolean {
  const wanted = label === '' || label === 'the declared size' ? want.dim.key : `${label} = ${want.dim}`;
  const related = at(
    [want.from, `${label === '' ? 'the size' : label} is ${want.dim} here`],
    [found.from, `${found.dim} comes from here`],
  );
  return requireEqual(
    cx,
    want.dim,
    found.dim,
    'shape_mismatch',
    { what: m.what, wanted, found: found.dim.key },
    m.span,
    related,
  );
}

/** The concrete type where every name in it is bound, else null. Never reports. */
export function tensorTypeOf(cx: Cx, type: TensorTypeExpr, scope: Scope): Wanted | null {
  const { dims } = spelledOut(type, scope);
  const shape: Dim[] = [];
  const from: (Span | null)[] = [];
  for (const d of dims) {
    if (d.kind === 'spread') {
      const b = scope.find(d.name.name)?.val;
      if (b?.kind !== 'tuple') return null;
      for (const x of b.items) {
        if (x.kind !== 'int') return null;
        shape.push(x.dim);
        from.push(x.from);
      }
      continue;
    }
    if (mentionsUnbound(d.value, scope)) return null;
    const v = settle(evaluate(staticCx(cx, scope, true), d.value));
    if (v.kind !== 'int') return null;
    shape.push(v.dim);
    const named = d.value.kind === 'name' ? scope.find(d.value.name)?.span : null;
    from.push(v.from ?? named ?? d.span);
  }
  return { elem: elemOf(type, scope), shape, from };
}

/** Binds the names of a type that nothing has bound from the type that is wanted: `rand() -> f32[...S]`. */
export function bindWanted(cx: Cx, written: TensorTypeExpr, wanted: Wanted, scope: Scope, span: Span): void {
  const type = spelledOut(written, scope);
  const k = type.dims.findIndex((d) => d.kind === 'spread');
  const tail = k < 0 ? 0 : type.dims.length - k - 1;
  const stop = wanted.shape.length - tail;
  if (k < 0 ? wanted.shape.length !== type.dims.length : stop < k) return;
  const meeting: Meeting = { scope, what: 'the result', span, fills: false };
  type.dims.forEach((d, i) => {
    if (d.kind === 'spread') {
      if (scope.find(d.name.name)) return;
      const items = wanted.shape.slice(k, stop).map((x, j) => intVal(x, wanted.from[k + j] ?? span));
      scope.bind(d.name.name, 'dim', tupleVal(items), span);
      return;
    }
    const j = k < 0 || i < k ? i : stop + (i - k - 1);
    if (d.value.kind === 'name' && isUpper(d.value.name) && !scope.find(d.value.name))
      bindDim(cx, d.value, intVal(wanted.shape[j]!, wanted.from[j] ?? span), meeting);
  });
  if (
    isUpper(type.elem.name) &&
    !isElem(type.elem.name) &&
    !scope.find(type.elem.name) &&
    wanted.elem &&
    isElem(wanted.elem)
  )
    scope.bind(type.elem.name, 'dim', { kind: 'elem', elem: wanted.elem }, span);
}

/** The first upper-case name of a type that nothing binds. */
export function unboundIn(type: TypeExpr, scope: Scope): { readonly name: string; readonly span: Span } | null {
  if (type.kind !== 'tensorType') return null;
  for (const d of type.dims) {
    if (d.kind === 'spread') {
      if (!scope.find(d.name.name)) return { name: `...${d.name.name}`, span: d.span };
    } else if (mentionsUnbound(d.value, scope)) {
      return { name: firstUnbound(d.value, scope) ?? '?', span: d.span };
    }
  }
  return null;
}

function firstUnbound(e: Expr, scope: Scope): string | null {
  switch (e.kind) {
    case 'name':
      return isUpper(e.name) && !scope.find(e.name) ? e.name : null;
    case 'binary':
      return firstUnbound(e.left, scope) ?? firstUnbound(e.right, scope);
    case 'unary':
      return firstUnbound(e.operand, scope);
    case 'call':
      return e.args.map((a) => firstUnbound(a.value, scope)).find((x) => x !== null) ?? null;
    case 'member':
      return firstUnbound(e.object, scope);
    default:
      return null;
  }
}
