/** Text to tokens: Chevrotain's lexer, then the messages for what no token matched. Never throws. */
import { Lexer, createToken } from 'chevrotain';
import type { ILexerErrorMessageProvider, IToken, TokenType } from 'chevrotain';
import type { DiagnosticBag } from '../diagnostics/bag.ts';
import type { Span } from '../diagnostics/span.ts';
import { SLIPS } from './slips.ts';
import * as t from './tokens.ts';

export interface Lexed {
  /** Newlines included; comments gone. */
  readonly tokens: IToken[];
  /** `///` lines in order. */
  readonly docs: readonly IToken[];
}

/** A piece of a text: offsets in characters. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export const whole = (text: string): Range => ({ from: 0, to: text.length });

const Space = createToken({
  name: 'Space',
  pattern: /[ \t\f\v\u00a0\ufeff]+/,
  start_chars_hint: [...' \t\f\v\u00a0\ufeff'],
  group: Lexer.SKIPPED,
});
const Doc = t.fromSign({ name: 'Doc', pattern: /\/\/\/(?!\/)[^\n\r]*/, group: 'docs' });
const Comment = t.fromSign({ name: 'Comment', pattern: /\/\/[^\n\r]*/, group: Lexer.SKIPPED });

const slip = (name: string): TokenType => {
  const found = SLIPS.find(({ type }) => type.name === name);
  if (!found) throw new Error(`no slip ${name}`);
  return found.type;
};

/** In the order of trial: what starts like something shorter comes first. */
const ORDER: TokenType[] = [
  ...[Space, t.Newline, t.Name, Doc, slip('FloorDivision'), Comment, slip('BlockComment')],
  ...[t.LParen, t.RParen, t.LSquare, t.RSquare, t.LCurly, t.RCurly, t.Comma, t.Semicolon],
  ...[t.Ellipsis, t.DotDot, t.Float, slip('HalfFloat'), t.Int, slip('BadNumber'), t.Dot],
  ...[slip('TripleQuotes'), t.Text, slip('Unterminated'), slip('SingleQuoted'), slip('Backquoted')],
  ...[slip('Identity'), slip('NonIdentity'), t.EqualEqual, t.FatArrow, t.Equals],
  ...[t.NotEqual, slip('Bang'), t.LessEqual, t.GreaterEqual, t.Less, t.Greater],
  ...[t.Arrow, t.Augmented, t.Plus, t.Minus, t.StarStar, t.Star, t.Slash, t.Percent, t.At],
  ...[slip('ColonEquals'), t.Colon, t.Question, t.Tilde, slip('OrOr'), t.Bar, slip('AndAnd'), slip('HashComment')],
];

/** Its text is never shown: messages are made from the place alone. */
const SILENT: ILexerErrorMessageProvider = {
  buildUnexpectedCharactersMessage: () => '',
  buildUnableToPopLexerModeMessage: () => '',
};

/** Made on first use: building one costs about a millisecond, and a program that only runs modules needs none. */
let lexer: Lexer | null = null;

/** Only `range` of the text is read; places count from the start of the whole. */
export function lex(text: string, file: string, bag: DiagnosticBag, range: Range = whole(text)): Lexed {
  lexer ??= new Lexer(ORDER, {
    positionTracking: 'onlyOffset',
    ensureOptimizations: true,
    skipValidations: true,
    errorMessageProvider: SILENT,
  });
  const { tokens, groups, errors } = lexer.tokenize(text.slice(range.from, range.to));
  const docs = groups['docs'] ?? [];
  if (range.from > 0) {
    for (const token of [...tokens, ...docs]) {
      token.startOffset += range.from;
      if (token.endOffset !== undefined) token.endOffset += range.from;
    }
  }
  for (const { offset, length } of errors)
    unknownCharacters(tokens, text, { file, start: range.from + offset, end: range.from + offset + length }, bag);
  return { tokens: mendSlips(tokens, file, bag), docs };
}

/** Letters from outside a to z are read as part of the name they stand in, a typographic minus as the minus it is. */
function unknownCharacters(tokens: IToken[], text: string, span: Span, bag: DiagnosticBag): void {
  const found = text.slice(span.start, span.end);
  const next = tokens.findIndex((token) => token.startOffset >= span.end);
  const at = next < 0 ? tokens.length : next;
  if (MINUS.test(found)) tokens.splice(at, 0, { ...t.virtualToken(t.Minus, '-', span.start), endOffset: span.end - 1 });
  if (!LETTER.test(found)) {
    bag.report('unexpected_character', { found }, span, { help: advice(found) });
    return;
  }
  const parts = [tokens[at - 1], tokens[at]].filter((token) => token?.tokenType === t.Name);
  const before = parts.find((token) => token && t.endOf(token) === span.start);
  const after = parts.find((token) => token?.startOffset === span.end);
  const start = before?.startOffset ?? span.start;
  const end = after ? t.endOf(after) : span.end;
  const whole = { ...t.virtualToken(t.Name, text.slice(start, end), start), endOffset: end - 1 };
  tokens.splice(before ? at - 1 : at, (before ? 1 : 0) + (after ? 1 : 0), whole);
  bag.report('unexpected_character', { found }, { ...span, start, end }, { help: advice(found) });
}

const LETTER = /^[\p{L}\p{M}\p{N}]+$/u;
const MINUS = /^[\u2212\u2013\u2014]$/;

function mendSlips(tokens: IToken[], file: string, bag: DiagnosticBag): IToken[] {
  const comments = new Set<TokenType>();
  return tokens.filter((token) => {
    const slip = MENDING.get(token.tokenType);
    if (!slip) return true;
    const span: Span = { file, start: token.startOffset, end: t.endOf(token) };
    // Somebody who comments as in Python does it on every line: once is enough to learn it.
    if (comments.has(slip.type)) return false;
    const stays = slip.mend(token, span, bag);
    if (!stays && slip.onceInAFile) comments.add(slip.type);
    return stays;
  });
}

const MENDING = new Map(SLIPS.map((slip) => [slip.type, slip]));

function advice(found: string): string {
  if (LETTER.test(found)) return 'names are written with the letters a to z, digits and `_`';
  if (/[\u201c\u201d\u2018\u2019]/.test(found)) return 'write strings between straight double quotes: "text"';
  if (MINUS.test(found)) return 'for minus, write the hyphen `-`';
  if (found.startsWith('\\')) return 'a statement goes on to the next line inside brackets or after an operator';
  if (found.startsWith('^')) return 'for powers, write `pow(x, 2)`';
  return 'remove it';
}
