/** Faults of the grammar as diagnostics: what was found, what was expected, and what the writer probably had in mind. */
import { EOF } from 'chevrotain';
import type { IToken } from 'chevrotain';
import type { DiagnosticBag } from '../diagnostics/bag.ts';
import type { Span } from '../diagnostics/span.ts';
import { habitOf } from './habits.ts';
import * as t from './tokens.ts';

export interface Fault {
  readonly token: IToken;
  /** In the language's terms: "`)`", "a value". */
  readonly expected: string;
}

interface Text {
  readonly file: string;
  readonly length: number;
  readonly bag: DiagnosticBag;
}

/** One message for each statement that is wrong: what follows the first fault in it is seldom a second one. */
export function explain(faults: readonly Fault[], tokens: readonly IToken[], text: Text): void {
  const placed = faults
    .map((fault) => ({ fault, index: indexOf(fault.token, tokens) }))
    .sort((a, b) => a.index - b.index);
  let reportedUntil = -1;
  for (const { fault, index } of placed) {
    if (index <= reportedUntil) continue;
    reportedUntil = endOfStatement(tokens, index);
    // A bracket that brackets.ts put there has its message already.
    if (isInserted(fault.token)) continue;
    report(fault, index, tokens, text);
  }
}

function report(
  { token, expected }: Fault,
  index: number,
  tokens: readonly IToken[],
  { file, length, bag }: Text,
): void {
  const previous = tokens[index - 1];
  const span: Span =
    token.tokenType === EOF
      ? { file, start: previous ? t.endOf(previous) : length, end: previous ? t.endOf(previous) : length }
      : { file, start: token.startOffset, end: t.endOf(token) };
  const habit = habitOf(tokens, index, expected);
  if (habit?.kind === 'word') {
    const word = tokens[habit.index] as IToken;
    const place = { file, start: word.startOffset, end: t.endOf(word) };
    bag.report('foreign_word', { word: word.image, help: habit.help }, place);
    return;
  }
  bag.report(
    'unexpected_token',
    { expected, found: describe(token) },
    span,
    habit === null ? {} : { help: habit.help },
  );
}

/** How a message names a token. */
function describe(token: IToken): string {
  switch (token.tokenType) {
    case EOF:
      return 'the end of the file';
    case t.End:
      return END_NAMES[token.image] ?? 'the end of the line';
    case t.Text:
      return token.image.length > 30 ? 'a string' : token.image;
    default:
      return `\`${token.image}\``;
  }
}

const END_NAMES: Readonly<Record<string, string>> = { '': 'the end of the file', ';': '`;`', '}': '`}`' };

function indexOf(token: IToken, tokens: readonly IToken[]): number {
  const index = tokens.indexOf(token);
  return index < 0 ? tokens.length : index;
}

/**
 * Index of the `End` that closes the innermost line around `index`. Lines in braces further on are lines of their own, but
 * braces on a line of their own belong to the line above, which lacks its `{`.
 */
function endOfStatement(tokens: readonly IToken[], index: number): number {
  let depth = 0;
  for (let i = index; i < tokens.length; i++) {
    const type = tokens[i]?.tokenType;
    if (type === t.LCurly && tokens[i - 1]?.tokenType !== t.End && depth === 0 && i > index) return i;
    if (type === t.LCurly) depth++;
    if (type === t.RCurly && depth > 0) depth--;
    if (type === t.End && depth === 0 && tokens[i + 1]?.tokenType !== t.LCurly) return i;
  }
  return tokens.length;
}

function isInserted(token: IToken): boolean {
  return t.CLOSERS.has(token.tokenType) && t.endOf(token) === token.startOffset;
}
