/** The grammar of types and of declared arguments. Dims are expressions. */
import type { IToken } from 'chevrotain';
import type { Body, DimExpr, Param, RecordType, StringLit, TypeExpr, UnionType } from './ast.ts';
import type { Rule } from './base.ts';
import { stringLit } from './convert.ts';
import { StatementParser } from './statements.ts';
import * as t from './tokens.ts';

export abstract class TypeParser extends StatementParser {
  // type = plainType { "|" Text } { "?" }
  protected readonly type: Rule<TypeExpr> = this.rule('type', () =>
    this.nested(() => {
      const start = this.start();
      let type = this.SUBRULE(this.plainType);
      this.MANY(() => {
        this.CONSUME(t.Bar);
        const option = this.textOption(this.CONSUME(t.Text));
        type = this.ACTION((): UnionType => {
          const [item, options] = type.kind === 'unionType' ? [type.item, type.options] : [type, []];
          return { kind: 'unionType', item, options: [...options, option], span: this.span(start) };
        });
      });
      this.OPTION(() => {
        this.CONSUME(t.Question);
        type = { kind: 'optionalType', item: type, span: this.span(start) };
      });
      return type;
    }),
  );

  // plainType = namedType | tupleType | listType | recordType | textType
  protected readonly plainType: Rule<TypeExpr> = this.rule('plainType', () =>
    this.OR({
      DEF: [
        { ALT: () => this.SUBRULE(this.namedType) },
        { ALT: () => this.SUBRULE(this.tupleType) },
        { ALT: () => this.SUBRULE(this.listType) },
        { ALT: () => this.SUBRULE(this.recordType) },
        { ALT: () => this.SUBRULE(this.textType) },
      ],
      ERR_MSG: 'a type',
    }),
  );

  // namedType = Name [ "[" [ dim { "," dim } [ "," ] ] "]" ]
  protected readonly namedType: Rule<TypeExpr> = this.rule('namedType', (): TypeExpr => {
    const start = this.start();
    const name = this.ident(this.CONSUME(t.Name));
    const dims = this.OPTION(() => {
      this.CONSUME(t.LSquare);
      const list = this.commaList(t.RSquare, () => this.SUBRULE(this.dim), {
        unread: (): DimExpr => ({ kind: 'dim', value: this.missing(), span: this.span(-1) }),
        values: true,
      });
      this.CONSUME(t.RSquare);
      return list;
    });
    if (dims === undefined) return { kind: 'namedType', name, span: this.span(start) };
    return { kind: 'tensorType', elem: name, dims, span: this.span(start) };
  });

  // dim = "..." Name | expr
  protected readonly dim: Rule<DimExpr> = this.rule('dim', () => {
    const start = this.start();
    return this.OR({
      DEF: [
        {
          ALT: (): DimExpr => {
            this.CONSUME(t.Ellipsis);
            const name = this.ident(this.CONSUME(t.Name));
            return { kind: 'spread', name, span: this.span(start) };
          },
        },
        {
          ALT: (): DimExpr => {
            const value = this.SUBRULE(this.expr);
            return { kind: 'dim', value, span: this.span(start) };
          },
        },
      ],
      ERR_MSG: 'a dim',
    });
  });

  // tupleType = "(" [ type { "," type } [ "," ] ] ")" [ "->" type ]
  protected readonly tupleType: Rule<TypeExpr> = this.rule('tupleType', (): TypeExpr => {
    const start = this.start();
    this.CONSUME(t.LParen);
    const items = this.commaList(t.RParen, () => this.SUBRULE(this.type));
    const trailing = this.LA(0).tokenType === t.Comma;
    this.CONSUME(t.RParen);
    const result = this.OPTION(() => {
      this.CONSUME(t.Arrow);
      return this.SUBRULE2(this.type);
    });
    const span = this.span(start);
    if (result !== undefined) return { kind: 'fnType', params: items, result, span };
    const [only] = items;
    return only && items.length === 1 && !trailing ? { ...only, span } : { kind: 'tupleType', items, span };
  });

