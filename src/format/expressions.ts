/** Expressions and statements as shapes. */
import type {
  Arg,
  Binary,
  Body,
  Expr,
  Ident,
  IfStmt,
  Lambda,
  Require,
  SeqItem,
  Stmt,
  Subscript,
  Unary,
} from '../parser/ast.ts';
import { patternText } from '../parser/patterns.ts';
import * as t from '../parser/tokens.ts';
import type { Source } from './source.ts';
import type { Braces, Commas, Part, Range, Shape, Words } from './tree.ts';

/**
 * What may happen to the parentheses that an author put around a value. Beside an operator they stay, needed or not:
 * they say how he reads it. Where a value stands alone they go, unless they hold a comment, or `if (x == { a: b }) {` would change its meaning.
 */
type Place = 'operand' | 'alone' | 'statement' | 'condition';

const LEVEL: Readonly<Record<Binary['op'], number>> = {
  ...{ or: 1, and: 2, '==': 3, '!=': 3, '<': 3, '<=': 3, '>': 3, '>=': 3 },
  ...{ '+': 4, '-': 4, '*': 5, '/': 5, '%': 5, '@': 5 },
};

export class ExpressionShapes {
  protected readonly source: Source;

  constructor(source: Source) {
    this.source = source;
  }

  // ---------------------------------------------------------------- expressions

  expr(e: Expr, place: Place = 'alone'): Shape {
    const { span, parens } = this.source.withoutParens(e.span, e.kind === 'tuple');
    const inner = this.#bare(e, span);
    return parens && this.#keeps(e, place) ? { kind: 'parens', inner, span: e.span } : inner;
  }

