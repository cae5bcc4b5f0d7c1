/** Operators: on compile-time values they are computed, with a tensor on either side they become an op. */
import * as D from '../ir/dim.ts';
import type { Binary, BinaryOp, Expr, Span } from '../parser/ast.ts';
import { isLibrary, report, type Cx } from './context.ts';
import { describe } from './describe.ts';
import { constantOf, emitOne, reshape, toTensor } from './tensor.ts';
import { uniformOp } from './uniform.ts';
import {
  boolVal,
  floatVal,
  intVal,
  hasPoison,
  isNumber,
  isPoison,
  listVal,
  POISON,
  tupleVal,
  type TensorVal,
  type Val,
} from './values.ts';

const OPS: Readonly<Record<BinaryOp, string>> = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div',
  '%': 'rem',
  '@': 'matmul',
  '==': 'eq',
  '!=': 'ne',
  '<': 'lt',
  '<=': 'le',
  '>': 'gt',
  '>=': 'ge',
  and: 'and',
  or: 'or',
};

export function unary(cx: Cx, op: '-' | '+' | 'not', given: Val, span: Span): Val {
  const v = given.kind === 'slot' ? toTensor(cx, given, span) : given;
  if (isPoison(v)) return v;
  if (op === 'not') {
    if (v.kind === 'bool') return boolVal(!v.value);
    if (v.kind === 'absent' || v.kind === 'none') return boolVal(true);
    if (v.kind === 'tensor') return emitOne(cx, 'not', [v], {}, span);
  } else {
    if (v.kind === 'int') return op === '+' ? v : intVal(D.neg(v.dim), v.from);
    if (v.kind === 'float') return op === '+' ? v : floatVal(-v.value);
    if (v.kind === 'uniform') return op === '+' ? v : (uniformOp('neg', [v]) ?? POISON);
    if (v.kind === 'tensor') return op === '+' ? v : emitOne(cx, 'neg', [v], {}, span);
  }
  return report(cx, 'bad_operand', { op, found: describe(v) }, span);
}

export function binary(cx: Cx, op: BinaryOp, left: Val, right: Val, e: Binary): Val {
  if (hasPoison(left) || hasPoison(right)) return POISON;
  if (left.kind === 'tensor' || right.kind === 'tensor') return tensorBinary(cx, op, left, right, e);
  const number = uniformOp(op, [left, right]);
  if (number) return number;
  const known = staticBinary(cx, op, left, right, e);
  if (known) return known;
  return report(cx, 'bad_operands', { op, left: describe(left), right: describe(right) }, e.span);
}

function tensorBinary(cx: Cx, op: BinaryOp, left: Val, right: Val, e: Binary): Val {
  const pair = adopt(cx, [left, right], [e.left, e.right]);
  if (!pair) return POISON;
  const [a, b] = pair as [TensorVal, TensorVal];
  if (op === '@') return matmul(cx, a, b, e.opSpan);
  if (a.value.type.elem !== b.value.type.elem) {
    const help = `nothing is converted silently: cast one of them, ${a.value.type.elem}(...) or ${b.value.type.elem}(...)`;
    return report(cx, 'bad_operands', { op, left: describe(a), right: describe(b) }, e.span, { help });
  }
  return emitOne(cx, OPS[op], [a, b], {}, e.span, op);
}

/** Numbers among tensors take the element type of the first tensor; nothing is ever promoted. */
export function adopt(cx: Cx, vals: readonly Val[], exprs: readonly Pick<Expr, 'span'>[]): TensorVal[] | null {
  const elem = vals.find((v) => v.kind === 'tensor')?.value.type.elem ?? null;
  const out: TensorVal[] = [];
  vals.forEach((v, i) => {
    const span = exprs[i]!.span;
    const made = elem !== null && isNumber(v) ? constantOf(cx, v, elem, span) : toTensor(cx, v, span);
    if (made.kind === 'tensor') out.push(made);
  });
  return out.length === vals.length ? out : null;
}

