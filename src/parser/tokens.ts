/**
 * The words and signs of the language. The lexer makes every word a `Name`; keywords.ts decides which of them are
 * keywords where they stand, so keyword token types have no pattern of their own.
 */
import { Lexer, createToken } from 'chevrotain';
import type { IToken, TokenType } from 'chevrotain';

function sign(name: string, text: string, categories: TokenType[] = []): TokenType {
  return createToken({ name, pattern: text, label: `\`${text}\``, categories });
}

/*
 * Every pattern says which characters it can start with. Chevrotain would parse the regular expressions to find out, in every
 * process that lexes anything.
 */
export const DIGITS: readonly string[] = [...'0123456789'];
const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_'];

/** A token whose pattern starts with one character that stands in it as it is. */
export function fromSign(config: {
  name: string;
  pattern: RegExp;
  label?: string;
  line_breaks?: boolean;
  group?: string;
}): TokenType {
  return createToken({ ...config, start_chars_hint: [config.pattern.source.replace('\\', '').charAt(0)] });
}

// ---------------------------------------------------------------- words and literals

export const Name = createToken({
  name: 'Name',
  pattern: /[A-Za-z_][A-Za-z0-9_]*/,
  start_chars_hint: LETTERS,
  label: 'a name',
});
export const Int = createToken({
  name: 'Int',
  pattern: /\d+(?![A-Za-z_])/,
  start_chars_hint: [...DIGITS],
  label: 'a number',
});
export const Float = createToken({
  name: 'Float',
  pattern: { exec: floatAt },
  line_breaks: false,
  start_chars_hint: [...DIGITS],
  label: 'a number',
});
export const Text = fromSign({ name: 'Text', pattern: /"(?:[^"\\\n\r]|\\.)*"/, label: 'a string' });

/** After a `.` only integers are read, so that `net.0.1` is two steps down and not the float 0.1. */
function floatAt(text: string, offset: number, before: IToken[]): [string] | null {
  if (before.at(-1)?.tokenType === Dot) return null;
  return matchAt(/(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)(?![A-Za-z_\d])/y, text, offset);
}

export function matchAt(pattern: RegExp, text: string, offset: number): [string] | null {
  pattern.lastIndex = offset;
  const match = pattern.exec(text);
  return match === null ? null : [match[0]];
}

// ---------------------------------------------------------------- signs

/** Categories let the grammar take any operator at once; operators.ts knows their precedence. */
export const Operator = createToken({ name: 'Operator', pattern: Lexer.NA, label: 'an operator' });

export const LParen = sign('LParen', '(');
export const RParen = sign('RParen', ')');
export const LSquare = sign('LSquare', '[');
export const RSquare = sign('RSquare', ']');
export const LCurly = sign('LCurly', '{');
export const RCurly = sign('RCurly', '}');

export const Comma = sign('Comma', ',');
export const Semicolon = sign('Semicolon', ';');
export const Colon = sign('Colon', ':');
export const Question = sign('Question', '?');
export const Tilde = sign('Tilde', '~');
export const Bar = sign('Bar', '|');
export const Equals = sign('Equals', '=');
export const Arrow = sign('Arrow', '->');
export const FatArrow = sign('FatArrow', '=>');
export const Dot = sign('Dot', '.');
export const DotDot = sign('DotDot', '..');
export const Ellipsis = sign('Ellipsis', '...');

export const Plus = sign('Plus', '+', [Operator]);
export const Minus = sign('Minus', '-', [Operator]);
export const Star = sign('Star', '*', [Operator]);
/** `**` is a wildcard of selectors. It is an operator only for the sake of a good message. */
export const StarStar = sign('StarStar', '**', [Operator]);
export const Slash = sign('Slash', '/', [Operator]);
export const Percent = sign('Percent', '%', [Operator]);
export const At = sign('At', '@', [Operator]);
export const EqualEqual = sign('EqualEqual', '==', [Operator]);
export const NotEqual = sign('NotEqual', '!=', [Operator]);
export const LessEqual = sign('LessEqual', '<=', [Operator]);
export const GreaterEqual = sign('GreaterEqual', '>=', [Operator]);
export const Less = sign('Less', '<', [Operator]);
export const Greater = sign('Greater', '>', [Operator]);
/** `+=` and its kin, which the language lacks: read as assignments after a message. */
export const Augmented = createToken({
  name: 'Augmented',
  pattern: /[+\-*/%@]=(?!=)/,
  start_chars_hint: [...'+-*/%@'],
  label: '`+=`',
});