  #keeps(e: Expr, place: Place): boolean {
    if (place === 'operand' || this.source.slice(e.span).includes('//')) return true;
    if (place === 'statement') return e.kind === 'ifExpr';
    return place === 'condition' && this.source.slice(e.span).includes('{');
  }

  #bare(e: Expr, span: Range): Shape {
    switch (e.kind) {
      case 'number':
      case 'string':
      case 'bool':
      case 'none':
      case 'name':
      case 'infer':
      case 'error':
        return words(span, this.source.slice(span));
      case 'member':
        return words(span, this.expr(e.object, 'operand'), `.${e.member.name}`);
      case 'call':
        return words(
          span,
          this.expr(e.callee, 'operand'),
          this.commasTo(
            span.end,
            e.args.map((arg) => this.#arg(arg)),
          ),
        );
      case 'index':
        return words(span, this.expr(e.object, 'operand'), this.commasTo(span.end, this.#subscripts(e.items)));
      case 'tuple':
        return this.commasTo(
          span.end,
          e.items.map((item) => this.expr(item)),
          e.items.length === 1,
        );
      case 'list':
        return this.commasTo(
          span.end,
          e.items.map((item) => this.expr(item)),
        );
      case 'listComp': {
        const start = this.source.find(t.For, span.start);
        const left = words(
          { start, end: e.iter.span.end },
          'for ',
          patternText(e.pattern),
          ' in ',
          this.expr(e.iter, 'condition'),
        );
        const range = { start, end: e.body.span.end };
        return this.commasTo(span.end, [{ kind: 'binding', left, sign: ':', right: this.expr(e.body), span: range }]);
      }
      case 'record':
        return this.commasTo(
          span.end,
          e.fields.map(({ name, value }) => this.#named(name, value)),
        );
      case 'seq':
        return words(span, 'seq ', this.#seqBody(this.source.find(t.LCurly, span.start), e.items));
      case 'lambda':
        return words(span, this.#lambdaParams(e), ' => ', this.body(e.body));
      case 'unary':
        return words(span, this.#sign(e), this.expr(e.operand, 'operand'));
      case 'binary':
        return this.#operation(e, span);
      case 'ifExpr':
        return words(span, ...this.#ifParts(e));
      case 'range':
        return words(span, this.expr(e.start, 'operand'), '..', this.expr(e.stop, 'operand'));
    }
  }

  /** `- -x` has a space, so that nobody reads a decrement. */
  #sign({ op, operand }: Unary): string {
    return op === 'not' || (operand.kind === 'unary' && this.source.text[operand.span.start] === '-') ? `${op} ` : op;
  }

  #arg({ name, value }: Arg): Shape {
    return name === null ? this.expr(value) : this.#named(name, value);
  }

  #named(name: Ident, value: Expr): Shape {
    return words({ start: name.span.start, end: value.span.end }, `${name.name}: `, this.expr(value));
  }

  #subscripts(items: readonly Subscript[]): Shape[] {
    return items.map((item) => {
      switch (item.kind) {
        case 'at':
          return this.expr(item.value);
        case 'ellipsis':
          return words(item.span, '...');
        case 'newaxis':
          return words(item.span, 'none');
        case 'slice': {
          const { start, stop, step, span } = item;
          const bound = (e: Expr | null): Part => (e === null ? '' : this.expr(e, 'operand'));
          return words(span, bound(start), ':', bound(stop), ...(step === null ? [] : [':', bound(step)]));
        }
      }
    });
  }

  #lambdaParams({ params, span }: Lambda): Part {
    const [only] = params;
    if (only && params.length === 1) return only.name.name;
    const items = params.map((param) => words(param.span, param.name.name));
    return this.commasTo(this.source.partner(span.start) + 1, items);
  }

  /** The operands of the same precedence in one row. Parentheses begin a row of their own. */
  #operation(e: Binary, span: Range): Shape {
    const operands: Shape[] = [];
    const signs: string[] = [];
    let left: Expr = e;
    while (left.kind === 'binary' && LEVEL[left.op] === LEVEL[e.op] && (left === e || !this.#inParens(left))) {
      operands.unshift(this.expr(left.right, 'operand'));
      signs.unshift(left.op);
      left = left.left;
    }
    operands.unshift(this.expr(left, 'operand'));
    return { kind: 'operation', operands, signs, span };
  }

  #inParens(e: Expr): boolean {
    return this.source.withoutParens(e.span, false).parens;
  }

  #seqBody(open: number, items: readonly SeqItem[]): Braces {
    return this.source.braces(
      open,
      items.map((item): Shape => {
        switch (item.kind) {
          case 'item': {
            const { name, value, span } = item;
            if (name === null) return this.expr(value, 'statement');
            return { kind: 'binding', left: words(name.span, name.name), sign: '=', right: this.expr(value), span };
          }
          case 'seqIf':
            return words(item.span, ...this.#seqIfParts(item));
          case 'seqFor': {
            const body = this.#seqBody(this.braceAfter(item.iter), item.body);
            return words(
              item.span,
              'for ',
              patternText(item.pattern),
              ' in ',
              this.expr(item.iter, 'condition'),
              ' ',
              body,
            );
          }
        }
      }),
    );
  }

  #seqIfParts({ cond, then, else: otherwise }: Extract<SeqItem, { kind: 'seqIf' }>): Part[] {
    return this.chain(
      cond,
      (open) => this.#seqBody(open, then),
      (open) => this.#seqBody(open, otherwise),
      () => otherwise.flatMap((item) => (item.kind === 'seqIf' ? this.#seqIfParts(item) : [])),
    );
  }

  // ---------------------------------------------------------------- bodies and statements

  /** `{ ... }`, or what stands behind `=>`. */
  body(body: Body): Shape {
    const { result, stmts, span } = body;
    const record = result?.kind === 'record' && stmts.length === 0 && result.span.start === span.start;
    return this.source.text[span.start] === '{' && !record ? this.#block(span.start, body) : this.expr(result ?? ERROR);
  }

  #block(open: number, { stmts, result }: Body): Braces {
    const items = stmts.map((stmt) => this.#stmt(stmt));
    return this.source.braces(open, result === null ? items : [...items, this.expr(result, 'statement')]);
  }

  #stmt(stmt: Stmt): Shape {
    const { span } = stmt;
    switch (stmt.kind) {
      case 'assign': {
        const { target, fields, index } = stmt;
        const path = [patternText(target), ...fields.map((f) => f.name)].join('.');
        const nameEnd = (fields.at(-1) ?? target).span.end;
        const end = index ? this.source.partner(this.source.find(t.LSquare, nameEnd)) + 1 : nameEnd;
        const left = words(
          { start: span.start, end },
          path,
          ...(index ? [this.commasTo(end, this.#subscripts(index))] : []),
        );
        return { kind: 'binding', left, sign: '=', right: this.expr(stmt.value), span };
      }
      case 'update': {
        const left = words({ start: span.start, end: stmt.target.span.end }, 'update ', this.expr(stmt.target));
        return { kind: 'binding', left, sign: '=', right: this.expr(stmt.value), span };
      }
      case 'if':
        return words(span, ...this.#ifParts(stmt));
      case 'while': {
        const body = this.#block(stmt.body.span.start, stmt.body);
        return words(span, 'while ', this.expr(stmt.cond, 'condition'), ' ', body);
      }
      case 'for': {
        const body = this.#block(stmt.body.span.start, stmt.body);
        return words(span, 'for ', patternText(stmt.pattern), ' in ', this.expr(stmt.iter, 'condition'), ' ', body);
      }
      case 'require':
        return this.require(stmt);
      case 'expr':
        return this.expr(stmt.value, 'statement');
    }
  }

  protected require({ cond, message, span }: Require): Shape {
    return words(span, 'require ', this.expr(cond, 'operand'), ', ', this.source.slice(message.span));
  }

  #ifParts({ cond, then, else: otherwise }: Pick<IfStmt, 'cond' | 'then' | 'else'>): Part[] {
    return this.chain(
      cond,
      (open) => this.#block(open, then),
      (open) => this.#block(open, otherwise ?? then),
      () => {
        const inner = otherwise?.result ?? otherwise?.stmts[0];
        return inner?.kind === 'if' || inner?.kind === 'ifExpr' ? this.#ifParts(inner) : [];
      },
    );
  }

  // ---------------------------------------------------------------- what all of them need

  /** `if cond { } else if cond { } else { }`: the same for statements, members and entries of a sequence. */
  protected chain(
    cond: Expr,
    then: (open: number) => Braces,
    otherwise: (open: number) => Braces,
    elseIf: () => Part[],
  ): Part[] {
    const body = then(this.braceAfter(cond));
    const parts = ['if ', this.expr(cond, 'condition'), ' ', body];
    if (this.source.after(body.span.end) !== 'else') return parts;
    if (this.source.after(body.span.end, 1) === 'if') return [...parts, ' else ', ...elseIf()];
    return [...parts, ' else ', otherwise(this.source.find(t.LCurly, body.span.end))];
  }

  protected braceAfter(e: Expr): number {
    return this.source.find(t.LCurly, e.span.end);
  }

  /** The comma list whose closing bracket ends at `end`. */
  protected commasTo(end: number, items: readonly Shape[], single = false): Commas {
    const close = this.source.text[end - 1] as Commas['close'];
    const start = this.source.partner(end - 1);
    const open = this.source.text[start] as Commas['open'];
    const broken = open === '{' && /[\n\r]/.test(this.source.text.slice(start, items[0]?.span.start ?? start));
    return { kind: 'commas', open, close, items, single, broken, span: { start, end } };
  }
}

export function words({ start, end }: Range, ...parts: readonly Part[]): Words {
  return { kind: 'words', parts, span: { start, end } };
}

const ERROR: Expr = { kind: 'error', span: { file: '', start: 0, end: 0 } };
