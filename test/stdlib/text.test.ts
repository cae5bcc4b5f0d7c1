/** The library as text: every file parses, every exported declaration is documented, and the embedded copy is fresh. */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { libraryDeclarations } from '../../src/check/library.ts';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { parse } from '../../src/parser/index.ts';
import { STDLIB } from '../../src/stdlib.generated.ts';

for (const [path, text] of Object.entries(STDLIB)) {
  test(`${path}: parses and documents what it exports`, (t) => {
    const bag = new DiagnosticBag();
    const file = parse(text, path, bag);
    t.deepEqual(
      bag.all.map((d) => d.message),
      [],
    );
    // The files of a folder are one module, private names included.
    const names = file.decls.map((d) => d.name.name);
    t.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
    for (const d of file.decls) {
      if (!d.exported) continue;
      t.true(d.doc.trim() !== '', `${d.name.name} has no documentation`);
    }
  });
}

for (const [path, text] of Object.entries(STDLIB)) {
  test(`${path}: its declarations one by one are those of the whole`, (t) => {
    const whole = parse(text, path, new DiagnosticBag()).decls;
    const pieces = libraryDeclarations(path, text);
    t.deepEqual(
      pieces.all.map(({ name, span, kind, exported }) => ({ name: { name, span }, kind, exported })),
      whole.map(({ name, kind, exported }) => ({ name, kind, exported })),
    );
    t.deepEqual(
      pieces.all.map((d) => pieces.get(d.name)),
      [...whole],
    );
  });
}

test('files are short, say why they exist and are embedded as they are', (t) => {
  const embedded = Object.values(STDLIB).join('\n');
  const root = new URL('../../stdlib/', import.meta.url);
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.net')) continue;
    const text = readFileSync(new URL(name, root), 'utf8');
    const lines = text.split('\n');
    t.true(embedded.includes(text), `${name}: run npm run generate`);
    t.true(lines.length <= 400, name);
    t.true(lines[0]!.startsWith('// '), `${name} does not say why it exists`);
  }
});

test('every block says its formula, its shapes and its source, and its page shows them with the signature', (t) => {
  const layers = parse(STDLIB['std/nn']!, '', new DiagnosticBag()).decls.filter(
    (d) => d.exported && (d.kind === 'block' || /^[A-Z]/.test(d.name.name)),
  );
  t.true(layers.length > 130);
  for (const { name, doc } of layers) {
    const paragraph = (label: string): string =>
      new RegExp(`^${label}: ([^]*?)(?=\\n\\s*\\n|$(?![^]))`, 'm').exec(doc)?.[1] ?? '';
    t.regex(paragraph('Formula'), /`[^`]*=[^`]*`/, `${name.name}: no equation`);
    t.regex(paragraph('Shapes'), /\[.*\].*\b(to|give)\b.*(\[|the same)/s, `${name.name}: no shapes`);
    t.regex(paragraph('Source'), /https:\/\/\S+$/, `${name.name}: no source`);
    const page = readFileSync(new URL(`../../docs/library/${name.name}.md`, import.meta.url), 'utf8');
    t.regex(page, new RegExp(`^\`\`\`text\\n(block|fn) ${name.name}\\(`, 'm'), `${name.name}: no signature`);
    for (const heading of ['Formula', 'Shapes', 'Source']) {
      t.regex(page, new RegExp(`^## ${heading}\\n\\n[^#\\s]`, 'm'), `${name.name}: its page has no ${heading}`);
    }
  }
});
