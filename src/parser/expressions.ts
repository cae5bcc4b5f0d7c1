/** The grammar of expressions, from lambdas down to names and numbers. */
import type { IToken } from 'chevrotain';
import type { Arg, Body, Expr, IfStmt, MemberExpr, Subscript, Unary } from './ast.ts';
import { MAX_CHAIN } from './base.ts';
import type { Rule } from './base.ts';
import { CollectionParser } from './collections.ts';
import { ifExpr, lambdaParams, numberLit, stringLit } from './convert.ts';
import { operatorTree } from './operators.ts';
import type { Infix, Operand } from './operators.ts';
import * as t from './tokens.ts';

export abstract class ExpressionParser extends CollectionParser {
  protected abstract readonly block: Rule<Body>;
  protected abstract readonly ifElse: Rule<IfStmt>;

  // expr = range [ "=>" lambdaBody ]
  protected override readonly expr: Rule<Expr> = this.rule('expr', () =>
    this.nested((): Expr => {
      const start = this.start();
      const head = this.SUBRULE(this.range);
      const body = this.OPTION(() => {
        this.CONSUME(t.FatArrow);
        return this.SUBRULE(this.lambdaBody);
      });
      if (body === undefined) return head;
      const params = this.ACTION(() => lambdaParams(head, this.bag));
      return { kind: 'lambda', params, body, span: this.span(start) };
    }),
  );

  // lambdaBody = block | expr
  protected readonly lambdaBody: Rule<Body> = this.rule('lambdaBody', () => {
    const start = this.start();
    return this.OR([
      { GATE: () => !this.#atRecord(), ALT: () => this.SUBRULE(this.block), IGNORE_AMBIGUITIES: true },
      {
        ALT: (): Body => {
          const result = this.SUBRULE(this.expr);
          return { kind: 'body', stmts: [], result, span: this.span(start) };
        },
      },
    ]);
  });

  /** `{ name :` is a record; any other `{` where both may stand opens statements. */
  #atRecord(): boolean {
    const empty = this.LA(2).tokenType === t.RCurly;
    return empty || (this.LA(2).tokenType === t.Name && this.LA(3).tokenType === t.Colon);
  }

  // range = operation [ ".." operation ]
  protected readonly range: Rule<Expr> = this.rule('range', (): Expr => {
    const start = this.start();
    const first = this.SUBRULE(this.operation);
    const stop = this.OPTION(() => {
      this.CONSUME(t.DotDot);
      return this.SUBRULE2(this.operation);
    });
    return stop === undefined ? first : { kind: 'range', start: first, stop, span: this.span(start) };
  });

  // operation = operand { operator operand }
  protected readonly operation: Rule<Expr> = this.rule('operation', (): Expr => {
    const operands = [this.SUBRULE(this.operand)];
    const infixes: Infix[] = [];
    this.MANY(() => {
      const sign = this.CONSUME(t.Operator);
      infixes.push({ op: sign.image as Infix['op'], span: this.spanOf(sign) });
      operands.push(this.SUBRULE2(this.operand));
    });
    return this.ACTION(() => {
      const first = operands[0] as Operand;
      if (infixes.length === 0 && first.prefixes.length === 0) return first.value;
      if (infixes.length > MAX_CHAIN) {
        this.giveUp();
        return this.missing();
      }
      return operatorTree(operands, infixes, this.bag);
    });
  });

  // operand = { "-" | "not" } postfix
  protected readonly operand: Rule<Operand> = this.rule('operand', (): Operand => {
    const prefixes: { op: Unary['op']; span: Operand['value']['span'] }[] = [];
    this.MANY(() => {
      const sign = this.OR([{ ALT: () => this.CONSUME(t.Minus) }, { ALT: () => this.CONSUME(t.Not) }]);
      prefixes.push({ op: sign.image as Unary['op'], span: this.spanOf(sign) });
    });
    this.ACTION(() => {
      if (prefixes.length > MAX_CHAIN) this.giveUp();
    });
    return { prefixes, value: this.SUBRULE(this.postfix) };
  });

  // postfix = primary { member | call | index }
  protected readonly postfix: Rule<Expr> = this.rule('postfix', (): Expr => {
    const start = this.start();
    let value = this.SUBRULE(this.primary);
    let length = 0;
    this.MANY(() => {
      const object = value;
      this.OR([
        {
          ALT: () => {
            const member = this.SUBRULE(this.member);
            value = { kind: 'member', object, member, span: this.span(start) };
          },
        },
        {
          ALT: () => {
            const args = this.SUBRULE(this.call);
            value = { kind: 'call', callee: object, args, span: this.span(start) };
          },
        },
        {
          ALT: () => {
            const items = this.SUBRULE(this.index);
            value = { kind: 'index', object, items, span: this.span(start) };
          },
        },
      ]);
      this.ACTION(() => {
        value = this.#withoutSelf(value);
        if (++length > MAX_CHAIN) this.giveUp();
      });
    });
    return value;
  });

