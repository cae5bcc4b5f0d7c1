/**
 * What fusion makes of typical programs. A case is a folder: `input.ir`, and `expected.ir` after fusion; folders named
 * `*_backward` are differentiated by all their float parameters first. `UPDATE=1` rewrites; read the difference.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { WASM } from '../../src/codegen/targets.ts';
import type { Module } from '../../src/ir/ir.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { vjp } from '../../src/ir/passes/autodiff.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { inline } from '../../src/ir/passes/inline.ts';
import { simplify } from '../../src/ir/passes/simplify.ts';
import { printFunc } from '../../src/ir/print.ts';
import { verify } from '../../src/ir/verify.ts';

const CASES = new URL('../cases/fuse/', import.meta.url);

function gradients(module: Module): { module: Module; root: string } {
  const main = module.funcs.get('main')!;
  const wrt = main.body.params.flatMap((p, i) => (p.type.elem === 'f32' ? [i] : []));
  const made = vjp(simplify(module), 'main', wrt);
  return { module: inline(made.module, [made.func]), root: made.func };
}

for (const name of readdirSync(CASES)) {
  test(`fuse ${name}`, (t) => {
    const folder = new URL(`${name}/`, CASES);
    const input = parseModule(readFileSync(new URL('input.ir', folder), 'utf8'));
    t.deepEqual(verify(input), []);
    const { module, root } = name.endsWith('_backward') ? gradients(input) : { module: input, root: 'main' };
    const late = { late: true };
    const fused = fuse(simplify(decompose(simplify(module, late)), late), WASM);
    t.deepEqual(verify(fused), []);
    const actual = printFunc(fused.funcs.get(root)!);
    const expected = new URL('expected.ir', folder);
    if (process.env['UPDATE'] === '1' || !existsSync(expected)) writeFileSync(expected, actual);
    t.is(actual, readFileSync(expected, 'utf8'));
  });
}
