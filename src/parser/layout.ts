/**
 * Newlines into structure. A newline or `;` ends a statement, except inside `(` and `[` and after what cannot end one; inside
 * braces, wherever those stand, newlines count again. Afterwards every line of a `{ }` and of the file ends in one
 * `End`, so the grammar needs no optional separators. `doubt` is told of each `-` that begins a line and is indented further
 * than the statement above, which it was probably meant to continue.
 */
import type { IToken, TokenType } from 'chevrotain';
import * as t from './tokens.ts';

export function layout(tokens: readonly IToken[], doubt: (minus: IToken) => void = () => {}): IToken[] {
  const out: IToken[] = [];
  let lineStart = 0;
  /** How far the line of the last token is indented, and that of the last statement. */
  let indent = 0;
  let statementIndent = 0;
  let firstOnLine = true;
  const brackets: t.Bracket[] = [];
  let pending: '' | '\n' | ';' = '';

  const end = (image: string): void => {
    const last = out.at(-1);
    if (last && last.tokenType !== t.End) out.push(t.virtualToken(t.End, image, t.endOf(last)));
  };

  for (const token of tokens) {
    const type = token.tokenType;
    const flat = brackets.length > 0 && brackets.at(-1) !== '{';
    if (type === t.Newline) {
      lineStart = t.endOf(token);
      firstOnLine = true;
      if (!flat && pending === '') pending = '\n';
      continue;
    }
    if (type === t.Semicolon && !flat) {
      pending = ';';
      continue;
    }
    if (firstOnLine) indent = token.startOffset - lineStart;
    firstOnLine = false;
    const last = out.at(-1);
    const inside = last?.tokenType === t.LCurly;
    if (pending === ';' && !inside) end(';');
    if (pending === '\n' && !inside && !continues(last, out.at(-2)) && !joins(type)) end('\n');
    if (pending === '\n' && type === t.Minus && out.at(-1)?.tokenType === t.End && indent > statementIndent)
      doubt(token);
    pending = '';
    if (inside || out.length === 0 || out.at(-1)?.tokenType === t.End) statementIndent = indent;
    if (type === t.RCurly && !inside && last?.tokenType !== t.Comma) end('}');

    const opens = t.OPENERS.get(type);
    if (opens) brackets.push(opens);
    if (t.CLOSERS.has(type)) brackets.pop();
    out.push(token);
  }
  end('');
  return out;
}

/** Whether the statement goes on after `last` at the end of a line. `before` tells `a *` from the wildcard `a.*`. */
export function continues(last: IToken | undefined, before: IToken | undefined): boolean {
  if (!last) return false;
  if (last.tokenType === t.Star) return !before || ![t.Dot, t.Freeze, t.Checkpoint].includes(before.tokenType);
  return CONTINUING.has(last.tokenType);
}

/** `**` is missing: it ends `freeze net.**`. */
const CONTINUING: ReadonlySet<TokenType> = new Set([
  ...[t.LParen, t.LSquare, t.LCurly, t.Comma, t.Colon, t.Equals, t.Tilde, t.Bar, t.Arrow, t.FatArrow, t.Dot, t.DotDot],
  ...[t.Plus, t.Minus, t.Slash, t.Percent, t.At, t.And, t.Or, t.Not, t.In, t.Else, t.Augmented],
  ...[t.EqualEqual, t.NotEqual, t.LessEqual, t.GreaterEqual, t.Less, t.Greater],
]);

/** What can only go on with the line above. */
function joins(type: TokenType): boolean {
  return type === t.Arrow || type === t.FatArrow || type === t.Else || type === t.Grad;
}
