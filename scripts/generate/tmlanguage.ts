/**
 * Writes the TextMate grammar, by which editors and highlighters colour `.net` text, from the token table and the keywords.
 * TextMate reads line by line and cannot see what the parser sees, so a word that is a keyword only in places is
 * one here where the word or sign behind it says so.
 */
import { ELEMS } from '../../src/check/dims.ts';
import { KEYWORDS } from '../../src/parser/keywords.ts';
import * as t from '../../src/parser/tokens.ts';
import type { Generator } from './generator.ts';

interface Pattern {
  readonly name?: string;
  readonly match?: string;
  readonly begin?: string;
  readonly end?: string;
  readonly captures?: Readonly<Record<string, { readonly name: string }>>;
  readonly beginCaptures?: Readonly<Record<string, { readonly name: string }>>;
  readonly endCaptures?: Readonly<Record<string, { readonly name: string }>>;
  readonly patterns?: readonly Pattern[];
  readonly include?: string;
}

const NAME = String(t.Name.PATTERN instanceof RegExp ? t.Name.PATTERN.source : '');
const any = (words: Iterable<string>): string => `(?:${[...words].join('|')})`;
const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const include = (name: string): Pattern => ({ include: `#${name}` });

/** Where a keyword that is a name elsewhere stands: at the beginning of a statement, before this. */
const WORD = `(?=[ \\t]+[A-Za-z_])`;
const SELECTOR = `(?=[ \\t]+[A-Za-z_*])`;
const BRACE = `(?=[ \\t]*\\{)`;
const START = `(?<=^|[;{])([ \\t]*)`;

const RESERVED = KEYWORDS.slice(0, KEYWORDS.indexOf('import'));
const CONTROL = new Set(['if', 'else', 'for', 'in', 'while']);
const CONSTANTS = new Set(['true', 'false', 'none']);
const WORDS = RESERVED.filter((word) => !CONTROL.has(word) && !CONSTANTS.has(word));

/** How each keyword that is not reserved is told from a name. */
const CONTEXTUAL: Readonly<
  Record<string, { readonly before?: string; readonly after: string; readonly scope: string }>
> = {
  import: { before: START, after: BRACE, scope: 'keyword.control' },
  from: { before: '(?<=\\})([ \\t]*)', after: '(?=[ \\t]*")', scope: 'keyword.control' },
  as: { before: '(?<=[A-Za-z0-9_])([ \\t]+)', after: '(?=[ \\t]+[A-Za-z_"])', scope: 'keyword.control' },
  export: { before: START, after: WORD, scope: 'storage.modifier' },
  ...same(['block', 'fn', 'optimizer', 'type', 'const'], {
    before: `(?<=^|[;{]|export)([ \\t]*)`,
    after: WORD,
    scope: 'storage.type',
  }),
  ...same(['param', 'buffer', 'let'], { before: START, after: WORD, scope: 'storage.type' }),
  stored: { before: '(?<=[\\])}?"A-Za-z0-9_])([ \\t]+)', after: WORD, scope: 'storage.modifier' },
  ...same(['tie', 'freeze', 'checkpoint', 'override'], { before: START, after: SELECTOR, scope: 'keyword.other' }),
  ...same(['init', 'train'], { before: START, after: BRACE, scope: 'keyword.other' }),
  update: { before: START, after: WORD, scope: 'keyword.other' },
  require: { before: START, after: '(?=[ \\t]+[A-Za-z0-9_("]|\\()', scope: 'keyword.other' },
  seq: { before: '(?<![.A-Za-z0-9_])()', after: BRACE, scope: 'storage.type' },
  grad: { before: '^([ \\t]*)', after: '(?=[ \\t]*\\()', scope: 'storage.type' },
};

function same<T>(words: readonly string[], value: T): Record<string, T> {
  return Object.fromEntries(words.map((word) => [word, value]));
}

function contextual(): Pattern[] {
  return KEYWORDS.filter((word) => !RESERVED.includes(word)).map((word) => {
    const rule = CONTEXTUAL[word];
    if (!rule) throw new Error(`scripts/generate/tmlanguage.ts does not say where \`${word}\` is a keyword`);
    return {
      match: `${rule.before ?? '()'}\\b(${word})\\b${rule.after}`,
      captures: { '2': { name: `${rule.scope}.${word}.netwright` } },
    };
  });
}

/** `block Name`, `fn name`, `name(args) =>`: what is declared has a scope of its own. */
const DECLARED: readonly Pattern[] = [
  declared(['block', 'optimizer'], 'entity.name.type.class'),
  declared(['fn'], 'entity.name.function'),
  declared(['type'], 'entity.name.type'),
  declared(['const', 'param', 'buffer', 'let'], 'variable.other.constant'),
];

function declared(words: readonly string[], scope: string): Pattern {
  const before = `(?<=^|[;{]|export)([ \\t]*)`;
  return {
    match: `${before}\\b(${words.join('|')})\\b[ \\t]+(${NAME})`,
    captures: { '2': { name: 'storage.type.$2.netwright' }, '3': { name: `${scope}.netwright` } },
  };
}

