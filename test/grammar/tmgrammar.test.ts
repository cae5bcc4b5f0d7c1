/**
 * Every example through vscode-tmgrammar-test, which colours with VS Code's own engine: the assertions are made from the
 * compiler's tokens, a line per token, so they cannot go stale; `lesson.net` beside this file has some written by hand.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { parse } from '../../src/parser/index.ts';
import { markKeywords } from '../../src/parser/keywords.ts';
import { lex } from '../../src/parser/lexer.ts';
import * as t from '../../src/parser/tokens.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const HEADER = '// SYNTAX TEST "source.netwright"\n';

/** The scope of tokens whose scope the kind alone decides; names and keywords of declarations depend on their place. */
const SCOPES: ReadonlyMap<unknown, string> = new Map([
  [t.Float, 'constant.numeric.float.netwright'],
  [t.Text, 'string.quoted.double.netwright'],
  [t.And, 'keyword.operator.word.netwright'],
  [t.Or, 'keyword.operator.word.netwright'],
  [t.Not, 'keyword.operator.word.netwright'],
  [t.True, 'constant.language.netwright'],
  [t.False, 'constant.language.netwright'],
  [t.None, 'constant.language.netwright'],
]);
const WORDS: ReadonlyMap<string, string> = new Map([
  ...['block', 'buffer', 'fn', 'param'].map((word) => [word, `storage.type.${word}.netwright`] as const),
  ...['if', 'else', 'for', 'while'].map((word) => [word, 'keyword.control.netwright'] as const),
  ['export', 'storage.modifier.export.netwright'],
  ['import', 'keyword.control.import.netwright'],
]);

/** `text` with a line of assertion below the line of each token of known scope, and how many there are. */
function asserted(text: string): { readonly text: string; readonly count: number } {
  const bag = new DiagnosticBag();
  const { tokens, docs } = lex(text, '', bag);
  parse(text, '', bag);
  markKeywords(tokens);
  const below = new Map<number, string[]>();
  const claim = (offset: number, length: number, scope: string): void => {
    const before = text.slice(0, offset).split('\n');
    const column = before.at(-1)!.length;
    // The first two columns lie under the comment's sign and are pointed at with an arrow.
    const mark =
      column < 2
        ? `// <${'~'.repeat(column)}${'-'.repeat(length)}`
        : `//${' '.repeat(column - 2)}${'^'.repeat(length)}`;
    below.set(before.length, [...(below.get(before.length) ?? []), `${mark} ${scope}`]);
  };
  for (const token of tokens) {
    const isName = token.tokenType === t.Name;
    const scope = SCOPES.get(token.tokenType) ?? (isName ? undefined : WORDS.get(token.image));
    if (scope !== undefined) claim(token.startOffset, token.image.length, scope);
  }
  for (const doc of docs) claim(doc.startOffset, doc.image.length, 'comment.line.documentation.netwright');
  const lines = text.split('\n').flatMap((line, i) => [line, ...(below.get(i + 1) ?? [])]);
  return { text: HEADER + lines.join('\n'), count: [...below.values()].flat().length };
}

function colours(files: readonly string[]): { readonly ok: boolean; readonly output: string } {
  const tool = join(root, 'node_modules/vscode-tmgrammar-test/dist/unit.js');
  try {
    const output = execFileSync(process.execPath, [tool, '-g', join(root, 'grammar/net.tmLanguage.json'), ...files], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    return { ok: true, output };
  } catch (error) {
    return { ok: false, output: String((error as { stdout?: unknown }).stdout ?? error) };
  }
}

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(join(tmpdir(), 'netwright-colours-'));
  t.teardown(() => rmSync(made, { recursive: true }));
  return made;
}

test('every example, with assertions made from its tokens', (t) => {
  const made = folder(t);
  const names = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.net'));
  t.true(names.length > 20);
  for (const name of names) {
    const { text, count } = asserted(readFileSync(join(root, 'examples', name), 'utf8'));
    t.true(count > 5, `${name} has ${count} assertions`);
    writeFileSync(join(made, name), text);
  }
  const { ok, output } = colours(names.map((name) => join(made, name)));
  t.true(ok, output);
});

test('the lesson, with assertions written by hand', (t) => {
  const { ok, output } = colours([join(root, 'test/grammar/lesson.net')]);
  t.true(ok, output);
});

test('an assertion that is wrong fails', (t) => {
  const file = join(folder(t), 'wrong.net');
  writeFileSync(file, `${HEADER}block A() {}\n// <----- keyword.control.netwright\n`);
  t.false(colours([file]).ok);
});
