/** The catalogue and what is made of it: order, duplicates, templates, suggestions, generated files. */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { CATALOGUE } from '../../src/diagnostics/catalogue.generated.ts';
import { DiagnosticBag, didYouMean, makeDiagnostic, suggest } from '../../src/diagnostics/index.ts';
import type { DiagnosticArgs, Span } from '../../src/diagnostics/index.ts';
import { editDistance } from '../../src/diagnostics/suggest.ts';
import { a, listOf } from '../../src/diagnostics/words.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const at = (start: number, file = 'a.net'): Span => ({ file, start, end: start + 1 });

test('generated files are fresh', (t) => {
  t.notThrows(() => execFileSync(process.execPath, [`${root}scripts/generate.ts`, '--check'], { stdio: 'pipe' }));
});

test('every diagnostic of the catalogue is reported somewhere', (t) => {
  const sources = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.generated.ts'))
    .map((file) => readFileSync(`${root}src/${file}`, 'utf8'))
    .join('\n');
  for (const name of Object.keys(CATALOGUE)) t.true(sources.includes(`'${name}'`), name);
});

test('messages and help lines keep the tone', (t) => {
  for (const [name, { message, help }] of Object.entries(CATALOGUE)) {
    t.notRegex(message, /[.!]$/, `${name}: no full stop`);
    t.notRegex(`${message} ${help ?? ''}`, /!(?!=)|\b(?:illegal|invalid|fatal|oops)\b/i, name);
    t.notRegex(help ?? '', /^[A-Z][a-z]+ /, `${name}: help lines begin small`);
  }
});

test('arguments are those that the templates name', (t) => {
  const args: DiagnosticArgs<'unclosed_bracket'> = { open: '(', close: ')', where: 'here' };
  const { message, help } = makeDiagnostic('unclosed_bracket', args, at(0));
  t.is(message, 'this `(` is never closed');
  t.is(help, 'write `)` here');
  // braces around more than a name are text
  const none: DiagnosticArgs<'missing_else'> = {};
  t.is(makeDiagnostic('missing_else', none, at(0)).help, 'add `else { ... }`');
});

test('an argument that looks like a placeholder is text', (t) => {
  t.is(makeDiagnostic('bad_number', { found: '{found}' }, at(0)).message, '`{found}` is not a number');
  t.is(makeDiagnostic('bad_number', { found: '$&' }, at(0)).message, '`$&` is not a number');
});

test('a bag keeps files in the order first met, places in order, and each message once', (t) => {
  const bag = new DiagnosticBag();
  bag.report('no_self', { name: 'x' }, at(5, 'b.net'));
  bag.report('no_self', { name: 'x' }, at(9, 'a.net'));
  bag.report('no_self', { name: 'x' }, at(1, 'a.net'), { path: 'net.0' });
  bag.report('no_self', { name: 'x' }, at(1, 'a.net'), { path: 'net.1' });
  bag.report('no_self', { name: 'y' }, at(1, 'b.net'));
  t.deepEqual(
    bag.all.map(({ span, path }) => [span.file, span.start, path]),
    [
      ['b.net', 1, null],
      ['b.net', 5, null],
      ['a.net', 1, 'net.0'],
      ['a.net', 9, null],
    ],
  );
  t.is(bag.size, 4);
  t.true(bag.hasErrors);
});

test('warnings are no errors', (t) => {
  const bag = new DiagnosticBag();
  bag.report('unused_import', { name: 'A' }, at(0));
  t.false(bag.hasErrors);
  t.is(bag.errorCount, 0);
  t.is(bag.size, 1);
});

test('suggestions', (t) => {
  const names = ['kernel_size', 'padding', 'bias', 'LayerNorm', 'relu', 'B'];
  t.is(suggest('kernel_sise', names), 'kernel_size');
  t.is(suggest('kernal_size', names), 'kernel_size');
  t.is(suggest('bais', names), 'bias');
  t.is(suggest('layer_norm', names), 'LayerNorm');
  t.is(suggest('ReLU', names), 'relu');
  t.is(suggest('y', names), null);
  t.is(suggest('b', names), 'B');
  t.is(suggest('zebra', names), null);
  t.is(suggest('bias', names), null);
  t.is(didYouMean('biass', names), 'did you mean `bias`?');
  t.is(suggest('bat', ['cat', 'bar']), 'bar');
});

test('distances', (t) => {
  t.is(editDistance('', 'abc'), 3);
  t.is(editDistance('abc', 'abc'), 0);
  t.is(editDistance('abcd', 'abdc'), 1);
  t.is(editDistance('kitten', 'sitting'), 3);
});

test('words', (t) => {
  t.is(listOf([]), 'nothing');
  t.is(listOf(['a', 'b', 'c'], 'and'), '`a`, `b` and `c`');
  t.is(a('int'), 'an int');
});