function operators(): Pattern[] {
  const signs = t.GRAMMAR_TOKENS.flatMap(({ PATTERN }) =>
    typeof PATTERN === 'string' && PATTERN !== '' ? [PATTERN] : [],
  )
    .filter((sign) => !/^[()[\]{},;.:]$/.test(sign))
    .toSorted((a, b) => b.length - a.length);
  return [{ name: 'keyword.operator.netwright', match: any(signs.map(literal)) }];
}

const REPOSITORY: Readonly<Record<string, { readonly patterns: readonly Pattern[] }>> = {
  comments: {
    patterns: [
      { name: 'comment.line.documentation.netwright', match: '///(?!/).*$' },
      { name: 'comment.line.double-slash.netwright', match: '//.*$' },
    ],
  },
  strings: {
    patterns: [
      {
        name: 'string.quoted.double.netwright',
        begin: '"',
        end: '"|$',
        patterns: [
          { name: 'constant.character.escape.netwright', match: '\\\\(?:[ntr0"\\\\]|u\\{[0-9a-fA-F]{1,6}\\})' },
          { name: 'invalid.illegal.escape.netwright', match: '\\\\.' },
          { name: 'constant.character.escape.netwright', match: '\\{\\{|\\}\\}' },
          // Messages and names in files are filled in: `{n}`, `{sizes.0}`.
          { name: 'variable.other.placeholder.netwright', match: `\\{${NAME}(?:\\.(?:${NAME}|\\d+))*\\}` },
        ],
      },
    ],
  },
  // After a dot only an integer is read: `net.0.1` is two steps.
  members: {
    patterns: [
      { match: `(?<!\\.)(\\.)(${NAME})(?=\\()`, captures: { '2': { name: 'entity.name.function.member.netwright' } } },
      { match: `(?<!\\.)(\\.)(${NAME}|\\d+)`, captures: { '2': { name: 'variable.other.member.netwright' } } },
      {
        name: 'keyword.operator.wildcard.netwright',
        match:
          '(?<=\\.)\\*{1,2}|(?<![A-Za-z0-9_)\\]\\s])\\*{1,2}(?=\\.)|(?<=^|[;{]|override|freeze|checkpoint)[ \\t]*\\*{1,2}(?=\\.)',
      },
    ],
  },
  numbers: {
    patterns: [
      { name: 'constant.numeric.float.netwright', match: '\\b(?:\\d+\\.\\d+(?:[eE][+-]?\\d+)?|\\d+[eE][+-]?\\d+)\\b' },
      { name: 'constant.numeric.integer.netwright', match: '\\b\\d+\\b' },
    ],
  },
  dims: {
    patterns: [
      { name: 'support.type.element.netwright', match: `\\b${any(ELEMS)}\\b(?=[ \\t]*[\\[(])` },
      {
        match: `(\\.\\.\\.)(${NAME})`,
        captures: {
          '1': { name: 'keyword.operator.spread.netwright' },
          '2': { name: 'variable.parameter.dim.netwright' },
        },
      },
      { name: 'support.type.netwright', match: '\\b(?:int|float|string|tensor)\\b(?![ \\t]*\\()' },
      { name: 'support.type.netwright', match: '(?<=[:>(,][ \\t]|\\()(?:bool|block)\\b(?=[ \\t]*(?:[,)=?{]|$))' },
      { name: 'variable.parameter.dim.netwright', match: '\\b[A-Z]\\b' },
    ],
  },
  keywords: {
    patterns: [
      ...DECLARED,
      ...contextual(),
      { name: 'keyword.control.netwright', match: `\\b${any(CONTROL)}\\b` },
      { name: 'constant.language.netwright', match: `\\b${any(CONSTANTS)}\\b` },
      { name: 'keyword.operator.word.netwright', match: `\\b${any(WORDS)}\\b` },
    ],
  },
  names: {
    patterns: [
      // `[for x in xs: ...]` and `0..n: ...` end in a value, not in the name of an argument.
      {
        match: `(?<!\\.\\.)(?<!\\bin )\\b(${NAME})(?=:(?!:)[ \\t])`,
        captures: { '1': { name: 'variable.parameter.netwright' } },
      },
      { name: 'entity.name.type.class.netwright', match: '\\b[A-Z][A-Za-z0-9_]+\\b' },
      { name: 'entity.name.function.netwright', match: `\\b[a-z_][A-Za-z0-9_]*(?=\\()` },
      { name: 'variable.language.infer.netwright', match: '(?<![A-Za-z0-9_])_(?![A-Za-z0-9_])' },
      { name: 'variable.other.netwright', match: `\\b${NAME}\\b` },
    ],
  },
  operators: { patterns: operators() },
};

export const tmlanguage: Generator = {
  generate() {
    const grammar = {
      $schema: 'https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json',
      information:
        'Generated from src/parser/tokens.ts and src/parser/keywords.ts by scripts/generate.ts; do not edit.',
      name: 'netwright',
      displayName: 'Netwright',
      scopeName: 'source.netwright',
      fileTypes: ['net'],
      patterns: ['comments', 'strings', 'members', 'numbers', 'keywords', 'dims', 'names', 'operators'].map(include),
      repository: REPOSITORY,
    };
    return Promise.resolve([{ path: 'grammar/net.tmLanguage.json', text: JSON.stringify(grammar), format: true }]);
  },
};
