/** What people bring from Python, TypeScript and Rust, recognised where the grammar stumbled over it. */
import type { IToken } from 'chevrotain';
import { KEYWORDS } from './keywords.ts';
import * as t from './tokens.ts';

export type Habit =
  /** The fault needs a hint. */
  | { readonly kind: 'hint'; readonly help: string }
  /** A word of another language is the fault, at `index`. */
  | { readonly kind: 'word'; readonly index: number; readonly help: string };

const METHOD = 'a method is written `forward(x: f32[B, 4]) -> f32[B, 2] => ...`';
const LOCAL = 'a local is just assigned: `x = ...`';
const IMPORT = 'write `import { Name } from "./file.net"`';

/** What people write before a member of a block. */
export const BEFORE_MEMBERS: Readonly<Record<string, string>> = {
  ...{ def: METHOD, fn: METHOD, func: METHOD, function: METHOD, async: METHOD, public: METHOD, static: METHOD },
  ...{
    var: 'a layer is written `name = Linear(4, 2)`',
    export: 'blocks are exported, and all of their members with them',
  },
};

/** What people write before a statement. */
export const BEFORE_STATEMENTS: Readonly<Record<string, string>> = {
  ...{ let: LOCAL, const: LOCAL, var: LOCAL, auto: LOCAL },
  return: 'the last expression of a body is its value, so leave `return` out',
  elif: 'write `else if`',
  await: 'nothing waits inside a network, so leave it out',
};

/** Words that start something else elsewhere. Here they are names, so only a fault right after one gives them away. */
const WORDS: Readonly<Record<string, string>> = {
  ...{ import: IMPORT, from: IMPORT, use: IMPORT, require: IMPORT, include: IMPORT },
  ...{ def: METHOD, func: 'a function is written `fn name(x: f32[B]) -> f32[B] => ...`', function: METHOD },
  class: 'a network is a `block`: `export block Name(hidden: int = 8) { ... }`',
  module: 'a network is a `block`: `export block Name(hidden: int = 8) { ... }`',
  struct: 'a record type is written `type Name = { field: type, ... }`',
  interface: 'a record type is written `type Name = { field: type, ... }`',
  lambda: 'a lambda is written `x => x + 1`',
  pass: 'leave it out: braces may be empty',
  pub: 'write `export`',
  with: 'there is no `with`: call what you need',
  try: 'nothing throws inside a network, so there is no `try`',
  ...BEFORE_STATEMENTS,
};

export function habitOf(tokens: readonly IToken[], index: number, expected: string): Habit | null {
  const token = tokens[index];
  const previous = tokens[index - 1];
  for (const at of [index, index - 1]) {
    const word = tokens[at];
    const help = word && startsStatement(tokens, at) ? WORDS[word.image] : undefined;
    if (help !== undefined && Object.hasOwn(WORDS, word?.image ?? '')) return { kind: 'word', index: at, help };
  }
  // `lambda x: x + 1` starts no statement
  if (previous?.image === 'lambda') return { kind: 'word', index: index - 1, help: WORDS['lambda'] ?? '' };
  const rule = token && HINTS.find(({ when }) => when(token, previous, tokens, index, expected));
  return rule ? { kind: 'hint', help: rule.help } : null;
}

interface Hint {
  readonly when: (
    token: IToken,
    previous: IToken | undefined,
    tokens: readonly IToken[],
    index: number,
    expected: string,
  ) => boolean;
  readonly help: string;
}

