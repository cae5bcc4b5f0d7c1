/** The grammar of statements: what stands in the braces of a function. */
import type { Body, Expr, Ident, IfStmt, Pattern, Require, Stmt } from './ast.ts';
import type { Rule } from './base.ts';
import { assignTarget, augmented, bodyOf, template } from './convert.ts';
import { ExpressionParser } from './expressions.ts';
import { BEFORE_STATEMENTS } from './habits.ts';
import * as t from './tokens.ts';

export abstract class StatementParser extends ExpressionParser {
  // block = "{" { stmt End } "}"
  protected readonly block: Rule<Body> = this.rule('block', () =>
    this.nested(() => {
      const start = this.start();
      this.CONSUME(t.LCurly);
      const stmts = this.lines(() => this.SUBRULE(this.stmt), {
        foreign: BEFORE_STATEMENTS,
        unread: (): Stmt => ({ kind: 'expr', value: this.missing(), span: this.span(-1) }),
      });
      this.CONSUME(t.RCurly);
      return this.ACTION(() => bodyOf(stmts.filter(isStmt), this.span(start)));
    }),
  );

  // stmt = update | ifElse | while | for | require | assignment
  protected readonly stmt: Rule<Stmt | null> = this.rule('stmt', () =>
    this.OR({
      DEF: [
        { ALT: (): Stmt | null => this.SUBRULE(this.update) },
        { ALT: () => this.SUBRULE(this.ifElse), IGNORE_AMBIGUITIES: true },
        { ALT: () => this.SUBRULE(this.while) },
        { ALT: () => this.SUBRULE(this.for) },
        { ALT: () => this.SUBRULE(this.require) },
        { ALT: () => this.SUBRULE(this.assignment) },
      ],
      ERR_MSG: 'a statement or a value',
    }),
  );

  // update = "update" postfix "=" expr
  protected readonly update: Rule<Stmt> = this.rule('update', (): Stmt => {
    const start = this.start();
    this.CONSUME(t.Update);
    const target = this.SUBRULE(this.postfix);
    this.CONSUME(t.Equals);
    const value = this.SUBRULE(this.expr);
    return { kind: 'update', target, value, span: this.span(start) };
  });

  // ifElse = "if" expr block [ "else" ( ifElse | block ) ]
  protected readonly ifElse: Rule<IfStmt> = this.rule('ifElse', () =>
    this.nested((): IfStmt => {
      const start = this.start();
      this.CONSUME(t.If);
      const cond = this.SUBRULE(this.expr);
      const then = this.SUBRULE(this.block);
      const otherwise = this.OPTION(() => {
        this.CONSUME(t.Else);
        return this.OR([
          {
            ALT: () => {
              const stmt = this.SUBRULE(this.ifElse);
              return this.ACTION(() => bodyOf([stmt], stmt.span));
            },
          },
          { ALT: () => this.SUBRULE2(this.block) },
        ]);
      });
      return { kind: 'if', cond, then, else: otherwise ?? null, span: this.span(start) };
    }),
  );

  // while = "while" expr block
  protected readonly while: Rule<Stmt> = this.rule('while', (): Stmt => {
    const start = this.start();
    this.CONSUME(t.While);
    const cond = this.SUBRULE(this.expr);
    const body = this.SUBRULE(this.block);
    return { kind: 'while', cond, body, span: this.span(start) };
  });

  // for = "for" forHead block
  protected readonly for: Rule<Stmt> = this.rule('for', (): Stmt => {
    const start = this.start();
    this.CONSUME(t.For);
    const head = this.SUBRULE(this.forHead);
    const body = this.SUBRULE(this.block);
    return { kind: 'for', ...head, body, span: this.span(start) };
  });

  // require = "require" expr "," Text
  protected readonly require: Rule<Require> = this.rule('require', (): Require => {
    const start = this.start();
    this.CONSUME(t.Require);
    const cond = this.SUBRULE(this.expr);
    this.CONSUME(t.Comma);
    const text = this.CONSUME(t.Text);
    const message = this.ACTION(() => template(text, this.spanOf(text), this.bag));
    return { kind: 'require', cond, message, span: this.span(start) };
  });