  // listType = "[" type [ ";" expr ] "]"
  protected readonly listType: Rule<TypeExpr> = this.rule('listType', (): TypeExpr => {
    const start = this.start();
    this.CONSUME(t.LSquare);
    const item = this.SUBRULE(this.type);
    const length = this.OPTION(() => {
      this.CONSUME(t.Semicolon);
      return this.SUBRULE(this.expr);
    });
    this.CONSUME(t.RSquare);
    return { kind: 'listType', item, length: length ?? null, span: this.span(start) };
  });

  // recordType = "{" [ recordTypeField { "," recordTypeField } [ "," ] ] "}"
  protected readonly recordType: Rule<TypeExpr> = this.rule('recordType', (): TypeExpr => {
    const start = this.start();
    this.CONSUME(t.LCurly);
    const fields = this.commaList(t.RCurly, () => this.SUBRULE(this.recordTypeField));
    this.CONSUME(t.RCurly);
    return { kind: 'recordType', fields, span: this.span(start) };
  });

  // recordTypeField = Name ":" type
  protected readonly recordTypeField: Rule<RecordType['fields'][number]> = this.rule('recordTypeField', () => {
    const name = this.ident(this.CONSUME(t.Name));
    this.CONSUME(t.Colon);
    return { name, type: this.SUBRULE(this.type) };
  });

  // textType = Text
  protected readonly textType: Rule<UnionType> = this.rule('textType', () => {
    const start = this.start();
    const options = [this.textOption(this.CONSUME(t.Text))];
    return { kind: 'unionType', item: null, options, span: this.span(start) };
  });

  private readonly textOption = (text: IToken): StringLit =>
    this.ACTION(() => stringLit(text, this.spanOf(text), this.bag));

  // ---------------------------------------------------------------- what functions, methods and blocks begin with

  // params = "(" [ param { "," param } [ "," ] ] ")"
  protected readonly params: Rule<Param[]> = this.rule('params', () => {
    this.CONSUME(t.LParen);
    const params = this.commaList(t.RParen, () => this.SUBRULE(this.param), {
      unread: (tokens): Param | null => {
        const name = this.declaredName(tokens);
        return name && { name, type: { kind: 'errorType', span: name.span }, default: this.missing(), span: name.span };
      },
    });
    this.CONSUME(t.RParen);
    return params;
  });

  // param = Name [ ":" type ] [ "=" expr ]
  protected readonly param: Rule<Param> = this.rule('param', (): Param => {
    const start = this.start();
    const name = this.ident(this.CONSUME(t.Name));
    const type = this.OPTION(() => {
      this.CONSUME(t.Colon);
      return this.SUBRULE(this.type);
    });
    const value = this.OPTION2(() => {
      this.CONSUME(t.Equals);
      return this.SUBRULE(this.expr);
    });
    return { name, type: type ?? null, default: value ?? null, span: this.span(start) };
  });

  /** Blocks and methods are interfaces: their arguments say their types. A `fn` may leave types to each call, a lambda must. */
  protected typed(params: readonly Param[]): Param[] {
    return params.map((param) => {
      if (param.type !== null) return param;
      const { name, span } = param.name;
      const help = name === 'self' ? 'methods have no `self`: members are used by name, so leave it out' : undefined;
      this.bag.report('missing_type', { name }, span, help === undefined ? {} : { help });
      return { ...param, type: { kind: 'errorType', span } };
    });
  }

  // body = "=>" lambdaBody | block
  protected readonly body: Rule<Body> = this.rule('body', () =>
    this.OR({
      DEF: [
        {
          ALT: () => {
            this.CONSUME(t.FatArrow);
            return this.SUBRULE(this.lambdaBody);
          },
        },
        { ALT: () => this.SUBRULE(this.block) },
      ],
      ERR_MSG: '`=>` and a value, or `{`',
    }),
  );
}
