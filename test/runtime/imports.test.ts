/** What may import what: a generated module pulls in the runtime alone, and the compiler's core runs anywhere. */
import test from 'ava';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

interface Import {
  readonly from: string;
  readonly to: string;
  /** `import('...')`: loaded when it is first needed. */
  readonly later: boolean;
}

const STATIC = /^(?:import|export)\s+(?!type\b)(?:[\w*\s{},$]+?\sfrom\s+)?['"]([^'"]+)['"];/gm;
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

/** Imports that exist when the file runs: type imports are gone by then. */
function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const find = (pattern: RegExp, later: boolean): Import[] =>
    [...text.matchAll(pattern)].map((m) => ({ from: file, to: resolved(file, m[1]!), later }));
  return [...find(STATIC, false), ...find(DYNAMIC, true)];
}

const resolved = (file: string, to: string): string =>
  to.startsWith('.') ? relative('.', join(dirname(file), to)) : to;

/** Every import that a file reaches; `later` ones are followed unless they are not asked for. */
function graph(start: string, withLater = true): Import[] {
  const seen = new Set<string>();
  const out: Import[] = [];
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const i of importsOf(file)) {
      out.push(i);
      if (i.to.endsWith('.ts') && (withLater || !i.later)) visit(i.to);
    }
  };
  visit(start);
  return out;
}

const show = (list: readonly Import[]): string[] => list.map((i) => `${i.from} imports ${i.to}`);

test('the runtime imports nothing but itself, and a library that inflates when an archive is read', (t) => {
  const all = graph('src/runtime/index.ts');
  t.true(all.length > 20);
  const node = (i: Import): boolean => i.from.startsWith('src/runtime/node/') && i.to.startsWith('node:');
  const inflate = (i: Import): boolean => i.from === 'src/runtime/formats/zip.ts' && i.to === 'fflate';
  const foreign = all.filter((i) => !(i.to.startsWith('src/runtime/') || node(i) || inflate(i)));
  t.deepEqual(show(foreign), []);
  t.deepEqual(
    show(all.filter((i) => i.to.startsWith('src/runtime/kernels/'))),
    [],
    'kernels are built by the compiler',
  );
});

test('readers of formats other than safetensors are loaded when they are asked for', (t) => {
  const eager = graph('src/runtime/index.ts', false).filter((i) => !i.later);
  t.deepEqual(show(eager.filter((i) => i.to === 'fflate')), []);
});

test('what is loaded later is not named by the runtime for its users too', (t) => {
  // A bundler that splits code would put it beside a page's first code: esbuild looks at files there, not at what is used of them.
  const later = new Set(graph('src/runtime/index.ts').flatMap((i) => (i.later ? [i.to] : [])));
  t.true(later.has('src/runtime/weights.ts'));
  t.deepEqual(show(importsOf('src/runtime/index.ts').filter((i) => later.has(i.to))), []);
});

test('what only Node has is loaded when it is asked for', (t) => {
  const eager = graph('src/runtime/index.ts').filter((i) => i.to.startsWith('src/runtime/node/') && !i.later);
  t.deepEqual(show(eager.filter((i) => !i.from.startsWith('src/runtime/node/'))), []);
});

test('the core of the compiler knows no file system, no process and no shell around it', (t) => {
  const CORE = ['parser', 'check', 'ir', 'codegen', 'diagnostics'];
  for (const part of CORE) {
    for (const name of readdirSync(`src/${part}`, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue;
      const file = join('src', part, name);
      const bad = importsOf(file).filter(({ to }) => to.startsWith('node:') || to.startsWith('src/cli/'));
      t.deepEqual(show(bad), []);
      t.notRegex(readFileSync(file, 'utf8'), /\bprocess\.(env|argv|stdout|cwd)\b/, file);
    }
  }
});

test('the library itself is free of Node: it can be bundled for a browser', (t) => {
  const eager = graph('src/index.ts').filter(
    (i) => i.to.startsWith('node:') && !i.from.startsWith('src/runtime/node/'),
  );
  t.deepEqual(show(eager), []);
});
