/** What `npm pack` puts into the package: the manifest that users install has no scripts, and asks for the Node that is needed. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'ava';

type Manifest = Readonly<Record<string, unknown>> & { readonly files: string[]; readonly engines: { node: string } };

test('packing changes the manifest, and restores it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-pack-'));
  try {
    const file = join(folder, 'package.json');
    copyFileSync('package.json', file);
    const read = (): Manifest => JSON.parse(readFileSync(file, 'utf8')) as Manifest;
    const whole = read();
    const run = (...args: string[]): Buffer =>
      execFileSync(process.execPath, [resolve('scripts/pack.ts'), ...args], { cwd: folder });
    run();
    const published = read();
    t.deepEqual(
      Object.keys(whole).filter((key) => !(key in published)),
      ['scripts', 'optionalDependencies', 'devDependencies', 'ava'].filter((key) => key in whole),
    );
    t.deepEqual([...published.files].sort(), ['dist', 'docs', 'examples', 'grammar', 'stdlib']);
    // The command line refuses what is older: see its first lines.
    const [, major, minor] = /major < (\d+) .*minor < (\d+)/.exec(readFileSync('src/cli/bin.ts', 'utf8'))!;
    t.is(published.engines.node, `>=${major}.${minor}`);
    run('--restore');
    t.deepEqual(read(), whole);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
