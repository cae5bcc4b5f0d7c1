/** Readings that need more than one token's lookahead: an expression turns out to be the left side of `=` or `=>`. */
import type { IToken } from 'chevrotain';
import type { DiagnosticBag } from '../diagnostics/bag.ts';
import type { Span } from '../diagnostics/span.ts';
import type {
  Assign,
  Body,
  Expr,
  Ident,
  IfExpr,
  IfStmt,
  MemberExpr,
  Name,
  NumberLit,
  Param,
  Pattern,
  Stmt,
  StringLit,
  Template,
} from './ast.ts';

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

type Target = Pick<Assign, 'target' | 'fields' | 'index'>;

/** What stands left of `=`: a name or a part of one (`x[:, t]`, `cache.k`, `cache.k[:, t]`), or a pattern. Null after a report. */
export function assignTarget(target: Expr, bag: DiagnosticBag): Target | null {
  const part = partOf(target.kind === 'index' ? target.object : target);
  if (part) return { ...part, index: target.kind === 'index' ? target.items : null };
  const pattern = asPattern(target);
  if (pattern) return { target: pattern, fields: [], index: null };
  if (target.kind !== 'error') {
    const help = 'write `x = value`, `(a, b) = value`, `x[:, t] = value` or `x.field = value`';
    bag.report('invalid_target', {}, target.span, { help });
  }
  return null;
}

function partOf(e: Expr): Pick<Target, 'target' | 'fields'> | null {
  if (e.kind !== 'member') {
    const name = asIdent(e);
    return name && { target: name, fields: [] };
  }
  const owner = partOf(e.object);
  return owner && { ...owner, fields: [...owner.fields, e.member] };
}

function asPattern(e: Expr): Pattern | null {
  if (e.kind !== 'tuple') return asIdent(e);
  const items = e.items.map(asPattern);
  return items.length > 0 && items.every((x) => x !== null) ? { items, span: e.span } : null;
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
  return { kind: 'string', value: unescaped(token.image.slice(1, -1), { ...span, start: span.start + 1 }, bag), span };
}

/** `"weight_ih_l{layer}"`: names in braces are put in; `{{` and `}}` are braces. */
export function template(token: IToken, span: Span, bag: DiagnosticBag): Template {
  const inner = token.image.slice(1, -1);
  const parts: Template['parts'][number][] = [];
  for (const m of inner.matchAll(/\{\{|\}\}|\{([^{}]*)\}|[{}]|(?:\\u\{[^}]*\}|[^{}])+/g)) {
    const at: Span = { ...span, start: span.start + 1 + m.index, end: span.start + 1 + m.index + m[0].length };
    const name = m[1];
    if (name !== undefined && PATH.test(name)) parts.push(pathExpr(name, { ...at, start: at.start + 1 }));
    else if (m[0] === '{{' || m[0] === '}}') parts.push(m[0][0]!);
    else if (/^[{}]/.test(m[0])) {
      bag.report('bad_template', { found: m[0] }, at);
      parts.push({ kind: 'error', span: at });
    } else parts.push(unescaped(m[0], at, bag));
  }
  return { parts, span };
}

const PATH = /^[A-Za-z_]\w*(?:\.\w+)*$/;

function pathExpr(path: string, at: Span): Name | MemberExpr {
  const [first = '', ...rest] = path.split('.');
  let end = at.start + first.length;
  let made: Name | MemberExpr = { kind: 'name', name: first, span: { ...at, end } };
  for (const word of rest) {
    const member = {
      name: /^\d+$/.test(word) ? Number(word) : word,
      span: { ...at, start: end + 1, end: end + 1 + word.length },
    };
    end = member.span.end;
    made = { kind: 'member', object: made, member, span: { ...at, end } };
  }
  return made;
}

function unescaped(inner: string, span: Span, bag: DiagnosticBag): string {
  return inner.replace(
    /\\(u\{([0-9a-fA-F]{1,6})\}|[^])/g,
    (whole, escape: string, hex: string | undefined, at: number) => {
      const code = hex === undefined ? NaN : parseInt(hex, 16);
      if (code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)) return String.fromCodePoint(code);
      const plain = ESCAPES[escape];
      if (plain !== undefined) return plain;
      const start = span.start + at;
      bag.report('bad_escape', { found: whole }, { ...span, start, end: Math.min(start + whole.length, span.end) });
      return whole;
    },
  );
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
