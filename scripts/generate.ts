/**
 * Writes the files that are made from others: `node scripts/generate.ts`, or `--check` to fail where one is stale.
 * Each generator is a file of scripts/generate/ and an entry of `GENERATORS`.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import type { Generator } from './generate/generator.ts';
import { diagnostics } from './generate/diagnostics.ts';
import { library } from './generate/library.ts';
import { ops } from './generate/ops.ts';
import { stdlib } from './generate/stdlib.ts';
import { tmlanguage } from './generate/tmlanguage.ts';

const GENERATORS: readonly Generator[] = [diagnostics, library, ops, stdlib, tmlanguage];

const root = fileURLToPath(new URL('..', import.meta.url));
const check = process.argv.includes('--check');
let stale = 0;

for (const generator of GENERATORS) {
  const files = await generator.generate(root);
  if (generator.folder !== undefined) await removeOthers(generator.folder, new Set(files.map((file) => file.path)));
  for (const file of files) {
    const path = join(root, file.path);
    const text = file.format ? await pretty(path, file.text) : file.text;
    if (text === (await readFile(path, 'utf8').catch(() => null))) continue;
    stale++;
    if (check) {
      console.error(`${file.path} is stale: run \`node scripts/generate.ts\``);
    } else {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
      console.log(`wrote ${file.path}`);
    }
  }
}
if (check && stale > 0) process.exitCode = 1;

/** Removes what is in the folder and not among the paths, or says that it is stale. */
async function removeOthers(folder: string, paths: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(join(root, folder)).catch(() => [])) {
    const path = `${folder}/${name}`;
    if (paths.has(path)) continue;
    stale++;
    if (check) {
      console.error(`${path} is made from nothing: run \`node scripts/generate.ts\``);
    } else {
      await rm(join(root, path));
      console.log(`removed ${path}`);
    }
  }
}

/** So that `prettier --check` and `--check` agree on what a fresh file looks like. */
async function pretty(path: string, text: string): Promise<string> {
  return format(text, { ...(await resolveConfig(path)), filepath: path });
}