// ---------------------------------------------------------------- keywords

function keyword(name: string, categories: TokenType[] = []): TokenType {
  return createToken({ name, pattern: Lexer.NA, label: `\`${name.toLowerCase()}\``, categories });
}

export const And = keyword('And', [Operator]);
export const Or = keyword('Or', [Operator]);
export const Not = keyword('Not');
export const True = keyword('True');
export const False = keyword('False');
export const None = keyword('None');
export const If = keyword('If');
export const Else = keyword('Else');
export const For = keyword('For');
export const In = keyword('In');
export const While = keyword('While');

export const Import = keyword('Import');
export const From = keyword('From');
export const As = keyword('As');
export const Export = keyword('Export');
export const Block = keyword('Block');
export const Fn = keyword('Fn');
export const Optimizer = keyword('Optimizer');
export const Type = keyword('Type');
export const Const = keyword('Const');
export const Param = keyword('Param');
export const Buffer = keyword('Buffer');
export const Let = keyword('Let');
export const Stored = keyword('Stored');
export const Tie = keyword('Tie');
export const Init = keyword('Init');
export const Train = keyword('Train');
export const Override = keyword('Override');
export const Freeze = keyword('Freeze');
export const Checkpoint = keyword('Checkpoint');
export const Update = keyword('Update');
export const Seq = keyword('Seq');
export const Grad = keyword('Grad');
export const Require = keyword('Require');

// ---------------------------------------------------------------- layout

export const Newline = createToken({
  name: 'Newline',
  pattern: /\r\n|\n|\r/,
  start_chars_hint: ['\n', '\r'],
  line_breaks: true,
});
/** What newlines and `;` become where they end something; written by layout.ts, never lexed. */
export const End = createToken({ name: 'End', pattern: Lexer.NA, label: 'a new line or `;`' });

/** The token types that the grammar sees. */
export const GRAMMAR_TOKENS: readonly TokenType[] = [
  ...[Name, Int, Float, Text, Operator, LParen, RParen, LSquare, RSquare, LCurly, RCurly],
  ...[Comma, Semicolon, Colon, Question, Tilde, Bar, Equals, Arrow, FatArrow, Dot, DotDot, Ellipsis],
  ...[Plus, Minus, Star, StarStar, Slash, Percent, At, EqualEqual, NotEqual, LessEqual, GreaterEqual, Less, Greater],
  ...[Augmented, And, Or, Not, True, False, None, If, Else, For, In, While],
  ...[Import, From, As, Export, Block, Fn, Optimizer, Type, Const, Param, Buffer, Let, Stored, Tie, Init, Train],
  ...[Override, Freeze, Checkpoint, Update, Seq, Grad, Require, End],
];

export type Bracket = '(' | '[' | '{';

export const OPENERS: ReadonlyMap<TokenType, Bracket> = new Map([
  [LParen, '('],
  [LSquare, '['],
  [LCurly, '{'],
]);
export const CLOSERS: ReadonlyMap<TokenType, Bracket> = new Map([
  [RParen, '('],
  [RSquare, '['],
  [RCurly, '{'],
]);
export const CLOSING: Readonly<Record<Bracket, { readonly type: TokenType; readonly text: string }>> = {
  '(': { type: RParen, text: ')' },
  '[': { type: RSquare, text: ']' },
  '{': { type: RCurly, text: '}' },
};

/** Offset after the last unit. Tokens that layout inserts have no width. */
export function endOf(token: IToken): number {
  return token.endOffset === undefined ? token.startOffset + token.image.length : token.endOffset + 1;
}

/** A token that is not in the text, at `offset`; `image` is what it stands for in messages. */
export function virtualToken(type: TokenType, image: string, offset: number): IToken {
  return {
    image,
    startOffset: offset,
    endOffset: offset - 1,
    tokenType: type,
    tokenTypeIdx: type.tokenTypeIdx ?? 0,
  };
}

/** Turns `token` into one of another type. Chevrotain compares the index, people the type. */
export function retag(token: IToken, type: TokenType): void {
  token.tokenType = type;
  token.tokenTypeIdx = type.tokenTypeIdx ?? 0;
}
