/** The grammar of what holds several expressions in brackets. The comment above a rule is its line of grammar/net.ebnf. */
import type { Expr, Pattern, RecordExpr, SeqItem } from './ast.ts';
import { BaseParser } from './base.ts';
import type { Rule } from './base.ts';
import * as t from './tokens.ts';

export abstract class CollectionParser extends BaseParser {
  protected abstract readonly expr: Rule<Expr>;
  protected abstract readonly forHead: Rule<{ pattern: Pattern; iter: Expr }>;

  // tuple = "(" [ expr { "," expr } [ "," ] ] ")"
  protected readonly tuple: Rule<Expr> = this.rule('tuple', (): Expr => {
    const start = this.start();
    this.CONSUME(t.LParen);
    const items = this.commaList(t.RParen, () => this.SUBRULE(this.expr), {
      unread: () => this.missing(),
      values: true,
    });
    const trailing = this.LA(0).tokenType === t.Comma;
    this.CONSUME(t.RParen);
    const [only] = items;
    // Parentheses that only group belong to the span of what they hold.
    if (only && items.length === 1 && !trailing) return { ...only, span: this.span(start) };
    return { kind: 'tuple', items, span: this.span(start) };
  });

  // list = "[" ( "for" forHead ":" expr | [ expr { "," expr } [ "," ] ] ) "]"
  protected readonly list: Rule<Expr> = this.rule('list', () => {
    const start = this.start();
    this.CONSUME(t.LSquare);
    const build = this.OR([
      {
        ALT: (): (() => Expr) => {
          this.CONSUME(t.For);
          const head = this.SUBRULE(this.forHead);
          this.CONSUME(t.Colon);
          const body = this.SUBRULE(this.expr);
          return () => ({ kind: 'listComp', ...head, body, span: this.span(start) });
        },
      },
      {
        ALT: (): (() => Expr) => {
          const items = this.commaList(t.RSquare, () => this.SUBRULE2(this.expr), {
            unread: () => this.missing(),
            values: true,
          });
          return () => ({ kind: 'list', items, span: this.span(start) });
        },
      },
    ]);
    this.CONSUME(t.RSquare);
    return this.ACTION(build);
  });

  // record = "{" [ recordField { "," recordField } [ "," ] ] "}"
  protected readonly record: Rule<Expr> = this.rule('record', (): Expr => {
    const start = this.start();
    this.CONSUME(t.LCurly);
    const fields = this.commaList(t.RCurly, () => this.SUBRULE(this.recordField));
    this.CONSUME(t.RCurly);
    return { kind: 'record', fields, span: this.span(start) };
  });

  // recordField = Name ":" expr
  protected readonly recordField: Rule<RecordExpr['fields'][number]> = this.rule('recordField', () => {
    const name = this.ident(this.CONSUME(t.Name));
    this.CONSUME(t.Colon);
    return { name, value: this.SUBRULE(this.expr) };
  });

  // seq = "seq" seqBody
  protected readonly seq: Rule<Expr> = this.rule('seq', (): Expr => {
    const start = this.start();
    this.CONSUME(t.Seq);
    const items = this.SUBRULE(this.seqBody);
    return { kind: 'seq', items, span: this.span(start) };
  });

  // seqBody = "{" { seqItem End } "}"
  protected readonly seqBody: Rule<SeqItem[]> = this.rule('seqBody', () => {
    this.CONSUME(t.LCurly);
    const items = this.lines(() => this.SUBRULE(this.seqItem));
    this.CONSUME(t.RCurly);
    return items;
  });

  // seqItem = seqIf | seqFor | [ Name "=" ] expr
  protected readonly seqItem: Rule<SeqItem> = this.rule('seqItem', () => {
    const start = this.start();
    return this.OR([
      { ALT: () => this.SUBRULE(this.seqIf), IGNORE_AMBIGUITIES: true },
      { ALT: () => this.SUBRULE(this.seqFor) },
      {
        ALT: (): SeqItem => {
          const name = this.OPTION(() => {
            const word = this.CONSUME(t.Name);
            this.CONSUME(t.Equals);
            return this.ident(word);
          });
          const value = this.SUBRULE(this.expr);
          return { kind: 'item', name: name ?? null, value, span: this.span(start) };
        },
      },
    ]);
  });

  // seqIf = "if" expr seqBody [ "else" ( seqIf | seqBody ) ]
  protected readonly seqIf: Rule<SeqItem> = this.rule('seqIf', () =>
    this.nested((): SeqItem => {
      const start = this.start();
      this.CONSUME(t.If);
      const cond = this.SUBRULE(this.expr);
      const then = this.SUBRULE(this.seqBody);
      const otherwise = this.OPTION(() => {
        this.CONSUME(t.Else);
        return this.OR([{ ALT: () => [this.SUBRULE(this.seqIf)] }, { ALT: () => this.SUBRULE2(this.seqBody) }]);
      });
      return { kind: 'seqIf', cond, then, else: otherwise ?? [], span: this.span(start) };
    }),
  );

  // seqFor = "for" forHead seqBody
  protected readonly seqFor: Rule<SeqItem> = this.rule('seqFor', (): SeqItem => {
    const start = this.start();
    this.CONSUME(t.For);
    const head = this.SUBRULE(this.forHead);
    const body = this.SUBRULE(this.seqBody);
    return { kind: 'seqFor', ...head, body, span: this.span(start) };
  });
}
