/** Formatting changes the layout and nothing else, and formatting again changes nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import fc from 'fast-check';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { loadFormatter } from '../../src/format/format.ts';
import { parse } from '../../src/parser/index.ts';
import { randomSource, scatter } from '../support/random-source.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const format = await loadFormatter();
if (!format) throw new Error('prettier is a dependency of the tests');

const files = ['bench', 'examples', 'stdlib', 'test/networks', 'test/cases']
  .flatMap((folder) =>
    readdirSync(root + folder, { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  )
  .filter((name) => name.endsWith('.net'));

const SPANS = new Set(['span', 'opSpan']);

/** Null where the text has errors. */
function tree(text: string): string | null {
  const bag = new DiagnosticBag();
  const { imports, decls } = parse(text, '', bag);
  return bag.hasErrors
    ? null
    : JSON.stringify([imports, decls], (key, value: unknown) => (SPANS.has(key) ? undefined : value), 1);
}

/** The comments, in order of their texts: some move. */
const comments = (text: string): string[] =>
  text
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '')
    .split('\n')
    .flatMap((line) => /\/\/.*/.exec(line)?.[0].trimEnd() ?? [])
    .toSorted();

async function holds(
  t: { is(a: unknown, b: unknown, message?: string): unknown; deepEqual(a: unknown, b: unknown): unknown },
  text: string,
) {
  const before = tree(text);
  if (before === null) return false;
  const once = await format!(text);
  t.is(tree(once), before, once);
  t.deepEqual(comments(once), comments(text));
  t.is(await format!(once), once);
  return true;
}

for (const file of files) {
  test(file, async (t) => {
    const text = readFileSync(root + file, 'utf8');
    if (!(await holds(t, text))) await t.throwsAsync(format(text), { instanceOf: SyntaxError });
    // Golden cases keep the layout that they are about.
    else if (!file.startsWith('test/cases/')) t.is(await format(text), text, 'run `netwright fmt` on it');
  });
}

test('files of the tree with comments and line breaks everywhere', async (t) => {
  const texts = files.map((file) => readFileSync(root + file, 'utf8')).filter((text) => tree(text) !== null);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...texts), fc.infiniteStream(fc.nat({ max: 99 })), async (text, choices) => {
      await holds(
        t,
        scatter(text, () => choices.next().value as number),
      );
    }),
    { numRuns: 100 },
  );
});

test('programs that nobody would write', async (t) => {
  let parsed = 0;
  await fc.assert(
    fc.asyncProperty(randomSource, async (text) => {
      if (await holds(t, text)) parsed++;
    }),
    { numRuns: 500 },
  );
  t.true(parsed > 400, `${parsed} of 500 parse`);
});
