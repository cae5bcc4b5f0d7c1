/** What the parser makes of the language: a folder of test/cases/parser has `input.net` and its tree. `UPDATE=1` rewrites. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { DiagnosticBag, renderAll } from '../../src/diagnostics/index.ts';
import { parse } from '../../src/parser/index.ts';
import { printAst } from '../support/print-ast.ts';

const folder = fileURLToPath(new URL('../cases/parser/', import.meta.url));

for (const name of readdirSync(folder).sort()) {
  test(name, (t) => {
    const text = readFileSync(`${folder}${name}/input.net`, 'utf8');
    const bag = new DiagnosticBag();
    const { imports, decls } = parse(text, 'input.net', bag);
    t.is(renderAll(bag.all, new Map([['input.net', text]])), '');
    const actual = [...imports, ...decls].map((node) => `${printAst(node)}\n`).join('\n');
    const expected = `${folder}${name}/ast.txt`;
    if (process.env['UPDATE'] === '1') writeFileSync(expected, actual);
    t.is(actual, existsSync(expected) ? readFileSync(expected, 'utf8') : '');
  });
}
