/**
 * Tensor types: element type and dims of a value against those of a declaration. Upper-case names (`B`, `...S`, `E`) are
 * bound where they occur first, with the place that gave them their size; where they occur again, sizes must be equal.
 */
import { compare } from '../ir/dim.ts';
import { listOf } from '../diagnostics/words.ts';
import type { Dim } from '../ir/dim.ts';
import type { ElemType } from '../ir/ir.ts';
import type { DimExpr, Expr, Span, TensorTypeExpr, TypeExpr } from '../parser/ast.ts';
import { at, report, staticCx, type Cx, type Wanted } from './context.ts';
import { describe, typeExprText } from './describe.ts';
import { evaluate } from './evaluate.ts';
import type { Binding, Scope } from './scope.ts';
import { constantOf, fill, requireEqual } from './tensor.ts';
import { mismatch, type Meeting } from './unify.ts';
import { intVal, POISON, settle, tupleVal, type IntVal, type TensorVal, type Val, isNumber } from './values.ts';

export const ELEMS: readonly string[] = ['f32', 'f16', 'bf16', 'i32', 'u32', 'bool'];
export const isElem = (s: string): s is ElemType => ELEMS.includes(s);
export const isUpper = (name: string): boolean => /^[A-Z]/.test(name);

/** Upper-case names are variables of the signature; others are hyper-parameters, constants and arguments. */
const lookup = (scope: Scope, name: string): Binding | null =>
  isUpper(name) ? scope.variable(name) : scope.find(name);

/**
 * `...normalized_shape`, where the name is that of a list known now, is as many dims. One spread may stay open beside it, and so
 * `...T` is spelled out beside another once an argument before has said what T is.
 */
