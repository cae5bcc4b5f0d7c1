/** Damaged and hostile files cost little: within 1 s and 100 MB each, measured on a process that reads them all. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { ROOT } from '../support/cli.ts';
import { badFiles, FOLDER, type BadFile } from './corpus.ts';

test('every bad file is read or refused within 1 s and 100 MB', (t) => {
  t.timeout(120_000);
  const bad = badFiles('safetensors', 'safetensors-sharded', 'torch-zip', 'torch-legacy', 'npy', 'npz', 'gguf');
  t.true(bad.length > 100);
  const index = (f: BadFile): string => (f.format === 'safetensors-sharded' ? '/model.safetensors.index.json' : '');
  const names = ['good/st_one_bf16.safetensors', ...bad.map((f) => `bad/${f.file}${index(f)}`)];
  const files = names.map((f) => join(FOLDER, f));
  const out = execFileSync(process.execPath, ['--expose-gc', join(ROOT, 'test/support/read-all.ts'), ...files], {
    encoding: 'utf8',
  });
  const { grown, slowest } = JSON.parse(out) as { grown: number; slowest: number };
  t.true(grown < 100e6, `${(grown / 1e6).toFixed(0)} MB`);
  t.true(slowest < 1000, `${slowest.toFixed(0)} ms`);
});
