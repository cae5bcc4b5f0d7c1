/** Embeds the standard library as text, so that the compiler core reads no files: `std/nn` is `stdlib/nn.net`, or the files of `stdlib/nn/` in alphabetical order. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Generator } from './generator.ts';

export const stdlib: Generator = {
  async generate(root) {
    const library = join(root, 'stdlib');
    const entries = await readdir(library, { withFileTypes: true });
    const modules = await Promise.all(
      entries.map(async (entry): Promise<readonly [string, string]> => {
        const path = join(library, entry.name);
        return entry.isDirectory()
          ? [`std/${entry.name}`, await readFolder(path)]
          : [`std/${entry.name.replace(/\.net$/, '')}`, await readFile(path, 'utf8')];
      }),
    );
    modules.sort(([a], [b]) => (a < b ? -1 : 1));
    const text = [
      '/** The standard library by import path. Generated from stdlib/ by `node scripts/generate.ts`; do not edit. */',
      'export const STDLIB: Readonly<Record<string, string>> = {',
      ...modules.map(([name, source]) => `  '${name}': ${template(source)},`),
      '};',
      '',
    ];
    return [{ path: 'src/stdlib.generated.ts', text: text.join('\n'), format: true }];
  },
};

/** A folder is one module: its files have no imports and share one scope. */
async function readFolder(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.net')).sort();
  return (await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))).join('\n');
}

const template = (text: string): string => '`' + text.replace(/[`\\]|\$\{/g, (found) => `\\${found}`) + '`';