/** `@` as in PyTorch: a vector on the left is a row, on the right a column, and the added dim goes away again. */
export function matmul(cx: Cx, a: TensorVal, b: TensorVal, span: Span): Val {
  const [sa, sb] = [a.value.type.shape, b.value.type.shape];
  if (sa.length === 0 || sb.length === 0) {
    return report(cx, 'bad_operands', { op: '@', left: describe(a), right: describe(b) }, span, {
      help: 'scale by a number with `*`',
    });
  }
  const left = sa.length === 1 ? reshape(cx, a, [D.dim(1), sa[0]!], span) : a;
  const right = sb.length === 1 ? reshape(cx, b, [sb[0]!, D.dim(1)], span) : b;
  if (left.kind !== 'tensor' || right.kind !== 'tensor') return POISON;
  const made = emitOne(cx, 'matmul', [left, right], {}, span, '@');
  if (made.kind !== 'tensor' || (sa.length > 1 && sb.length > 1)) return made;
  const shape = [...made.value.type.shape];
  if (sb.length === 1) shape.splice(shape.length - 1, 1);
  if (sa.length === 1) shape.splice(shape.length - (sb.length === 1 ? 1 : 2), 1);
  return reshape(cx, made, shape, span);
}

// ---------------------------------------------------------------- compile time

function staticBinary(cx: Cx, op: BinaryOp, a: Val, b: Val, e: Binary): Val | null {
  if (a.kind === 'int' && b.kind === 'int') return intBinary(cx, op, a.dim, b.dim, e);
  const [x, y] = [asFloat(a), asFloat(b)];
  if (x !== null && y !== null) return floatBinary(op, x, y);
  // A size of run time with a float is run-time arithmetic, and so is a comparison of hyper-parameters.
  if (isNumber(a) && isNumber(b) && cx.fn) {
    const [p, q] = [toTensor(cx, a, e.left.span, 'f32'), toTensor(cx, b, e.right.span, 'f32')];
    return p.kind === 'tensor' && q.kind === 'tensor' ? emitOne(cx, OPS[op], [p, q], {}, e.span) : POISON;
  }
  if (op === '==' || op === '!=') {
    const same = staticEqual(a, b);
    if (same !== null) return boolVal(same === (op === '=='));
  }
  if (op === '+') {
    if (a.kind === 'string' && b.kind === 'string') return { kind: 'string', value: a.value + b.value };
    if (a.kind === 'list' && b.kind === 'list') return listVal([...a.items, ...b.items]);
    if (a.kind === 'tuple' && b.kind === 'tuple') return tupleVal([...a.items, ...b.items]);
  }
  if (op === '*' && (a.kind === 'list' || a.kind === 'tuple') && b.kind === 'int' && b.dim.value !== null) {
    const items = Array.from({ length: Math.max(0, Math.min(b.dim.value, 10_000)) }, () => a.items).flat();
    return a.kind === 'list' ? listVal(items) : tupleVal(items);
  }
  if (a.kind === 'bool' && b.kind === 'bool') {
    if (op === 'and') return boolVal(a.value && b.value);
    if (op === 'or') return boolVal(a.value || b.value);
  }
  return null;
}

const asFloat = (v: Val): number | null => (v.kind === 'float' ? v.value : v.kind === 'int' ? v.dim.value : null);

