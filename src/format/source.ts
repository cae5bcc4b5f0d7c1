/** The text beside its tree: what the tree leaves out (brackets, comments, who stands on one line with whom). */
import type { IToken, TokenType } from 'chevrotain';
import { DiagnosticBag } from '../diagnostics/index.ts';
import { markKeywords } from '../parser/keywords.ts';
import { lex } from '../parser/lexer.ts';
import * as t from '../parser/tokens.ts';
import type { Braces, Comment, Range, Row, Shape } from './tree.ts';

interface Aside {
  readonly text: string;
  readonly column: number;
}

export class Source {
  readonly text: string;
  /** Newlines left out. */
  readonly #tokens: readonly IToken[];
  readonly #indexAt = new Map<number, number>();
  readonly #indexBefore = new Map<number, number>();
  /** Offset of a bracket → that of its partner. */
  readonly #partner = new Map<number, number>();
  readonly #comments: Comment[] = [];
  /** Comments that rows have taken. */
  readonly #taken = new Set<Comment>();

  /** `text` has been parsed without errors, so its brackets balance. */
  constructor(text: string) {
    this.text = text;
    const all = lex(text, '', new DiagnosticBag()).tokens;
    markKeywords(all);
    this.#tokens = all.filter((token) => token.tokenType !== t.Newline);
    const open: number[] = [];
    let end = 0;
    this.#tokens.forEach((token, i) => {
      const { startOffset: start } = token;
      this.#indexAt.set(start, i);
      this.#indexBefore.set(t.endOf(token), i);
      if (t.OPENERS.has(token.tokenType)) open.push(start);
      if (t.CLOSERS.has(token.tokenType)) {
        const partner = open.pop() ?? start;
        this.#partner.set(partner, start);
        this.#partner.set(start, partner);
      }
      this.#readComments(end, start);
      end = t.endOf(token);
    });
    this.#readComments(end, text.length);
  }

  /** Between two tokens there is nothing but white space and comments. */
  #readComments(start: number, end: number): void {
    for (const match of this.text.slice(start, end).matchAll(/\/\/[^\n\r]*/g)) {
      const at = start + match.index;
      const value = match[0].trimEnd();
      this.#comments.push({ kind: 'comment', value, span: { start: at, end: at + value.length } });
    }
  }

  /** Comments that are not at the end of a row. */
  get comments(): Comment[] {
    return this.#comments.filter((comment) => !this.#taken.has(comment));
  }

  slice({ start, end }: Range): string {
    return this.text.slice(start, end);
  }

  partner(offset: number): number {
    return this.#partner.get(offset) ?? offset;
  }

  /** The first token of that type at `offset` or behind it. */
  find(type: TokenType, offset: number): number {
    return this.#tokens.find((token) => token.startOffset >= offset && token.tokenType === type)?.startOffset ?? offset;
  }

  /** The text of the token behind the one that ends at `end`, `skip` tokens further on. */
  after(end: number, skip = 0): string {
    const index = this.#indexBefore.get(end);
    return index === undefined ? '' : (this.#tokens[index + 1 + skip]?.image ?? '');
  }

  /** `span` without the pairs of parentheses around it, and whether there were any. A tuple keeps its own. */
  withoutParens(span: Range, tuple: boolean): { readonly span: Range; readonly parens: boolean } {
    let inner = span;
    let next = this.#unwrap(inner);
    while (next && !(tuple && !this.#unwrap(next))) {
      inner = next;
      next = this.#unwrap(inner);
    }
    return { span: inner, parens: inner !== span };
  }

  #unwrap({ start, end }: Range): Range | null {
    if (this.text[start] !== '(' || this.partner(start) !== end - 1) return null;
    const first = this.#tokens[(this.#indexAt.get(start) ?? 0) + 1];
    const last = this.#tokens[(this.#indexAt.get(end - 1) ?? 0) - 1];
    return first && last && first.startOffset < end - 1 ? { start: first.startOffset, end: t.endOf(last) } : null;
  }

  // ---------------------------------------------------------------- rows

  braces(open: number, items: readonly Shape[]): Braces {
    const start = open;
    const end = this.partner(open) + 1;
    const before = this.text.slice(open + 1, items[0]?.span.start ?? end - 1);
    return {
      kind: 'braces',
      items,
      rows: this.#rows(items, end - 1),
      inline: !/[\n\r]/.test(before),
      span: { start, end },
    };
  }

  file(items: readonly Shape[]): Braces {
    const span = { start: 0, end: this.text.length };
    return { kind: 'file', items, rows: this.#rows(items, span.end), inline: false, span };
  }

  #rows(items: readonly Shape[], end: number): Row[] {
    const rows: (Row & { aside: Aside | null })[] = [];
    items.forEach((item, i) => {
      const last = rows.at(-1);
      const between = this.text.slice(items[i - 1]?.span.end ?? item.span.start, item.span.start);
      const aside = this.#aside(item.span.end, items[i + 1]?.span.start ?? end);
      if (last && !/[\n\r]/.test(between)) {
        rows[rows.length - 1] = { ...last, count: last.count + 1, aside };
      } else {
        const gap = i > 0 && /(?:\r\n|\n|\r)[ \t]*(?:\r\n|\n|\r)/.test(firstGap(between));
        rows.push({ first: i, count: 1, gap, comment: '', column: 0, aside });
      }
    });
    return rows.map(({ aside, ...row }, i) => {
      if (!aside) return row;
      // Only comments of neighbouring lines are a column.
      const beside = (row.gap ? [] : [rows[i - 1]]).concat(rows[i + 1]?.gap ? [] : [rows[i + 1]]);
      const aligned = beside.some((other) => other?.aside?.column === aside.column);
      return { ...row, comment: aside.text, column: aligned ? aside.column : 0 };
    });
  }

  /** The comment on the line of an item's end, before `limit`. */
  #aside(end: number, limit: number): Aside | null {
    const comment = this.#comments.find(({ span }) => span.start >= end);
    if (!comment || comment.span.start >= limit || !/^[ \t;]*$/.test(this.text.slice(end, comment.span.start)))
      return null;
    this.#taken.add(comment);
    const lineStart = Math.max(...['\n', '\r'].map((sign) => this.text.lastIndexOf(sign, comment.span.start))) + 1;
    return { text: comment.value, column: comment.span.start - lineStart };
  }
}

/** White space up to the first comment that has its own line, so that a gap below that comment is not one above it. */
function firstGap(between: string): string {
  const comment = /(?:\r\n|\n|\r)[ \t]*\/\//.exec(between);
  return comment ? between.slice(0, comment.index + 2) : between;
}
