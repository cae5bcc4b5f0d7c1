/** Readings that need more than one token's lookahead: an expression turns out to be the left side of `=` or `=>`. */
import type { IToken } from 'chevrotain';
import type { DiagnosticBag } from '../diagnostics/bag.ts';
import type { Span } from '../diagnostics/span.ts';
import type { Assign, Body, Expr, Ident, IfExpr, IfStmt, NumberLit, Param, Stmt, StringLit, Subscript } from './ast.ts';

/** `(x, y)` before `=>`. */
export function lambdaParams(head: Expr, bag: DiagnosticBag): Param[] {
  const items = head.kind === 'tuple' ? head.items : [head];
  return items.flatMap((item) => {
    const name = asIdent(item);
    if (!name) {
      bag.report('lambda_params', {}, item.span);
      return [];
    }
    return [{ name, type: null, default: null, span: item.span }];
  });
}

/** What stands left of `=`: a name, a tuple of names, or an indexed name. Null where it is none of these. */
export function assignTarget(
  target: Expr,
  bag: DiagnosticBag,
): { targets: readonly Ident[]; index: readonly Subscript[] | null } | null {
  if (target.kind === 'index') {
    const name = asIdent(target.object);
    if (name) return { targets: [name], index: target.items };
  }
  const items = target.kind === 'tuple' ? target.items : [target];
  const names = items.map(asIdent);
  if (items.length > 0 && names.every((name) => name !== null)) return { targets: names, index: null };
  if (target.kind !== 'error') {
    const help =
      target.kind === 'member'
        ? 'only a buffer outlives a call, and it changes by `update name = value`'
        : 'write `x = value`, `(a, b) = value` or `x[:, t] = value`';
    bag.report('invalid_target', {}, target.span, { help });
  }
  return null;
}

function asIdent(expr: Expr): Ident | null {
  if (expr.kind === 'name') return { name: expr.name, span: expr.span };
  // `(_, state) = f(x)` leaves a part unnamed
  return expr.kind === 'infer' ? { name: '_', span: expr.span } : null;
}

/** `x += y` as the `x = x + y` that was meant. */
export function augmented(target: Expr, op: IToken, value: Expr, span: Span, bag: DiagnosticBag): Assign | null {
  const opSpan = { ...span, start: op.startOffset, end: op.startOffset + op.image.length };
  const sign = op.image[0] as '+' | '-' | '*' | '/' | '%' | '@';
  bag.report('compound_assignment', { op: op.image, sign }, opSpan);
  const left = assignTarget(target, bag);
  return (
    left && {
      kind: 'assign',
      ...left,
      value: { kind: 'binary', op: sign, left: target, right: value, opSpan, span },
      span,
    }
  );
}

/** Statements in braces: the last one, where it is an expression, is the value. */
export function bodyOf(stmts: readonly Stmt[], span: Span): Body {
  const last = stmts.at(-1);
  const result = last?.kind === 'expr' ? last.value : last?.kind === 'if' ? valueOfIf(last) : null;
  return { kind: 'body', stmts: result === null ? stmts : stmts.slice(0, -1), result, span };
}

/** An `if` all of whose branches end in a value is itself a value. */
function valueOfIf(stmt: IfStmt): IfExpr | null {
  const { cond, then, else: otherwise, span } = stmt;
  if (otherwise === null || then.result === null || otherwise.result === null) return null;
  return { kind: 'ifExpr', cond, then, else: otherwise, span };
}

export function ifExpr(stmt: IfStmt, bag: DiagnosticBag): Expr {
  const { cond, then, span } = stmt;
  if (stmt.else === null) {
    bag.report('missing_else', {}, { ...span, end: span.start + 2 });
    return { kind: 'error', span };
  }
  return { kind: 'ifExpr', cond, then, else: stmt.else, span };
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0', '"': '"', '\\': '\\' };

export function stringLit(token: IToken, span: Span, bag: DiagnosticBag): StringLit {
  const inner = token.image.slice(1, -1);
  const value = inner.replace(
    /\\(u\{([0-9a-fA-F]{1,6})\}|[^])/g,
    (whole, escape: string, hex: string | undefined, at: number) => {
      const code = hex === undefined ? NaN : parseInt(hex, 16);
      if (code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)) return String.fromCodePoint(code);
      const plain = ESCAPES[escape];
      if (plain !== undefined) return plain;
      const start = span.start + 1 + at;
      bag.report('bad_escape', { found: whole }, { ...span, start, end: Math.min(start + whole.length, span.end) });
      return whole;
    },
  );
  return { kind: 'string', value, span };
}

export function numberLit(token: IToken, span: Span, bag: DiagnosticBag): NumberLit {
  const value = Number(token.image);
  const isInt = /^\d+$/.test(token.image);
  if (!Number.isFinite(value) || (isInt && !Number.isSafeInteger(value))) {
    bag.report('number_too_large', { found: token.image }, span);
    return { kind: 'number', value: 0, isInt, span };
  }
  return { kind: 'number', value, isInt, span };
}
