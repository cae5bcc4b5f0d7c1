/** `netwright fmt` as a user runs it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { folder, netwright } from '../support/cli.ts';

const UGLY = 'export fn   double(x:f32[...S])->f32[...S] =>2.0*x // twice\n';
const NEAT = 'export fn double(x: f32[...S]) -> f32[...S] => 2.0 * x // twice\n';

test('fmt writes the layout of the language, and --check only asks for it', async (t) => {
  const cwd = folder(t);
  const file = join(cwd, 'a.net');
  writeFileSync(file, UGLY);

  const check = await netwright(['fmt', '--check', 'a.net'], { cwd });
  t.is(check.code, 1);
  t.regex(check.err, /NW5021[^]*a\.net/);
  t.is(readFileSync(file, 'utf8'), UGLY);

  const json = await netwright(['fmt', '--check', '--json', 'a.net'], { cwd });
  t.is((JSON.parse(json.out) as { code: string }).code, 'NW5021');

  t.deepEqual(await netwright(['fmt', 'a.net'], { cwd }), { code: 0, out: 'formatted a.net\n', err: '' });
  t.is(readFileSync(file, 'utf8'), NEAT);
  t.deepEqual(await netwright(['fmt', '--check', 'a.net'], { cwd }), { code: 0, out: '', err: '' });
});

test('a file with syntax errors is left alone, and the others are formatted', async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, 'bad.net'), 'fn f(x => x\n');
  writeFileSync(join(cwd, 'good.net'), UGLY);
  const run = await netwright(['fmt', 'bad.net', 'good.net'], { cwd });
  t.is(run.code, 1);
  t.regex(run.err, /bad\.net:1/);
  t.is(readFileSync(join(cwd, 'bad.net'), 'utf8'), 'fn f(x => x\n');
  t.is(readFileSync(join(cwd, 'good.net'), 'utf8'), NEAT);
});

test('a file that is missing is said before any is changed', async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, 'a.net'), UGLY);
  const run = await netwright(['fmt', 'a.net', 'b.net'], { cwd });
  t.is(run.code, 1);
  t.regex(run.err, /NW5001/);
  t.is(readFileSync(join(cwd, 'a.net'), 'utf8'), UGLY);
});

test('fmt takes folders: the .net files in them, and nothing of what npm installed', async (t) => {
  const cwd = folder(t);
  for (const path of ['nets/deep', 'nets/node_modules/other']) mkdirSync(join(cwd, path), { recursive: true });
  const loose = 'const   a = 1';
  for (const name of ['nets/a.net', 'nets/deep/b.net', 'nets/note.txt', 'nets/node_modules/other/c.net'])
    writeFileSync(join(cwd, name), loose);
  t.deepEqual(await netwright(['fmt', 'nets'], { cwd }), {
    code: 0,
    out: 'formatted nets/a.net\nformatted nets/deep/b.net\n',
    err: '',
  });
  for (const name of ['nets/note.txt', 'nets/node_modules/other/c.net'])
    t.is(readFileSync(join(cwd, name), 'utf8'), loose);
});
