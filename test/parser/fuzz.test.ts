/** Whatever the text, the parser comes back with a tree whose places lie in the text, and says when something was wrong. */
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import fc from 'fast-check';
import { DiagnosticBag, renderAll, toJson } from '../../src/diagnostics/index.ts';
import { KEYWORDS, parse } from '../../src/parser/index.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const samples = [
  ...readdirSync(`${root}test/cases/parser`).map((name) => `test/cases/parser/${name}/input.net`),
  ...['examples/lenet.net', 'examples/tied.net', 'stdlib/optim/optimizers.net'],
].map((file) => readFileSync(root + file, 'utf8'));

function survives(text: string): void {
  const bag = new DiagnosticBag();
  const tree = parse(text, 'a.net', bag);
  for (const { span, related } of bag.all) {
    for (const place of [span, ...related.map((r) => r.span)]) {
      if (!(place.start >= 0 && place.start <= place.end && place.end <= text.length))
        throw new Error(`${place.start}..${place.end}`);
    }
  }
  JSON.stringify(tree, (key, value: unknown) => {
    // a slice has an expression called `start`
    if ((key === 'start' || key === 'end') && typeof value === 'number' && !(value >= 0 && value <= text.length))
      throw new Error(`${key} ${value}`);
    return value;
  });
  const sources = new Map([['a.net', text]]);
  renderAll(bag.all, sources, { color: true, width: 60 });
  toJson(bag.all, sources);
}

const words = [
  ...KEYWORDS,
  ...[
    'x',
    'Linear',
    '_',
    'self',
    'f32',
    'True',
    'def',
    '0',
    '1',
    '2.5',
    '1e-3',
    '"a"',
    "'b'",
    '"c',
    '\n',
    '\n',
    '\n',
    ';',
  ],
  ...['(', ')', '[', ']', '{', '}', ',', ':', '?', '~', '|', '=', '->', '=>', '.', '..', '...', '+', '-', '*', '**'],
  ...['/', '%', '@', '==', '!=', '<', '<=', '>', '>=', '+=', '//', '///', '#', '/*', '!', '&&', '\\', 'é', '\ud800'],
];

test('soup of tokens', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { maxLength: 80 }), (soup) => survives(soup.join(' '))),
      { numRuns: 2000 },
    ),
  );
});

test('soup of characters', (t) => {
  t.notThrows(() => fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 100 }), survives), { numRuns: 1000 }));
});

test('files with pieces cut out, doubled, moved and replaced', (t) => {
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.integer({ min: 0, max: 40 }),
    put: fc.oneof(fc.constant(''), fc.constantFrom(...words), fc.string({ maxLength: 4 })),
  });
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.constantFrom(...samples), fc.array(edit, { minLength: 1, maxLength: 4 }), (sample, edits) => {
        let text = sample;
        for (const { at, cut, put } of edits) {
          const start = Math.floor(at * text.length);
          text = text.slice(0, start) + put + text.slice(start + cut);
        }
        survives(text);
      }),
      { numRuns: 500 },
    ),
  );
});