  /** Python's `self.weight`, read as the `weight` that was meant. */
  #withoutSelf(value: Expr): Expr {
    if (value.kind !== 'member' || value.object.kind !== 'name' || value.object.name !== 'self') return value;
    const name = value.member.name;
    if (typeof name === 'number') return value;
    this.bag.report('no_self', { name }, value.object.span);
    return { kind: 'name', name, span: value.span };
  }

  // member = "." ( Name | Int )
  protected readonly member: Rule<MemberExpr['member']> = this.rule('member', () => {
    this.CONSUME(t.Dot);
    return this.OR({
      DEF: [
        {
          ALT: (): MemberExpr['member'] => {
            const name = this.CONSUME(t.Name);
            return { name: name.image, span: this.spanOf(name) };
          },
        },
        {
          ALT: (): MemberExpr['member'] => {
            const index = this.CONSUME(t.Int);
            return { name: Number(index.image), span: this.spanOf(index) };
          },
        },
      ],
      ERR_MSG: 'the name or number of a member',
    });
  });

  // call = "(" [ arg { "," arg } [ "," ] ] ")"
  protected readonly call: Rule<Arg[]> = this.rule('call', () => {
    this.CONSUME(t.LParen);
    const args = this.commaList(t.RParen, () => this.SUBRULE(this.arg), {
      unread: () => ({ name: null, value: this.missing(), span: this.span(-1) }),
      values: true,
    });
    this.CONSUME(t.RParen);
    return args;
  });

  // arg = [ Name ":" ] expr
  protected readonly arg: Rule<Arg> = this.rule('arg', (): Arg => {
    const start = this.start();
    const name = this.OPTION(() => {
      const word = this.CONSUME(t.Name);
      this.OR([
        { ALT: () => this.CONSUME(t.Colon) },
        {
          ALT: () => {
            const sign = this.CONSUME(t.Equals);
            this.ACTION(() => this.bag.report('argument_equals', { name: word.image }, this.spanOf(sign)));
          },
        },
      ]);
      return this.ident(word);
    });
    const value = this.SUBRULE(this.expr);
    return { name: name ?? null, value, span: this.span(start) };
  });

  // index = "[" [ subscript { "," subscript } [ "," ] ] "]"
  protected readonly index: Rule<Subscript[]> = this.rule('index', () => {
    this.CONSUME(t.LSquare);
    const items = this.commaList(t.RSquare, () => this.SUBRULE(this.subscript));
    this.CONSUME(t.RSquare);
    return items;
  });

  // subscript = "..." | [ expr ] [ ":" [ expr ] [ ":" [ expr ] ] ]
  protected readonly subscript: Rule<Subscript> = this.rule('subscript', () => {
    const start = this.start();
    return this.OR([
      {
        ALT: (): Subscript => {
          this.CONSUME(t.Ellipsis);
          return { kind: 'ellipsis', span: this.span(start) };
        },
      },
      {
        ALT: (): Subscript => {
          const first = this.OPTION(() => this.SUBRULE(this.expr));
          const slice = this.OPTION2(() => {
            this.CONSUME(t.Colon);
            const stop = this.OPTION3(() => this.SUBRULE2(this.expr)) ?? null;
            const step = this.OPTION4(() => {
              this.CONSUME2(t.Colon);
              return this.OPTION5(() => this.SUBRULE3(this.expr));
            });
            return { stop, step: step ?? null };
          });
          const span = this.span(start);
          if (slice) return { kind: 'slice', start: first ?? null, ...slice, span };
          if (first === undefined) this.ACTION(() => this.fault(this.LA(1), 'an index or a slice'));
          if (first?.kind === 'none') return { kind: 'newaxis', span };
          return { kind: 'at', value: first ?? this.missing(), span };
        },
      },
    ]);
  });

  // primary = Int | Float | Text | "true" | "false" | "none" | Name | tuple | list | record | seq | ifElse
  protected readonly primary: Rule<Expr> = this.rule('primary', () =>
    this.OR({
      DEF: [
        { ALT: () => this.#name() },
        { ALT: () => this.#number(this.CONSUME(t.Int)) },
        { ALT: () => this.#number(this.CONSUME(t.Float)) },
        { ALT: () => this.#text() },
        { ALT: (): Expr => ({ kind: 'bool', value: true, span: this.spanOf(this.CONSUME(t.True)) }) },
        { ALT: (): Expr => ({ kind: 'bool', value: false, span: this.spanOf(this.CONSUME(t.False)) }) },
        { ALT: (): Expr => ({ kind: 'none', span: this.spanOf(this.CONSUME(t.None)) }) },
        { ALT: () => this.SUBRULE(this.tuple) },
        { ALT: () => this.SUBRULE(this.list) },
        { ALT: () => this.SUBRULE(this.record) },
        { ALT: () => this.SUBRULE(this.seq) },
        {
          ALT: () => {
            const stmt = this.SUBRULE(this.ifElse);
            return this.ACTION(() => ifExpr(stmt, this.bag));
          },
        },
      ],
      ERR_MSG: 'a value',
    }),
  );

  #name(): Expr {
    const token = this.CONSUME(t.Name);
    const span = this.spanOf(token);
    if (token.image === '_') return { kind: 'infer', span };
    const python = this.learning ? undefined : PYTHON_LITERALS.get(token.image);
    if (!python) return { kind: 'name', name: token.image, span };
    this.bag.report('foreign_operator', { found: token.image, wanted: token.image.toLowerCase() }, span);
    return { ...python, span };
  }

  #number(token: IToken): Expr {
    return this.ACTION(() => numberLit(token, this.spanOf(token), this.bag));
  }

  #text(): Expr {
    const token = this.CONSUME(t.Text);
    return this.ACTION(() => stringLit(token, this.spanOf(token), this.bag));
  }
}

const PYTHON_LITERALS = new Map<string, { kind: 'bool'; value: boolean } | { kind: 'none' }>([
  ['True', { kind: 'bool', value: true }],
  ['False', { kind: 'bool', value: false }],
  ['None', { kind: 'none' }],
]);
