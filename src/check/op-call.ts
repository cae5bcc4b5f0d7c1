/** Calls of primitive ops by name, driven by their rows: operands, then attributes, with PyTorch's `dim` and `keepdim`. */
import { atMost } from '../diagnostics/words.ts';
import { didYouMean } from '../diagnostics/index.ts';
import * as D from '../ir/dim.ts';
import type { Attr, ElemType } from '../ir/ir.ts';
import type { AttrSpec, OpDef, OperandSpec } from '../ir/ops/def.ts';
import { opDef } from '../ir/ops/table.ts';
import type { Arg, Span } from '../parser/ast.ts';
import { callBuiltin, isStaticCall } from './builtins.ts';
import { refuse, report, type Cx, type Wanted } from './context.ts';
import { describe } from './describe.ts';
import { evalValue } from './evaluate.ts';
import { streamKey } from './random.ts';
import { constantOf, emit, toTensor } from './tensor.ts';
import { isElem } from './dims.ts';
import { uniformOp } from './uniform.ts';
import { hasPoison, isNumber, POISON, tupleVal, type TensorVal, type Val } from './values.ts';

/** Ops that exist only inside the compiler: they have regions or callees, which source text cannot write. */
export const INTERNAL_OPS: readonly string[] = [
  'call',
  'if',
  'while',
  'for',
  'with_gradient',
  'again',
  'fusion',
  'unwritten',
  'view',
  'pack',
];

interface Given {
  readonly val: Val;
  readonly span: Span;
}

export function callOp(cx: Cx, kind: string, args: readonly Arg[], span: Span, wanted: Wanted | null): Val {
  const def = opDef(kind);
  const split = sortArgs(cx, kind, def, args, span, wanted);
  if (!split) return POISON;
  // `sqrt(5.0)`, `maximum(1, n)`: on compile-time numbers the op is arithmetic of the compiler.
  const plain = [...split.operands.values()].flat().map((g) => g.val);
  if (split.attrs.size === 0 && isStaticCall(kind, plain)) return callBuiltin(cx, kind, plain, span);
  const number =
    split.attrs.size === 0 ? uniformOp(kind === 'maximum' ? 'max' : kind === 'minimum' ? 'min' : kind, plain) : null;
  if (number) return number;
  const operands = readOperands(cx, kind, def, split.operands, span);
  if (!operands) return POISON;
  const attrs = readAttrs(cx, kind, def, split.attrs, operands, span, wanted);
  if (!attrs) return POISON;
  const results = emit(cx, kind, operands, attrs, span);
  if (!results) return POISON;
  return results.length === 1 ? results[0]! : tupleVal(results);
}

/** The names under which an attribute can be given. */
function spellings(name: string): readonly string[] {
  if (name === 'axis' || name === 'axes') return [name, 'dim'];
  return name === 'keepdims' ? [name, 'keepdim'] : [name];
}

function sortArgs(cx: Cx, kind: string, def: OpDef, args: readonly Arg[], span: Span, wanted: Wanted | null) {
  const operands = new Map<string, Given[]>();
  const attrs = new Map<string, Given>();
  // The random key is never written: it comes from the place of the call.
  const specs = def.operands.filter((o) => o.name !== 'key');
  const order: { readonly name: string; readonly operand: OperandSpec | null }[] = [
    ...specs.map((o) => ({ name: o.name, operand: o })),
    ...Object.keys(def.attrs).map((name) => ({ name, operand: null })),
  ];
  let next = 0;
  let ok = true;
  for (const arg of args) {
    const named = arg.name?.name;
    const slot =
      named === undefined
        ? order[next]
        : order.find((o) => (o.operand ? o.name === named : spellings(o.name).includes(named)));
    if (!slot) {
      if (named === undefined)
        report(cx, 'too_many_arguments', { callee: `\`${kind}\``, count: atMost(order.length) }, arg.span, {
          help: takes(order),
        });
      else {
        const help =
          didYouMean(
            named,
            order.flatMap((o) => spellings(o.name)),
          ) ?? takes(order);
        report(cx, 'unknown_argument', { callee: `\`${kind}\``, name: named }, arg.name!.span, { help });
      }
      ok = false;
      continue;
    }
    if (named === undefined && !slot.operand?.variadic) next++;
    const val = evalValue(cx, arg.value, slot.operand ? wanted : null);
    if (hasPoison(val)) ok = false;
    const given: Given = { val, span: arg.value.span };
    if (!slot.operand) attrs.set(slot.name, given);
    else {
      const items =
        slot.operand.variadic && (val.kind === 'list' || val.kind === 'tuple')
          ? val.items.map((v) => ({ val: v, span: given.span }))
          : [given];
      operands.set(slot.name, [...(operands.get(slot.name) ?? []), ...items]);
    }
  }
  if (!ok) return null;
  const missing = specs.find((o) => !o.optional && !operands.has(o.name));
  if (missing) {
    report(cx, 'missing_argument', { callee: `\`${kind}\``, name: missing.name }, span);
    return null;
  }
  return { operands, attrs };
}