const HINTS: readonly Hint[] = [
  {
    when: (token, _, tokens, i) => token.tokenType === t.Colon && startsWith(tokens, i, t.If, t.Else, t.For, t.While),
    help: 'what belongs to it stands in braces: `if c { ... } else { ... }`',
  },
  {
    when: (token, previous) => token.tokenType === t.Colon && previous?.tokenType === t.RParen,
    help: 'the type of the result comes after `->`',
  },
  {
    when: (token, previous, tokens, i) =>
      token.tokenType === t.Colon && previous?.tokenType === t.Name && startsStatement(tokens, i - 1),
    help: 'a trained tensor is declared by `param name: type`, a setting by `name = value`',
  },
  {
    when: (token, previous) => token.tokenType === t.Equals && closesType(previous),
    help: 'a body that is one expression comes after `=>`',
  },
  {
    when: (token, previous) => token.tokenType === t.Arrow && (previous?.tokenType === t.Name || closesType(previous)),
    help: 'a lambda is written `x => x + 1`',
  },
  {
    when: (token, _, tokens, i) => token.tokenType === t.End && token.image === '\n' && opensBlock(tokens, i),
    help: 'put the `{` on the same line',
  },
  {
    when: (token, previous) => isOperator(token) && (previous === undefined || previous.tokenType === t.End),
    help: 'to go on with the line above, end that line with the operator',
  },
  {
    when: (token, previous, _, __, expected) =>
      [t.Star, t.StarStar].includes(token.tokenType) && previous?.tokenType === t.Name && expected.startsWith('`~`'),
    help: 'a wildcard stands for a whole step of a path: `*.weight`, `**.bias`',
  },
  {
    when: (token, previous) => token.tokenType === t.If && previous !== undefined && !isOperator(previous),
    help: 'a choice is written `if c { a } else { b }`',
  },
  {
    when: (token, _, __, ___, expected) => token.tokenType === t.Question && expected === 'a dim',
    help: 'a size that the arguments bind has an upper-case name, such as `B`',
  },
  {
    when: (token, _, __, ___, expected) => token.tokenType === t.Tilde && expected.startsWith('`:`'),
    help: 'the type comes first: `param w: f32[3, 4] ~ normal()`',
  },
  {
    when: (token, _, __, ___, expected) => token.tokenType === t.LParen && expected.startsWith('`~`'),
    help: 'the place comes first: `fc.weight ~ xavier_uniform()`',
  },
  {
    when: (token, previous, _, __, expected) =>
      token.tokenType === t.Dot && previous?.tokenType === t.Name && expected.startsWith('`=` and a layer'),
    help: 'one tensor under two names is written `tie a.weight = b.weight`, an initial value in `init { ... }`',
  },
  {
    when: (_, previous, tokens, i) => previous?.tokenType === t.LParen && tokens[i - 2]?.image === 'register_buffer',
    help: 'a buffer is declared by `buffer name: f32[4] ~ zeros()`',
  },
  {
    when: (token) => token.tokenType === t.Question,
    help: 'a choice is written `if c { a } else { b }`',
  },
  {
    when: (token, previous) => token.tokenType === t.For && previous !== undefined,
    help: 'a list is written `[for i in 0..n: Block(i)]`',
  },
  {
    when: (token, _, __, ___, expected) => token.tokenType === t.Comma && expected.startsWith('a new line'),
    help: 'a new line or `;` stands between members, statements and the layers of a `seq`',
  },
  {
    when: (token, previous) =>
      [t.Param, t.Buffer, t.Tie, t.Init, t.Train].includes(token.tokenType) && previous?.tokenType === t.End,
    help: `\`param\`, \`buffer\`, \`tie\`, \`init\` and \`train\` stand directly in a block`,
  },
  {
    when: (_, previous, tokens, i) =>
      KEYWORDS.includes(previous?.image ?? '') && previous?.tokenType === t.Name && startsStatement(tokens, i - 1),
    help: 'a name or a path comes after this word',
  },
];

function startsStatement(tokens: readonly IToken[], index: number): boolean {
  const before = tokens[index - 1];
  return before === undefined || [t.End, t.LCurly, t.Export].includes(before.tokenType);
}

/** Whether the statement around `index` begins with one of `types`. */
function startsWith(tokens: readonly IToken[], index: number, ...types: IToken['tokenType'][]): boolean {
  let i = index - 1;
  while (i >= 0 && !startsStatement(tokens, i) && tokens[i]?.tokenType !== t.Else) i--;
  return types.includes(tokens[i]?.tokenType ?? t.End);
}

/** A line that only lacks its `{`, which stands on the next. */
function opensBlock(tokens: readonly IToken[], index: number): boolean {
  return tokens[index + 1]?.tokenType === t.LCurly;
}

function closesType(token: IToken | undefined): boolean {
  return token !== undefined && [t.RSquare, t.RParen, t.Question].includes(token.tokenType);
}

function isOperator(token: IToken): boolean {
  return token.tokenType.CATEGORIES?.includes(t.Operator) ?? false;
}
