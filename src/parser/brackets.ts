/**
 * Makes brackets balance before the grammar runs. An unclosed `(` would swallow every newline after it and a stray `}`
 * would end a block early; here each is reported once, at the place that opened it, and mended where its writer most
 * likely meant it to end. The grammar and its recovery can then rely on balance.
 */
import type { IToken } from 'chevrotain';
import type { DiagnosticBag } from '../diagnostics/bag.ts';
import { Lines } from '../diagnostics/lines.ts';
import { continues } from './layout.ts';
import * as t from './tokens.ts';

interface Open {
  readonly kind: t.Bracket;
  readonly index: number;
  readonly token: IToken;
}

/** Beyond what the grammar nests. A file that goes deeper is not read: mending that many brackets helps nobody. */
const MAX_OPEN = 200;

export function balance(tokens: readonly IToken[], text: string, file: string, bag: DiagnosticBag): IToken[] {
  const deep = tooDeep(tokens);
  if (deep) {
    bag.report('too_deep', {}, { file, start: deep.startOffset, end: t.endOf(deep) });
    return [];
  }
  const indents = new Indents(text);
  const stack: Open[] = [];
  /** Closers to insert before the token of that index, innermost first. */
  const insertions = new Map<number, t.Bracket[]>();
  const dropped = new Set<number>();
  /** A `{` whose partner stands further left than its own line: the culprit, when another `{` stays open for want of it. */
  let suspect: Open | null = null;

  const closeUnclosed = (open: Open, before: number): void => {
    const braces = open.kind === '{';
    const blamed = braces ? (suspect ?? open) : open;
    const end = afterLastLine(tokens, before);
    const at = !braces
      ? endOfUnclosed(tokens, open, end, indents)
      : suspect
        ? endOfIndented(tokens, suspect, end, indents)
        : end;
    insertions.set(at, [...(insertions.get(at) ?? []), open.kind]);
    const span = { file, start: blamed.token.startOffset, end: t.endOf(blamed.token) };
    const where = braces ? 'after the last line inside' : 'where it ends';
    bag.report('unclosed_bracket', { open: open.kind, close: t.CLOSING[open.kind].text, where }, span);
    if (braces) suspect = null;
  };

  tokens.forEach((token, i) => {
    if (startsDeclaration(tokens, i)) for (let open = stack.pop(); open; open = stack.pop()) closeUnclosed(open, i);
    const opens = t.OPENERS.get(token.tokenType);
    if (opens) stack.push({ kind: opens, index: i, token });
    const closes = t.CLOSERS.get(token.tokenType);
    if (!closes) return;
    if (!canClose(stack, closes)) {
      dropped.add(i);
      const span = { file, start: token.startOffset, end: t.endOf(token) };
      bag.report('stray_bracket', { close: token.image, open: closes }, span);
      return;
    }
    let open = stack.pop();
    for (; open && open.kind !== closes; open = stack.pop()) closeUnclosed(open, i);
    if (open?.kind === '{' && indents.startsLine(token) && indents.of(token) < indents.of(open.token)) suspect ??= open;
  });
  for (let open = stack.pop(); open; open = stack.pop()) closeUnclosed(open, tokens.length);
  return insertions.size === 0 && dropped.size === 0 ? [...tokens] : rebuild(tokens, insertions, dropped);
}

/** The end of the last line below that of `open` that is indented further. */
function endOfIndented(tokens: readonly IToken[], open: Open, end: number, indents: Indents): number {
  for (let i = open.index + 1; i < end; i++) {
    const token = tokens[i];
    if (
      token &&
      tokens[i - 1]?.tokenType === t.Newline &&
      token.tokenType !== t.Newline &&
      indents.of(token) <= indents.of(open.token)
    )
      return afterLastLine(tokens, i);
  }
  return end;
}

/** `index`, or the first of the newlines before it. */
function afterLastLine(tokens: readonly IToken[], index: number): number {
  let end = index;
  while (tokens[end - 1]?.tokenType === t.Newline) end--;
  return end;
}

function tooDeep(tokens: readonly IToken[]): IToken | null {
  let depth = 0;
  for (const token of tokens) {
    if (t.OPENERS.has(token.tokenType) && ++depth > MAX_OPEN) return token;
    if (t.CLOSERS.has(token.tokenType)) depth = Math.max(0, depth - 1);
  }
  return null;
}

/** Braces are the stronger brackets: a `)` does not reach over a `{`, a `}` does over any `(`. */
function canClose(stack: readonly Open[], kind: t.Bracket): boolean {
  const wall = kind === '{' ? -1 : stack.findLastIndex((open) => open.kind === '{');
  return stack.findLastIndex((open) => open.kind === kind) > wall;
}

/** `export block`, `fn name`, ... at the start of a line: cannot stand inside anything, so all that is open was forgotten. */
function startsDeclaration(tokens: readonly IToken[], i: number): boolean {
  const token = tokens[i];
  return token !== undefined && NEVER_NESTED.has(token.tokenType) && tokens[i - 1]?.tokenType === t.Newline;
}
const NEVER_NESTED = new Set([t.Export, t.Block, t.Fn, t.Optimizer]);

/**
 * Where an unclosed `(` or `[` most likely ends: at the end of its line; or, where lines end in a comma or an
 * operator, where the indentation falls back to that of its line.
 */
function endOfUnclosed(tokens: readonly IToken[], open: Open, end: number, indents: Indents): number {
  let many = false;
  for (let i = open.index + 1; i < end; i++) {
    if (tokens[i]?.tokenType !== t.Newline) continue;
    let next = tokens[i + 1];
    for (let j = i + 1; next?.tokenType === t.Newline && j < end; j++) next = tokens[j];
    if (!next) return i;
    many ||= continues(tokens[i - 1], tokens[i - 2]);
    if (!many || indents.of(next) <= indents.of(open.token)) return i;
  }
  return end;
}

function rebuild(
  tokens: readonly IToken[],
  insertions: ReadonlyMap<number, readonly t.Bracket[]>,
  dropped: ReadonlySet<number>,
): IToken[] {
  const out: IToken[] = [];
  for (let i = 0; i <= tokens.length; i++) {
    for (const kind of insertions.get(i) ?? []) {
      const previous = out.findLast((token) => token.tokenType !== t.Newline);
      const { type, text } = t.CLOSING[kind];
      out.push(t.virtualToken(type, text, previous ? t.endOf(previous) : 0));
    }
    const token = tokens[i];
    if (token && !dropped.has(i)) out.push(token);
  }
  return out;
}

/** How far lines are indented, in characters. */
class Indents {
  readonly #text: string;
  #made: Lines | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  /** Most files need none. */
  get #lines(): Lines {
    return (this.#made ??= new Lines(this.#text));
  }

  of(token: IToken): number {
    const line = this.#lines.line(this.#lines.position(token.startOffset).line);
    return line.length - line.trimStart().length;
  }

  startsLine(token: IToken): boolean {
    return this.of(token) === this.#lines.position(token.startOffset).column - 1;
  }
}
