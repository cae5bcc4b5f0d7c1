/** Precedence. The grammar reads operators and operands in one flat list; here the list becomes a tree. */
import type { DiagnosticBag } from '../diagnostics/bag.ts';
import type { Span } from '../diagnostics/span.ts';
import type { BinaryOp, Expr, Unary } from './ast.ts';

export interface Operand {
  /** `-` and `not` before the value, outermost first. A sign `+` would read a line that goes on with `+ b` as a new one. */
  readonly prefixes: readonly { readonly op: Unary['op']; readonly span: Span }[];
  readonly value: Expr;
}

export interface Infix {
  /** `**` is no operator of the language: it gets a message and is read as `pow`. */
  readonly op: BinaryOp | '**';
  readonly span: Span;
}

const COMPARISON = 4;
/** `not` stands between `and` and the comparisons, as in Python: `not a == b` is `not (a == b)`. */
const NOT = 3;
const SIGN = 7;
const LEVEL: Readonly<Record<Infix['op'], number>> = {
  ...{ or: 1, and: 2 },
  ...{ '==': COMPARISON, '!=': COMPARISON, '<': COMPARISON, '<=': COMPARISON, '>': COMPARISON, '>=': COMPARISON },
  ...{ '+': 5, '-': 5, '*': 6, '/': 6, '%': 6, '@': 6, '**': 8 },
};

/** `operands` has one element more than `infixes`. Equal levels group to the left; comparisons do not group at all. */
export function operatorTree(operands: readonly Operand[], infixes: readonly Infix[], bag: DiagnosticBag): Expr {
  let index = 0;
  let prefix = 0;

  function climb(minimum: number): Expr {
    let left = operand();
    for (let infix = infixes[index - 1]; infix && LEVEL[infix.op] >= minimum; infix = infixes[index - 1]) {
      const right = climb(LEVEL[infix.op] + 1);
      const next = infixes[index - 1];
      if (next && LEVEL[infix.op] === COMPARISON && LEVEL[next.op] === COMPARISON) {
        bag.report('chained_comparison', { first: infix.op, second: next.op }, next.span);
      }
      left = join(left, infix, right);
    }
    return left;
  }

  function operand(): Expr {
    const { prefixes, value } = operands[index] as Operand;
    const sign = prefixes[prefix];
    if (!sign) {
      index++;
      prefix = 0;
      return value;
    }
    prefix++;
    const inner = climb(sign.op === 'not' ? NOT + 1 : SIGN);
    return { kind: 'unary', op: sign.op, operand: inner, span: { ...sign.span, end: inner.span.end } };
  }

  function join(left: Expr, { op, span: opSpan }: Infix, right: Expr): Expr {
    const span: Span = { ...left.span, end: right.span.end };
    if (op !== '**') return { kind: 'binary', op, left, right, opSpan, span };
    bag.report('power_operator', {}, opSpan);
    const args = [left, right].map((value) => ({ name: null, value, span: value.span }));
    return { kind: 'call', callee: { kind: 'name', name: 'pow', span: opSpan }, args, span };
  }

  return climb(0);
}