const takes = (order: readonly { readonly name: string }[]): string =>
  `it takes ${order.map((o) => `\`${spellings(o.name).at(-1)}\``).join(', ')}`;

function readOperands(
  cx: Cx,
  kind: string,
  def: OpDef,
  given: ReadonlyMap<string, readonly Given[]>,
  span: Span,
): TensorVal[] | null {
  const listed = def.operands.flatMap((spec) => (given.get(spec.name) ?? []).map((g) => ({ spec, ...g })));
  const present = listed.filter((x) => x.val.kind !== 'none');
  // Numbers take the element type of the tensors beside them; a condition (bool only) is no model for them.
  const model = present.find((x) => x.val.kind === 'tensor' && !boolOnly(x.spec));
  const elem = model?.val.kind === 'tensor' ? model.val.value.type.elem : null;
  const out: TensorVal[] = [];
  if (def.operands[0]?.name === 'key') {
    if (!cx.fn) return refuse(cx, 'tensor_at_compile_time', { what: `\`${kind}\`` }, span);
    out.push({ kind: 'tensor', value: streamKey(cx, kind, span), from: [null] });
  }
  for (const x of present) {
    const wanted = elem ?? defaultElem(x.spec);
    const number = isNumber(x.val);
    const made =
      number && wanted && !boolOnly(x.spec) ? constantOf(cx, x.val, wanted, x.span) : toTensor(cx, x.val, x.span);
    if (made.kind !== 'tensor') return null;
    out.push(made);
  }
  return out;
}

const boolOnly = (s: OperandSpec): boolean => Array.isArray(s.elem) && s.elem.length === 1 && s.elem[0] === 'bool';
const defaultElem = (s: OperandSpec): ElemType | null => (s.elem === 'float' ? 'f32' : null);

function readAttrs(
  cx: Cx,
  kind: string,
  def: OpDef,
  given: ReadonlyMap<string, Given>,
  operands: readonly TensorVal[],
  span: Span,
  wanted: Wanted | null,
): Record<string, Attr> | null {
  const out: Record<string, Attr> = {};
  const rank = operands[0]?.value.type.shape.length ?? 0;
  for (const [name, spec] of Object.entries(def.attrs)) {
    const g = given.get(name);
    if (!g) {
      if (name === 'axes' && spec.default === undefined) out[name] = Array.from({ length: rank }, (_, i) => i);
      else if (name === 'shape' && (wanted ?? cx.result) && spec.default === undefined)
        out[name] = (wanted ?? cx.result)!.shape;
      else if (spec.default === undefined) return refuse(cx, 'missing_argument', { callee: `\`${kind}\``, name }, span);
      continue;
    }
    const value = attrOf(g.val, spec);
    if (value === undefined) {
      const args = { what: `\`${name}\` of \`${kind}\``, wanted: WANTED[spec.type], found: describe(g.val) };
      report(cx, 'type_mismatch', args, g.span);
      return null;
    }
    const fixed =
      name === 'shape' && kind === 'reshape' && Array.isArray(value)
        ? inferOne(value as readonly D.Dim[], operands[0])
        : value;
    out[name] = name === 'axis' || name === 'axes' || name === 'perm' ? fromFront(fixed, rank) : fixed;
  }
  return out;
}

const WANTED: Readonly<Record<AttrSpec['type'], string>> = {
  int: 'an int known while compiling',
  float: 'a number known while compiling',
  bool: 'a bool',
  string: 'a string',
  ints: 'ints known while compiling',
  dim: 'a size',
  dims: 'sizes',
  elem: 'an element type',
  strings: 'strings',
};

function attrOf(v: Val, spec: AttrSpec): Attr | undefined {
  if (v.kind === 'none') return spec.default === null ? null : undefined;
  switch (spec.type) {
    case 'int':
      return v.kind === 'int' && v.dim.value !== null ? v.dim.value : undefined;
    case 'float':
      return v.kind === 'float' ? v.value : v.kind === 'int' && v.dim.value !== null ? v.dim.value : undefined;
    case 'bool':
      return v.kind === 'bool' ? v.value : undefined;
    case 'string':
      return v.kind === 'string' ? v.value : undefined;
    case 'elem':
      return v.kind === 'elem' ? v.elem : v.kind === 'string' && isElem(v.value) ? v.value : undefined;
    case 'dim':
      return v.kind === 'int' ? v.dim : undefined;
    case 'dims':
    case 'ints': {
      const items = v.kind === 'tuple' || v.kind === 'list' ? v.items : v.kind === 'int' ? spread(v, spec) : null;
      if (!items || !items.every((x) => x.kind === 'int')) return undefined;
      const dims = items.map((x) => (x.kind === 'int' ? x.dim : D.dim(0)));
      if (spec.type === 'dims') return dims;
      return dims.every((d) => d.value !== null) ? dims.map((d) => d.value!) : undefined;
    }
    case 'strings':
      return v.kind === 'list' && v.items.every((x) => x.kind === 'string')
        ? v.items.map((x) => (x.kind === 'string' ? x.value : ''))
        : undefined;
  }
}

/** One number where a list of fixed length is meant stands for each of them. */
const spread = (v: Val, spec: AttrSpec): readonly Val[] => Array.from({ length: spec.length ?? 1 }, () => v);

/** IR counts axes from the front only. */
function fromFront(axes: Attr, rank: number): Attr {
  const one = (a: number): number => (a < 0 ? a + rank : a);
  if (typeof axes === 'number') return one(axes);
  return Array.isArray(axes) ? axes.map((a: unknown) => one(Number(a))) : axes;
}

/** `-1` in a shape: what is left of the elements. That it divides is checked by the op's own rule. */
function inferOne(shape: readonly D.Dim[], x: TensorVal | undefined): readonly D.Dim[] {
  const open = shape.filter((d) => d.value === -1);
  if (open.length !== 1 || !x) return shape;
  const known = D.product(shape.filter((d) => d.value !== -1));
  if (known.value === 0) return shape;
  const left = D.div(D.product(x.value.type.shape), known);
  return shape.map((d) => (d.value === -1 ? left : d));
}