function spelledOut(type: TensorTypeExpr, scope: Scope): TensorTypeExpr {
  const several = spreadsOf(type).length > 1;
  if (!several && !type.dims.some((d) => d.kind === 'spread' && !isUpper(d.name.name))) return type;
  const dims = type.dims.flatMap((d): readonly DimExpr[] => {
    const list = d.kind === 'spread' ? lookup(scope, d.name.name)?.val : undefined;
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

const spreadsOf = (type: TensorTypeExpr): readonly string[] =>
  type.dims.flatMap((d) => (d.kind === 'spread' ? [d.name.name] : []));

/** A tensor (or a number for a scalar) as a declared tensor type. */
export function coerceTensor(cx: Cx, written: TensorTypeExpr, v: Val, m: Meeting): Val {
  const type = spelledOut(written, m.scope);
  const open = spreadsOf(type);
  if (open.length > 1) {
    const names = open.map((n) => `...${n}`);
    return report(
      cx,
      'open_spreads',
      { what: m.what, type: typeExprText(written), names: listOf(names, 'and') },
      m.span,
    );
  }
  if (isNumber(v) || v.kind === 'bool') return scalarAs(cx, type, v, m);
  if (v.kind !== 'tensor') return mismatch(cx, typeExprText(type), v, m);
  if (!bindElem(cx, type, v, m)) return POISON;
  return bindShape(cx, type, v, m) ? v : POISON;
}

/** A number where a tensor is declared: a scalar of its element type, or a whole tensor where that is known and meant. */
function scalarAs(cx: Cx, type: TensorTypeExpr, v: Val, m: Meeting): Val {
  const spread = type.dims.length === 1 && type.dims[0]!.kind === 'spread' ? type.dims[0]!.name.name : null;
  const rankFree = spread !== null && !m.scope.variable(spread);
  if (type.dims.length > 0 && !m.fills && !rankFree) return mismatch(cx, typeExprText(type), v, m);
  if (!cx.fn) return report(cx, 'tensor_at_compile_time', { what: m.what }, m.span);
  const bound = elemOf(type, m.scope);
  const elem = bound ?? (v.kind === 'int' ? 'i32' : v.kind === 'bool' ? 'bool' : 'f32');
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
  const b = scope.variable(name)?.val;
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
  const bound = isElem(type.elem.name) ? null : m.scope.variable(type.elem.name);
  report(cx, 'elem_mismatch', { what: m.what, wanted, found: describe(v), type: typeExprText(type) }, m.span, {
    ...(m.what === CLASSES && found === 'f32' ? { help: PROBABILITIES } : {}),
    related: at([bound?.span, `\`${type.elem.name}\` is ${wanted} here`]),
  });
  return false;
}

/** What PyTorch's cross_entropy takes besides, and decides by the type of the target. */
const CLASSES = '`target` of `cross_entropy`';
const PROBABILITIES = 'it is the number of the class; a probability for each class goes to `cross_entropy_probs`';

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
  what: `${m.what} is declared ${typeExprText(type)} and cannot be ${describe(v)}: dim ${i}`,
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
  const old = lookup(m.scope, name);
  if (!old || (old.val.kind !== 'tuple' && old.val.kind !== 'list')) {
    m.scope.bind(name, 'dim', tupleVal(shape.map((d, i) => intVal(d, spans[i] ?? m.span))), m.span);
    return true;
  }
  const want = old.val.items;
  if (want.length !== shape.length) {
    const text = `[${want.map((x) => (x.kind === 'int' ? x.dim.key : '?')).join(', ')}]`;
    const args = { what: m.what, type: typeExprText(type), wanted: `...${name} = ${text}`, found: describe(v) };
    // [B, 1] and [B]: PyTorch broadcasts them to [B, B], with a warning.
    const odd =
      Math.abs(want.length - shape.length) === 1 &&
      [...want, ...shape].some((d) => ('value' in d ? d.value === 1 : d.kind === 'int' && d.dim.value === 1));
    const help = odd ? 'a dim of size 1 goes by `squeeze(x, -1)` and comes by `unsqueeze(x, -1)`' : null;
    report(cx, 'rank_mismatch', args, m.span, { help, related: at([old.span, `\`${name}\` is bound here`]) });
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
      return isUpper(e.name) && !scope.variable(e.name);
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
    const b = isUpper(pattern.name) ? m.scope.variable(pattern.name) : m.scope.find(pattern.name);
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
  const itself = label === `\`${want.dim.key}\``;
  const wanted = label === '' || label === 'the declared size' || itself ? want.dim.key : `${label} = ${want.dim}`;
  const related = at(
    [want.from, itself ? `${label} is bound here` : `${label === '' ? 'the size' : label} is ${want.dim} here`],
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
      const b = lookup(scope, d.name.name)?.val;
      if (b?.kind !== 'tuple' && b?.kind !== 'list') return null;
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
      if (lookup(scope, d.name.name)) return;
      const items = wanted.shape.slice(k, stop).map((x, j) => intVal(x, wanted.from[k + j] ?? span));
      scope.bind(d.name.name, 'dim', tupleVal(items), span);
      return;
    }
    const j = k < 0 || i < k ? i : stop + (i - k - 1);
    if (d.value.kind === 'name' && isUpper(d.value.name) && !scope.variable(d.value.name))
      bindDim(cx, d.value, intVal(wanted.shape[j]!, wanted.from[j] ?? span), meeting);
  });
  if (
    isUpper(type.elem.name) &&
    !isElem(type.elem.name) &&
    !scope.variable(type.elem.name) &&
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
      if (!lookup(scope, d.name.name)) return { name: `...${d.name.name}`, span: d.span };
    } else if (mentionsUnbound(d.value, scope)) {
      return { name: firstUnbound(d.value, scope) ?? '?', span: d.span };
    }
  }
  return null;
}

function firstUnbound(e: Expr, scope: Scope): string | null {
  switch (e.kind) {
    case 'name':
      return isUpper(e.name) && !scope.variable(e.name) ? e.name : null;
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
