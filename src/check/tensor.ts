/** Emits net IR for values: numbers become scalars, sizes become `size` ops, members become parameters of the function. */
import type { DiagnosticArgs, DiagnosticName, Related } from '../diagnostics/index.ts';
import { makeDiagnostic } from '../diagnostics/index.ts';
import { value } from '../ir/builder.ts';
import { compare, dim, sameShape, sub, type Dim } from '../ir/dim.ts';
import type { Attrs, DimCheck, ElemType, Value } from '../ir/ir.ts';
import type { ShapeContext } from '../ir/ops/def.ts';
import { withDefaults } from '../ir/ops/define.ts';
import { opDef } from '../ir/ops/table.ts';
import type { Span } from '../parser/ast.ts';
import { at, isLibrary, originOf, report, type Cx, type FnState } from './context.ts';
import { describe } from './describe.ts';
import type { Slot, TensorNode } from './instance.ts';
import { uniformArgument } from './uniform.ts';
import { POISON, type TensorVal, type Val } from './values.ts';

const isFloat = (e: ElemType): boolean => e === 'f32' || e === 'f16' || e === 'bf16';

/** Proves `left == right`, reports a contradiction (and gives false), or leaves a check for the run with the same message. */
/**
 * As `compare`, but two sizes of run time that agree only where both are 0 are different: [B, 6] is no [B, 8], and what a
 * loop doubles does not keep its size.
 */
function compareSizes(a: Dim, b: Dim): 'equal' | 'different' | 'unknown' {
  const verdict = compare(a, b);
  if (verdict !== 'unknown' || a.value !== null || b.value !== null) return verdict;
  const { terms } = sub(a, b);
  return terms.every((t) => t.coef > 0) || terms.every((t) => t.coef < 0) ? 'different' : 'unknown';
}

export function requireEqual<N extends DiagnosticName>(
  cx: Cx,
  left: Dim,
  right: Dim,
  name: N,
  args: DiagnosticArgs<N>,
  span: Span,
  related: readonly Related[] = [],
): boolean {
  const verdict = compareSizes(left, right);
  if (verdict === 'equal') return true;
  if (verdict === 'different') {
    report(cx, name, args, span, { related });
    return false;
  }
  if (cx.fn)
    addCheck(cx.fn, {
      kind: 'equal',
      left,
      right,
      message: messageOf(cx, name, args, span),
      origin: originOf(cx, span),
    });
  return true;
}

const messageOf = <N extends DiagnosticName>(cx: Cx, name: N, args: DiagnosticArgs<N>, span: Span): string => {
  const text = makeDiagnostic(name, args, span).message;
  return cx.path === '' ? text : `${text} (in ${cx.path})`;
};

export function addCheck(fn: FnState, check: DimCheck): void {
  // `T - 1 >= 0` and `T >= 1` are one question: the first message serves.
  const asks = sub(check.left, check.right).key;
  const known = fn.checks.some((c) => c.kind === check.kind && sub(c.left, c.right).key === asks);
  if (!known) fn.checks.push(check);
}

/** `a >= b`, with symbols at least 0. */
export function compareAtLeast(a: Dim, b: Dim): 'yes' | 'no' | 'unknown' {
  const d = sub(a, b);
  if (d.terms.every((t) => t.coef >= 0)) return 'yes';
  if (d.terms.length > 0 && d.terms.every((t) => t.coef < 0) && d.terms.some((t) => t.atoms.length === 0)) return 'no';
  return 'unknown';
}

