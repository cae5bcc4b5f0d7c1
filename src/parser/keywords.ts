/**
 * Which words are keywords where they stand. PyTorch's state dicts are full of keys such as `block`, `type` or `init`, so
 * only what Python reserves too is reserved everywhere; the others are keywords only where nothing else can be meant.
 */
import type { IToken, TokenType } from 'chevrotain';
import { continues } from './layout.ts';
import * as t from './tokens.ts';

/** Reserved everywhere but after a `.`. */
const RESERVED: ReadonlyMap<string, TokenType> = new Map(
  [t.And, t.Or, t.Not, t.True, t.False, t.None, t.If, t.Else, t.For, t.In, t.While].map((type) => [
    type.name.toLowerCase(),
    type,
  ]),
);

/** The neighbours of a word on its line. */
interface Place {
  readonly previous: IToken | undefined;
  readonly next: IToken | undefined;
  /** Nothing but `export` stands before it in its statement. */
  readonly first: boolean;
  /** Not inside any brackets. */
  readonly top: boolean;
  /** The line above it goes on here: `a =`. */
  readonly continued: boolean;
}

type Rule = (place: Place) => boolean;

const isWord = (token: IToken | undefined): boolean => token?.tokenType === t.Name && !RESERVED.has(token.image);
const is = (token: IToken | undefined, ...types: TokenType[]): boolean =>
  token !== undefined && types.includes(token.tokenType);

/** `param weight`, and also `param 3`, so that the message can speak of the missing name. */
const declares: Rule = ({ first, next }) => first && (isWord(next) || is(next, t.Int, t.Text, t.LCurly));
const selects: Rule = ({ first, next }) => first && (isWord(next) || is(next, t.Star, t.StarStar));
const opens: Rule = ({ first, next }) => first && is(next, t.LCurly);

const CONTEXTUAL_RULES: readonly (readonly [TokenType, Rule])[] = [
  [t.Import, opens],
  [t.From, ({ previous, next }) => is(previous, t.RCurly) && is(next, t.Text)],
  [t.As, ({ previous, next, first }) => !first && isWord(previous) && (isWord(next) || is(next, t.Text))],
  [t.Export, ({ first, next }) => first && isWord(next)],
  ...[t.Block, t.Fn, t.Optimizer, t.Type, t.Const, t.Param, t.Buffer, t.Let].map((type) => [type, declares] as const),
  [t.Stored, ({ first, next }) => !first && isWord(next)],
  ...[t.Tie, t.Freeze, t.Checkpoint, t.Override].map((type) => [type, selects] as const),
  [t.Init, opens],
  [t.Train, opens],
  [t.Update, ({ first, next }) => first && isWord(next)],
  [t.Require, ({ first, next }) => first && is(next, t.Name, t.Int, t.Float, t.Text, t.LParen)],
  [t.Seq, ({ previous, next }) => is(next, t.LCurly) && !is(previous, t.If, t.While, t.In)],
  [t.Grad, ({ first, next, top, continued }) => first && top && !continued && is(next, t.LParen)],
];

const CONTEXTUAL = new Map(CONTEXTUAL_RULES.map(([type, rule]) => [type.name.toLowerCase(), { type, rule }]));

/** Every keyword, for highlighters and suggestions. */
export const KEYWORDS: readonly string[] = [...RESERVED.keys(), ...CONTEXTUAL.keys()];

export function markKeywords(tokens: readonly IToken[]): void {
  let depth = 0;
  tokens.forEach((token, i) => {
    if (t.OPENERS.has(token.tokenType)) depth++;
    if (t.CLOSERS.has(token.tokenType)) depth--;
    if (token.tokenType !== t.Name) return;
    const previous = tokens[i - 1];
    if (previous?.tokenType === t.Dot) return;
    const reserved = RESERVED.get(token.image);
    if (reserved) {
      t.retag(token, reserved);
      return;
    }
    const contextual = CONTEXTUAL.get(token.image);
    if (!contextual) return;
    const first =
      previous === undefined || is(previous, t.Newline, t.Semicolon, t.LCurly) || previous.tokenType === t.Export;
    let above = i - 1;
    while (tokens[above]?.tokenType === t.Newline) above--;
    const continued = continues(tokens[above], tokens[above - 1]);
    if (contextual.rule({ previous, next: tokens[i + 1], first, top: depth <= 0, continued }))
      t.retag(token, contextual.type);
  });
}