  // forHead = pattern "in" expr
  protected readonly forHead: Rule<{ pattern: Pattern; iter: Expr }> = this.rule('forHead', () => {
    const pattern = this.OR({
      DEF: [{ ALT: () => this.#bareNames() }, { ALT: () => this.SUBRULE(this.tuplePattern) }],
      ERR_MSG: 'a name for each element',
    });
    this.CONSUME(t.In);
    return { pattern, iter: this.SUBRULE(this.expr) };
  });

  // pattern = Name | tuplePattern
  protected readonly pattern: Rule<Pattern> = this.rule('pattern', () =>
    this.OR([{ ALT: (): Pattern => this.ident(this.CONSUME(t.Name)) }, { ALT: () => this.SUBRULE(this.tuplePattern) }]),
  );

  // tuplePattern = "(" [ pattern { "," pattern } [ "," ] ] ")"
  protected readonly tuplePattern: Rule<Pattern> = this.rule('tuplePattern', () =>
    this.nested((): Pattern => {
      const start = this.start();
      this.CONSUME(t.LParen);
      const items = this.commaList(t.RParen, () => this.SUBRULE(this.pattern));
      const trailing = this.LA(0).tokenType === t.Comma;
      this.CONSUME(t.RParen);
      const [only] = items;
      return only && items.length === 1 && !trailing ? only : { items, span: this.span(start) };
    }),
  );

  /** One name; several without parentheses, as Python allows, get a message and are read all the same. */
  #bareNames(): Pattern {
    const start = this.start();
    const names = [this.ident(this.CONSUME(t.Name))];
    this.MANY(() => {
      this.CONSUME(t.Comma);
      names.push(this.ident(this.CONSUME2(t.Name)));
    });
    this.ACTION(() => {
      if (names.length > 1) this.#wantParentheses(names, start);
    });
    const [only] = names;
    return only && names.length === 1 ? only : { items: names, span: this.span(start) };
  }

  #wantParentheses(names: readonly Ident[], start: number): void {
    const fixed = `(${names.map(({ name }) => name).join(', ')})`;
    this.bag.report('bare_names', { fixed }, this.span(start));
  }

  // assignment = expr [ "=" expr ]
  protected readonly assignment: Rule<Stmt | null> = this.rule('assignment', (): Stmt | null => {
    const start = this.start();
    let target = this.SUBRULE(this.expr);
    const others: Expr[] = [];
    this.MANY({
      // `a, b = f(x)`, which the language writes with parentheses
      GATE: () => target.kind === 'name',
      DEF: () => {
        this.CONSUME(t.Comma);
        others.push(this.SUBRULE2(this.expr));
      },
    });
    this.ACTION(() => {
      const names = [target, ...others].flatMap((e): Ident[] =>
        e.kind === 'name' ? [{ name: e.name, span: e.span }] : e.kind === 'infer' ? [{ name: '_', span: e.span }] : [],
      );
      if (others.length === 0) return;
      if (names.length === others.length + 1) this.#wantParentheses(names, start);
      else this.fault(this.LA(0), 'a new line or `;`');
      target = { kind: 'tuple', items: [target, ...others], span: this.span(start) };
    });
    const assigned = this.OPTION(() => {
      const sign = this.OR([{ ALT: () => this.CONSUME(t.Equals) }, { ALT: () => this.CONSUME(t.Augmented) }]);
      return { sign, value: this.SUBRULE3(this.expr) };
    });
    const span = this.span(start);
    if (assigned === undefined) return { kind: 'expr', value: target, span };
    const { sign, value } = assigned;
    return this.ACTION(() => {
      if (sign.tokenType === t.Augmented) return augmented(target, sign, value, span, this.bag);
      const left = assignTarget(target, this.bag);
      return left && { kind: 'assign', ...left, value, span };
    });
  });
}

/** A statement whose left side made no sense has been reported, and is left out. */
function isStmt(stmt: Stmt | null): stmt is Stmt {
  return stmt !== null;
}
