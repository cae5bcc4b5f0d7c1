/**
 * What people read when a file is wrong: a folder of test/cases/diagnostics has `input.net` (and perhaps files that it
 * imports), and `expected.txt` is all that the compiler says about it. `UPDATE=1` rewrites; read the difference.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { checkSource } from '../../src/check/index.ts';
import { DiagnosticBag, renderAll } from '../../src/diagnostics/index.ts';

const folder = fileURLToPath(new URL('../cases/diagnostics/', import.meta.url));

for (const name of readdirSync(folder).sort()) {
  test(name, (t) => {
    const expected = join(folder, name, 'expected.txt');
    const actual = diagnose(join(folder, name));
    if (process.env['UPDATE'] === '1') writeFileSync(expected, actual);
    t.is(actual, existsSync(expected) ? readFileSync(expected, 'utf8') : '');
    t.not(actual, '', 'a case of a diagnostic has one');
  });
}

function diagnose(at: string): string {
  const read = (path: string): string | null => {
    const file = join(at, path);
    return existsSync(file) ? readFileSync(file, 'utf8') : null;
  };
  const bag = new DiagnosticBag();
  checkSource({ read }, 'input.net', bag);
  // Places in the library go without their text and line numbers, which would change with every edit of it.
  return renderAll(bag.all, { get: (file) => read(file) ?? undefined }, { width: 100 });
}