/** Equality of compile-time values; null where they cannot be compared. */
export function staticEqual(a: Val, b: Val): boolean | null {
  if (a.kind === 'int' && b.kind === 'int') {
    const verdict = D.compare(a.dim, b.dim);
    return verdict === 'unknown' ? null : verdict === 'equal';
  }
  if ((a.kind === 'string' && b.kind === 'string') || (a.kind === 'bool' && b.kind === 'bool'))
    return a.value === b.value;
  if (a.kind === 'elem' && b.kind === 'elem') return a.elem === b.elem;
  if ((a.kind === 'tuple' || a.kind === 'list') && a.kind === b.kind) {
    if (a.items.length !== b.items.length) return false;
    const each = a.items.map((x, i) => staticEqual(x, b.items[i]!));
    return each.includes(false) ? false : each.includes(null) ? null : true;
  }
  if (a.kind === 'none' || b.kind === 'none') return a.kind === b.kind;
  const [x, y] = [asFloat(a), asFloat(b)];
  if (x !== null && y !== null) return x === y;
  if (a.kind === 'fn' && b.kind === 'fn') return a.decl === b.decl && a.scope === b.scope;
  if (a.kind === 'op' && b.kind === 'op') return a.op === b.op;
  if (a.kind === 'block' && b.kind === 'block') return a.decl === b.decl;
  return a.kind === b.kind ? null : false;
}

function intBinary(cx: Cx, op: BinaryOp, a: D.Dim, b: D.Dim, e: Binary): Val | null {
  switch (op) {
    case '+':
      return intVal(D.add(a, b), null);
    case '-':
      return intVal(D.sub(a, b), null);
    case '*':
      return intVal(D.mul(a, b), null);
    case '/':
    case '%':
      if (b.value === 0) return report(cx, 'division_by_zero', {}, e.span);
      if (op === '%') return intVal(D.mod(a, b), null);
      // In the library rounding down is meant: its authors know the rule that the warning teaches.
      if (!cx.inDim && !isLibrary(e.span) && a.value !== null && b.value !== null && a.value % b.value !== 0) {
        report(
          cx,
          'inexact_division',
          { left: a.value, right: b.value, result: Math.floor(a.value / b.value) },
          e.span,
        );
      }
      return intVal(D.div(a, b), null);
    case '==':
    case '!=':
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const known = compareDims(op, a, b);
      if (known !== null) return boolVal(known);
      if (!cx.fn) return report(cx, 'not_static', { what: `\`${a} ${op} ${b}\`` }, e.span);
      const [p, q] = [toTensor(cx, intVal(a), e.left.span), toTensor(cx, intVal(b), e.right.span)];
      return p.kind === 'tensor' && q.kind === 'tensor' ? emitOne(cx, OPS[op], [p, q], {}, e.span) : POISON;
    }
    default:
      return null;
  }
}

/** A comparison of sizes where every value of the symbols gives the same answer, else null. */
function compareDims(op: BinaryOp, a: D.Dim, b: D.Dim): boolean | null {
  const d = D.sub(a, b);
  if (d.value !== null) return compareNumbers(op, d.value, 0);
  const never = D.compare(a, b) === 'different';
  if (never && op === '==') return false;
  if (never && op === '!=') return true;
  const positive = d.terms.every((t) => t.coef > 0);
  const negative = d.terms.every((t) => t.coef < 0);
  if (positive && op === '>=') return true;
  if (positive && op === '<') return false;
  if (negative && op === '<=') return true;
  if (negative && op === '>') return false;
  if (never && positive) return op === '>';
  if (never && negative) return op === '<';
  return null;
}

function compareNumbers(op: BinaryOp, x: number, y: number): boolean {
  switch (op) {
    case '==':
      return x === y;
    case '!=':
      return x !== y;
    case '<':
      return x < y;
    case '<=':
      return x <= y;
    case '>':
      return x > y;
    default:
      return x >= y;
  }
}

function floatBinary(op: BinaryOp, x: number, y: number): Val | null {
  switch (op) {
    case '+':
      return floatVal(x + y);
    case '-':
      return floatVal(x - y);
    case '*':
      return floatVal(x * y);
    case '/':
      return floatVal(x / y);
    case '%':
      return floatVal(x - Math.floor(x / y) * y);
    case '@':
    case 'and':
    case 'or':
      return null;
    default:
      return boolVal(compareNumbers(op, x, y));
  }
}
