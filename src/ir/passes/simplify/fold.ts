/**
 * Constant folding through the reference column. Only ops whose kernels are correctly rounded take part, so that a folded
 * program computes the same bits: for these, float64 arithmetic on f32 values rounded once more is the f32 result.
 */
import type { ElemType, Op, Value } from '../../ir.ts';
import { ndarray } from '../../ndarray.ts';
import { opDef } from '../../ops/table.ts';
import { isDim } from '../../symbols.ts';
import { isFloat, uniform, type Scope } from './rule.ts';

const EXACT: ReadonlySet<string> = new Set([
  ...['add', 'sub', 'mul', 'div', 'sqrt', 'neg', 'abs', 'sign', 'floor', 'ceil', 'round', 'trunc', 'relu'],
  ...['maximum', 'minimum', 'eq', 'ne', 'lt', 'le', 'gt', 'ge', 'select', 'cast', 'is_nan', 'is_inf'],
  ...['and', 'or', 'xor', 'not', 'shl', 'shr'],
]);
/** `rem` is exact on integers; on floats its kernel may round where the reference does not. */
const EXACT_ON_INTS: ReadonlySet<string> = new Set(['rem']);
/** Of a constant these are the same constant in another shape. */
const MOVES: ReadonlySet<string> = new Set(['reshape', 'broadcast_to', 'transpose', 'slice', 'flip', 'stop_gradient']);

const FOLDED: ReadonlySet<ElemType> = new Set<ElemType>(['f32', 'i32', 'u32', 'bool']);

/** The constant that the op is, or null. */
export function fold(op: Op, at: Scope): Value | null {
  const [result] = op.results;
  if (op.results.length !== 1 || !FOLDED.has(result!.type.elem)) return null;
  const constant = (x: number): Value =>
    at.emit('constant', [], { value: x, elem: result!.type.elem, shape: result!.type.shape });

  if (op.kind === 'size') {
    const d = op.attrs['dim'];
    const n = isDim(d) ? d.value : null;
    return n === null ? null : constant(n);
  }
  if (op.operands.length === 0) return null;
  const xs = op.operands.map((v) => (FOLDED.has(v.type.elem) ? uniform(at, v) : null));
  if (!xs.every((x) => x !== null)) return null;
  // Broadcasting a number is no news, and would be made from a constant of another shape for ever.
  if (MOVES.has(op.kind)) return op.operands[0]!.type.shape.length === 0 ? null : constant(xs[0]!);
  if (!EXACT.has(op.kind) && !(EXACT_ON_INTS.has(op.kind) && !op.operands.some(isFloat))) return null;

  const { reference } = opDef(op.kind);
  if (typeof reference !== 'function') return null;
  // A constant may be written with more digits than its type holds.
  const scalars = xs.map((x, i) => {
    const { elem } = op.operands[i]!.type;
    return ndarray(elem, [], [round(elem, x)]);
  });
  const type = { elem: result!.type.elem, shape: [] };
  const flat = (v: Value): Value => ({ hint: null, type: { elem: v.type.elem, shape: [] } });
  const [y] = reference(scalars, { ...op, operands: op.operands.map(flat), results: op.results.map(flat) }, [type]);
  return constant(round(type.elem, y!.data[0]!));
}

function round(elem: ElemType, x: number): number {
  return elem === 'f32' ? Math.fround(x) : elem === 'i32' ? x | 0 : elem === 'u32' ? x >>> 0 : Number(x !== 0);
}
