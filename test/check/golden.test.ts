/**
 * Small blocks as net IR: a folder of test/cases/check has `input.net` and `expected.ir`, the functions of its exported
 * block's methods. `UPDATE=1` rewrites; read the difference.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { printModule } from '../../src/ir/print.ts';
import { verify } from '../../src/ir/verify.ts';
import { block } from '../support/check.ts';

const folder = fileURLToPath(new URL('../cases/check/', import.meta.url));

for (const name of readdirSync(folder).sort()) {
  test(name, (t) => {
    const made = block(readFileSync(`${folder}${name}/input.net`, 'utf8'));
    t.deepEqual(verify(made.module), []);
    // Initialisers are the library's, and tested with it.
    const funcs = [...made.module.funcs].filter(([f]) => !f.startsWith('init_'));
    const text = printModule({ funcs: new Map(funcs) });
    const expected = `${folder}${name}/expected.ir`;
    if (process.env['UPDATE'] === '1') writeFileSync(expected, text);
    t.is(text, existsSync(expected) ? readFileSync(expected, 'utf8') : '');
  });
}
