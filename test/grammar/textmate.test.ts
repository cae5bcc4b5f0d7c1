/**
 * The TextMate grammar colours what the compiler reads: on every file of the tree each token of the lexer has a scope
 * that fits its kind, contextual keywords included.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { createHighlighter, type LanguageRegistration } from 'shiki';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { parse } from '../../src/parser/index.ts';
import { markKeywords } from '../../src/parser/keywords.ts';
import { lex } from '../../src/parser/lexer.ts';
import * as t from '../../src/parser/tokens.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const grammar = JSON.parse(readFileSync(`${root}grammar/net.tmLanguage.json`, 'utf8')) as LanguageRegistration;
const highlighter = await createHighlighter({ langs: [grammar], themes: ['github-light'] });

const files = ['bench', 'examples', 'stdlib', 'test/networks', 'test/cases']
  .flatMap((folder) =>
    readdirSync(root + folder, { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  )
  .filter((name) => name.endsWith('.net'));

/** Scopes by the offset of each piece of text that has its own. */
function scopesOf(text: string): (offset: number) => string {
  const { tokens } = highlighter.codeToTokens(text, {
    lang: 'netwright' as never,
    theme: 'github-light',
    includeExplanation: 'scopeName',
  });
  const pieces = tokens.flat().flatMap(({ offset, explanation = [] }) => {
    let at = offset;
    return explanation.map(({ content, scopes }) => {
      const piece = { start: at, scope: scopes.map(({ scopeName }) => scopeName).join(' ') };
      at += content.length;
      return piece;
    });
  });
  return (offset) => pieces.findLast(({ start }) => start <= offset)?.scope ?? '';
}

const WORDS = new Set([t.And, t.Or, t.Not]);
const CONSTANTS = new Set([t.True, t.False, t.None]);
const isKeyword = (type: object): boolean => 'PATTERN' in type && String(type.PATTERN) === String(t.And.PATTERN);

/** What the scope of a token of that type must contain. */
function wanted(token: { readonly tokenType: typeof t.Name; readonly image: string }): RegExp | null {
  const { tokenType: type, image } = token;
  if (type === t.Name) return /entity|variable|support/;
  if (type === t.Int) return /constant\.numeric\.integer|variable\.other\.member/;
  if (type === t.Float) return /constant\.numeric\.float/;
  if (type === t.Text) return /string\.quoted/;
  if (WORDS.has(type)) return /keyword\.operator\.word/;
  if (CONSTANTS.has(type)) return /constant\.language/;
  if (isKeyword(type)) return new RegExp(`(keyword\\.control|(keyword|storage)\\.[a-z.]+\\.${image})\\.netwright`);
  if (type === t.Newline || /^[()[\]{},;.:]$/.test(image)) return null;
  return /keyword\.operator/;
}

for (const file of files) {
  const text = readFileSync(root + file, 'utf8');
  const bag = new DiagnosticBag();
  parse(text, '', bag);
  if (bag.hasErrors) continue;
  test(file, (t) => {
    const { tokens, docs } = lex(text, '', new DiagnosticBag());
    markKeywords(tokens);
    const scopes = scopesOf(text);
    for (const token of tokens) {
      const fits = wanted(token);
      if (!fits) continue;
      const line = text.slice(0, token.startOffset).split('\n').length;
      t.regex(scopes(token.startOffset), fits, `\`${token.image}\` in line ${line}`);
    }
    for (const doc of docs) t.regex(scopes(doc.startOffset), /comment\.line\.documentation/);
    t.notRegex(
      [...text]
        .map((_, i) => scopes(i))
        .join(' ')
        .slice(0, 100_000),
      /invalid/,
    );
  });
}
