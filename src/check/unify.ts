/**
 * Matches a value with a declared type and coerces it: int to float, int to a pair, number to a scalar tensor. What a
 * tensor type says of element type and dims is in `dims.ts`.
 */
import { listOf } from '../diagnostics/words.ts';
import type { Span, TypeExpr } from '../parser/ast.ts';
import { report, type Cx } from './context.ts';
import { describe, typeExprText } from './describe.ts';
import { bindDim, coerceTensor } from './dims.ts';
import { typeNamed } from './project.ts';
import type { Scope } from './scope.ts';
import { readSlot } from './tensor.ts';
import { hasPoison, intVal, isNumber, isPoison, POISON, settle, tupleVal, type Val } from './values.ts';

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
      if (type.item && v.kind !== 'string') return coerce(cx, type.item, v, m);
      const options = listOf(type.options.map((o) => JSON.stringify(o.value)));
      return mismatch(cx, `one of ${options.replaceAll('`', '')}`, v, m);
    }
    case 'tupleType': {
      // A single number stands for all of a tuple of numbers: kernel_size: 3.
      if (isNumber(v) && type.items.every(isNumberType)) {
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
      if (isNumber(v) && isNumberType(type.item) && !type.length)
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
  t.kind === 'optionalType'
    ? isNumberType(t.item)
    : t.kind === 'namedType' && (t.name.name === 'int' || t.name.name === 'float');

function coerceNamed(cx: Cx, name: string, v: Val, span: Span, m: Meeting): Val {
  switch (name) {
    case 'int':
      return v.kind === 'int' || v.kind === 'infer' ? v : mismatch(cx, 'an int', v, m);
    case 'float':
      if (v.kind === 'float' || v.kind === 'uniform') return v;
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
  if (hasPoison(found)) return POISON;
  // PyTorch's pairs (values and indices, output and weights) are taken for their first part.
  const pair = found.kind === 'tuple' && found.items[0]?.kind === 'tensor';
  const help = pair ? 'a tuple is taken apart: `(x, _) = value`, or `value.0`' : null;
  return report(cx, 'type_mismatch', { what: m.what, wanted, found: describe(found) }, m.span, { help });
}