/** Emits any op of the table. Its shape rule asks for equalities, which are proved, reported or left to the run. */
export function emit(
  cx: Cx,
  kind: string,
  operands: readonly TensorVal[],
  given: Attrs,
  span: Span,
  label: string = kind,
): TensorVal[] | null {
  const fn = cx.fn;
  if (!fn) {
    report(cx, 'tensor_at_compile_time', { what: `\`${kind}\`` }, span);
    return null;
  }
  const def = opDef(kind);
  const attrs = withDefaults(def, given);
  const shown = calledAs(cx, span) ?? label;
  let reported = false;
  const places = (): Related[] =>
    at(
      ...operands.map((o): [Span | null, string] => [
        o.from.find((f) => f !== null) ?? null,
        `${describe(o)} gets its shape here`,
      ]),
    );
  const fail = (what: string): false => {
    if (!reported) report(cx, 'op_fault', { op: shown, fault: dims(what) }, span, { related: places() });
    reported = true;
    return false;
  };
  const checks: DimCheck[] = [];
  const check = (kind_: DimCheck['kind'], left: Dim, right: Dim, what: string): void => {
    checks.push({
      kind: kind_,
      left,
      right,
      message: messageOf(cx, 'op_fault', { op: shown, fault: dims(what) }, span),
      origin: originOf(cx, span),
    });
  };
  const ctx: ShapeContext = {
    equal: (a, b, what) => {
      const verdict = compareSizes(a, b);
      if (verdict === 'different') return fail(what);
      if (verdict === 'unknown') check('equal', a, b, what);
      return true;
    },
    atLeast: (a, b, what) => {
      const verdict = compareAtLeast(a, b);
      if (verdict === 'no') return fail(what);
      if (verdict === 'unknown') check('atLeast', a, b, what);
      return true;
    },
  };
  const types = def.shape(
    operands.map((o) => o.value.type),
    attrs,
    ctx,
  );
  if ('fault' in types) fail(types.fault);
  else {
    const negative = types.flatMap((t) => t.shape).find((d) => d.value !== null && d.value < 0);
    if (negative) fail(`a size of the result is negative: ${negative.value}`);
  }
  if (reported || 'fault' in types) return null;
  for (const c of checks) addCheck(fn, c);
  fn.b.origin = originOf(cx, span);
  const results = fn.b.emitTyped(
    kind,
    operands.map((o) => o.value),
    attrs,
    types,
  );
  return results.map((r) => withProvenance(r, operands, cx.site ?? span));
}

