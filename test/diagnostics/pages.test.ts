/**
 * The example of each page fails with the code of the page, and the page shows what the compiler prints. `UPDATE=1`
 * rewrites what it shows. A line `// name.net` in an example begins a file; the first is the one compiled.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { checkSource } from '../../src/check/index.ts';
import { DiagnosticBag, renderAll } from '../../src/diagnostics/index.ts';

const folder = fileURLToPath(new URL('../../docs/diagnostics/', import.meta.url));

/** What is set from outside the file makes these, or what comes after checking. */
const OUTSIDE = new Set(['NW4001.md', 'NW4002.md', 'NW4038.md', 'NW4050.md', 'NW4060.md', 'NW4061.md']);
const PAGE = /```net\n(?<example>[\s\S]*?)```\n(?:\n```text\n(?<shown>[\s\S]*?)```\n)?/;

// Codes from NW5000 on are about input and machines, which no file alone can show.
for (const name of readdirSync(folder).filter((file) => /^NW[1-4]\d{3}\.md$/.test(file) && !OUTSIDE.has(file))) {
  test(name, (t) => {
    const page = readFileSync(folder + name, 'utf8');
    const { example, shown } = PAGE.exec(page)?.groups ?? {};
    if (example === undefined) return t.fail('no example in the language');
    const { entry, sources } = filesOf(example);
    const bag = new DiagnosticBag();
    checkSource({ read: (path) => sources.get(path) ?? null }, entry, bag);
    const codes = bag.all.map(({ code }) => code);
    t.true(codes.includes(name.slice(0, 6)), `it gives ${codes.join(', ') || 'nothing'}`);

    const own = bag.all.filter(({ code }) => code === name.slice(0, 6)).slice(0, 1);
    const printed = renderAll(own, sources, { width: 100 });
    if (process.env['UPDATE'] === '1' && own.length > 0) {
      const block = `\`\`\`net\n${example}\`\`\`\n\n\`\`\`text\n${printed}\`\`\`\n`;
      writeFileSync(
        folder + name,
        page.replace(PAGE, () => block),
      );
    } else {
      t.is(shown, printed);
    }
  });
}

function filesOf(example: string): { entry: string; sources: Map<string, string> } {
  const parts = example.split(/^\/\/ ([a-z]+\.net)\n/m);
  if (parts.length === 1) return { entry: 'example.net', sources: new Map([['example.net', example]]) };
  const sources = new Map<string, string>();
  for (let i = 1; i < parts.length; i += 2) sources.set(parts[i] ?? '', (parts[i + 1] ?? '').trim() + '\n');
  return { entry: parts[1] ?? '', sources };
}
