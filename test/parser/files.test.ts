/** Every .net file of the project parses, and its tree points at the text it was made from. */
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { DiagnosticBag, renderAll } from '../../src/diagnostics/index.ts';
import type { Span } from '../../src/diagnostics/index.ts';
import { parse } from '../../src/parser/index.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const files = ['stdlib', 'examples', 'test'].flatMap((folder) =>
  readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.net') && !name.includes('cases/diagnostics'))
    .map((name) => `${folder}/${name}`),
);

test('there are files', (t) => {
  t.true(files.length > 20);
});

for (const file of files) {
  test(file, (t) => {
    const text = readFileSync(root + file, 'utf8');
    const bag = new DiagnosticBag();
    const tree = parse(text, file, bag);
    t.is(renderAll(bag.all, new Map([[file, text]])), '');
    t.is(faultOfSpans(tree, { file, start: 0, end: text.length }), null);
  });
}

/** A node lies inside its parent; siblings in a list do not overlap; nothing is empty. */
function faultOfSpans(node: unknown, parent: Span): string | null {
  if (Array.isArray(node)) {
    let end = 0;
    for (const item of node as unknown[]) {
      const span = spanOf(item);
      if (span && span.start < end) return `overlap at ${span.start}`;
      if (span) end = span.end;
      const fault = faultOfSpans(item, parent);
      if (fault !== null) return fault;
    }
    return null;
  }
  if (typeof node !== 'object' || node === null) return null;
  const span = spanOf(node) ?? parent;
  if (span.start >= span.end) return `empty at ${span.start}`;
  if (span.start < parent.start || span.end > parent.end)
    return `${span.start}..${span.end} outside ${parent.start}..${parent.end}`;
  for (const [key, value] of Object.entries(node)) {
    const fault = key === 'span' || key === 'opSpan' ? null : faultOfSpans(value, span);
    if (fault !== null) return fault;
  }
  return null;
}

function spanOf(node: unknown): Span | null {
  return typeof node === 'object' && node !== null && 'span' in node ? (node.span as Span) : null;
}