/** The name of the library's function as the user called it, where an op of its body is at fault: `cat`, and not `concat`. */
function calledAs(cx: Cx, span: Span): string | null {
  const { site } = cx;
  if (!site || !isLibrary(span)) return null;
  const text = cx.world.project.sources.get(site.file)?.slice(site.start, site.end) ?? '';
  const name = /^\w+(?=\()/.exec(text)?.[0];
  return name !== undefined && cx.world.project.prelude.find(name)?.val.kind === 'fn' ? name : null;
}

/** An op with one result, or poison. */
export function emitOne(
  cx: Cx,
  kind: string,
  operands: readonly TensorVal[],
  attrs: Attrs,
  span: Span,
  label: string = kind,
): Val {
  return emit(cx, kind, operands, attrs, span, label)?.[0] ?? POISON;
}

/** Each dim of a result points at where an operand's equal dim came from, or at the op. */
function withProvenance(result: Value, operands: readonly TensorVal[], span: Span): TensorVal {
  const from = result.type.shape.map((d) => {
    for (const o of operands) {
      const i = o.value.type.shape.findIndex((x) => x.key === d.key);
      if (i >= 0 && o.from[i]) return o.from[i]!;
    }
    return span;
  });
  return { kind: 'tensor', value: result, from };
}

/** A compile-time number as a scalar tensor; a symbolic size is read at run time. */
export function constantOf(cx: Cx, v: Val, elem: ElemType, span: Span): Val {
  if (v.kind === 'bool') {
    if (elem !== 'bool')
      return report(
        cx,
        'type_mismatch',
        { what: 'this value', wanted: `a number (${elem})`, found: describe(v) },
        span,
      );
    return emitOne(cx, 'constant', [], { value: v.value ? 1 : 0, elem, shape: [] }, span);
  }
  if (v.kind === 'uniform') {
    if (!cx.fn?.uniforms) return report(cx, 'not_static', { what: describe(v) }, span);
    if (!isFloat(elem)) {
      const wanted = `an integer (the tensor is ${elem})`;
      return report(cx, 'type_mismatch', { what: 'this number', wanted, found: describe(v) }, span);
    }
    return castTo(cx, uniformArgument(cx.fn.uniforms, v.expr), elem, span);
  }
  if (v.kind === 'int' && v.dim.value === null) {
    const size = emitOne(cx, 'size', [], { dim: v.dim }, span);
    return size.kind === 'tensor' ? castTo(cx, size, elem, span) : size;
  }
  const x = v.kind === 'int' ? v.dim.value! : v.kind === 'float' ? v.value : NaN;
  if (elem === 'bool' || (v.kind === 'float' && !isFloat(elem))) {
    const wanted = elem === 'bool' ? 'a bool' : `an integer (the tensor is ${elem})`;
    return report(cx, 'type_mismatch', { what: 'this number', wanted, found: describe(v) }, span);
  }
  return emitOne(cx, 'constant', [], { value: x, elem, shape: [] }, span);
}

export function castTo(cx: Cx, v: TensorVal, elem: ElemType, span: Span): Val {
  return v.value.type.elem === elem ? v : emitOne(cx, 'cast', [v], { elem }, span);
}

/** Any number or tensor as a tensor: ints are i32, floats f32, unless an element type is wanted. */
export function toTensor(cx: Cx, v: Val, span: Span, elem: ElemType | null = null): Val {
  if (v.kind === 'tensor' || v.kind === 'poison') return v;
  if (v.kind === 'slot') return readSlot(cx, v.slot, span);
  if (v.kind === 'int') return constantOf(cx, v, elem ?? 'i32', span);
  if (v.kind === 'float' || v.kind === 'uniform') return constantOf(cx, v, elem ?? 'f32', span);
  if (v.kind === 'bool') return constantOf(cx, v, 'bool', span);
  return report(cx, 'type_mismatch', { what: 'this value', wanted: 'a tensor', found: describe(v) }, span);
}

/** A scalar spread over a shape. */
export function fill(cx: Cx, v: TensorVal, shape: readonly Dim[], span: Span): Val {
  return sameShape(shape, v.value.type.shape) ? v : emitOne(cx, 'broadcast_to', [v], { shape }, span);
}

export function reshape(
  cx: Cx,
  v: TensorVal,
  shape: readonly Dim[],
  span: Span,
  from: readonly (Span | null)[] | null = null,
): Val {
  if (sameShape(shape, v.value.type.shape)) return v;
  const made = emitOne(cx, 'reshape', [v], { shape }, span);
  return made.kind === 'tensor' && from ? { ...made, from } : made;
}

// ---------------------------------------------------------------- tensors of instances

/** The value in force of a tensor: a parameter of the function when first read, what `update` made of it later. */
export function readTensor(fn: FnState, node: TensorNode): Value {
  let use = fn.tensors.get(node);
  if (!use) {
    const param = value(node.type, node.name);
    fn.tensors.set(node, (use = { param, current: param }));
  }
  return use.current;
}

export function writeTensor(fn: FnState, node: TensorNode, next: Value): void {
  readTensor(fn, node);
  fn.tensors.get(node)!.current = next;
  fn.updated.add(node);
}

export function readSlot(cx: Cx, slot: Slot, span: Span): Val {
  if (!cx.fn) return report(cx, 'tensor_at_compile_time', { what: `\`${slot.name}\`` }, span);
  const v: TensorVal = { kind: 'tensor', value: readTensor(cx.fn, slot.tensor), from: slot.tensor.from };
  if (!slot.transposed) return v;
  const made = emitOne(cx, 'transpose', [v], { perm: [1, 0] }, span);
  return made.kind === 'tensor' ? { ...made, from: [...v.from].reverse() } : made;
}

/** The random key of this function, made a parameter when first asked for. */
export function keyOf(fn: FnState): Value {
  fn.keyUsed = true;
  if (fn.key) return fn.key;
  fn.keyParam = value({ elem: 'u32', shape: [dim(2)] }, 'key');
  return (fn.key = fn.keyParam);
}

/** The IR counts axes; the language, as PyTorch, calls them dims. */
const dims = (fault: string): string => fault.replace(/\baxis (?=\d)/g, 'dim ');
