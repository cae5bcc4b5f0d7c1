/** How the command line starts. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import test from 'ava';
import { folder, ROOT } from '../support/cli.ts';

test('Node keeps what it parsed for the next command, unless it is told not to', (t) => {
  const kept = (env: Readonly<Record<string, string>>): boolean => {
    const dir = folder(t);
    const bin = join(ROOT, 'src', 'cli', 'bin.ts');
    const { NODE_COMPILE_CACHE: _, NODE_DISABLE_COMPILE_CACHE: __, ...rest } = process.env;
    const own = { ...rest, TMPDIR: dir, TEMP: dir, ...env };
    const { status, stderr } = spawnSync(process.execPath, [bin, '--version'], { env: own, encoding: 'utf8' });
    t.is(status, 0, stderr);
    const cache = join(dir, 'node-compile-cache');
    return existsSync(cache) && readdirSync(cache).length > 0;
  };
  t.true(kept({}));
  t.false(kept({ NODE_DISABLE_COMPILE_CACHE: '1' }));
});
