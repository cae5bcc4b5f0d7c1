/** The rules of the house that a machine can check: types, format, fresh generated files, a pure core, short files. */
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { ROOT } from '../support/cli.ts';

const run = promisify(execFile);

/** The output of a command that must succeed; its own words where it does not. */
async function succeeds(file: string, args: readonly string[]): Promise<string | null> {
  try {
    await run(file, args, { cwd: ROOT, maxBuffer: 1 << 26 });
    return null;
  } catch (e) {
    const { stdout, stderr } = e as { stdout: string; stderr: string };
    return `${stdout}\n${stderr}`;
  }
}

const bin = (name: string): string => join(ROOT, 'node_modules', '.bin', name);

test('everything type-checks under the strict settings', async (t) => {
  t.is(await succeeds(bin('tsc'), ['--noEmit']), null);
});

test('everything is formatted', async (t) => {
  t.is(await succeeds(bin('prettier'), ['--check', '.']), null);
});

test('generated files are fresh', async (t) => {
  t.is(await succeeds(process.execPath, ['scripts/generate.ts', '--check']), null);
});

const sources = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((f) => f.isFile() && f.name.endsWith('.ts'))
    .map((f) => relative(ROOT, join(f.parentPath, f.name)));

test('the compiler core reads nothing and writes nothing: no Node modules', (t) => {
  for (const folder of ['parser', 'check', 'ir', 'codegen', 'diagnostics', 'runtime/kernels']) {
    for (const file of sources(`src/${folder}`)) {
      const text = readFileSync(join(ROOT, file), 'utf8');
      t.notRegex(text, /from ['"](node:|fs|path|os)/, file);
      t.notRegex(text, /\bprocess\.|\bglobalThis\b|\brequire\(/, file);
    }
  }
});

test('the runtime can be bundled for a page: it imports no Node module', (t) => {
  for (const file of sources('src/runtime')) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    t.notRegex(text, /^import (?!type).* from ['"]node:|import\(['"](node:|koffi|webgpu)/m, file);
  }
});

test('a file is one idea: at most 400 lines', (t) => {
  const long = sources('src').filter(
    (f) => !f.includes('.generated.') && readFileSync(join(ROOT, f), 'utf8').split('\n').length > 401,
  );
  t.deepEqual(long, []);
});

test('every source file says first why it exists', (t) => {
  for (const file of sources('src')) {
    const text = readFileSync(join(ROOT, file), 'utf8').replace(/^#!.*\n/, '');
    t.regex(text, /^\/(\*\*|\/ Generated)/, file);
  }
});
