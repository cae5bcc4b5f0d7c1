/** Every ```net block of the documentation compiles, or is refused with the code it states. */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { checkSource } from '../../src/check/index.ts';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';

const PAGES = [
  'README.md',
  ...readdirSync(new URL('../../docs/', import.meta.url)).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'));

interface Example {
  readonly where: string;
  readonly code: string | null;
  readonly text: string;
}

function examples(page: string): Example[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^```net(?: error (NW\d{4}))?\n([\s\S]*?)^```$/gm)].map((m) => ({
    where: `${page}:${text.slice(0, m.index).split('\n').length}`,
    code: m[1] ?? null,
    text: m[2]!,
  }));
}

for (const { where, code, text } of PAGES.flatMap(examples)) {
  test(`${where} ${code ?? 'compiles'}`, (t) => {
    const bag = new DiagnosticBag();
    checkSource({ read: (path) => (path === 'example.net' ? text : null) }, 'example.net', bag);
    const errors = bag.all.filter((d) => d.severity === 'error').map((d) => `${d.code} ${d.message}`);
    if (code)
      t.deepEqual(
        errors.map((e) => e.slice(0, 6)),
        [code],
        errors.join('\n'),
      );
    else t.deepEqual(errors, []);
  });
}
