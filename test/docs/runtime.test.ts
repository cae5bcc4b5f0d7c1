/** The page of the runtime: its code runs, and its table of errors is the list of error classes. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as errors from '../../src/runtime/errors.ts';

/** What the blocks of code print, in their order. */
const PRINTED = [
  /Float32Array\(3\)/,
  /^2 0$/m,
  /^8\.1/,
  /^\[ 'net.0.weight', 'net.2.weight' \]$/m,
  /^forward mul main\.net:1 1 /,
  /^$/,
];

const PAGE = readFileSync('docs/runtime.md', 'utf8');

test('the code of the page runs', (t) => {
  const blocks = [...PAGE.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((m) => m[1]!);
  t.is(blocks.length, PRINTED.length);
  const folder = mkdtempSync(join(tmpdir(), 'netwright-docs-'));
  try {
    const index = JSON.stringify(pathToFileURL(resolve('src/index.ts')).href);
    blocks.forEach((text, i) => {
      const file = join(folder, `block${i}.ts`);
      writeFileSync(file, text.replaceAll("'netwright'", index));
      t.regex(execFileSync(process.execPath, [file], { encoding: 'utf8', cwd: folder }), PRINTED[i]!);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the table of errors is complete', (t) => {
  const rows = [...PAGE.matchAll(/^\| `(\w+Error)` +\| `([a-z-]+)`/gm)].map((m): [string, string] => [m[1]!, m[2]!]);
  const classes = Object.values(errors).filter((c) => c !== errors.NetwrightError);
  const made = classes.map((c): [string, string] => {
    const e =
      c === errors.KernelError
        ? new errors.KernelError('x', ['y'], 'z', 'w')
        : new (c as new (a: string, b: string) => errors.NetwrightError)('x', 'y');
    return [e.name, e.code];
  });
  t.deepEqual(rows.sort(), made.sort());
});
