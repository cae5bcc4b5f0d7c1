/** Atomic writes: whatever happens, a path holds the old content or the new one. */
import test from 'ava';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeFileAtomic } from '../../src/runtime/node/files.ts';

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-files-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('replaces the content and leaves nothing else behind', async (t) => {
  await withFolder(async (folder) => {
    const path = join(folder, 'a.bin');
    await writeFileAtomic(path, 'old');
    await writeFileAtomic(path, [Uint8Array.of(1, 2), Uint8Array.of(3)]);
    t.deepEqual([...readFileSync(path)], [1, 2, 3]);
    t.deepEqual(readdirSync(folder), ['a.bin']);
  });
});

test('a write that fails leaves the old content and no temporary file', async (t) => {
  await withFolder(async (folder) => {
    const path = join(folder, 'a.bin');
    writeFileSync(path, 'old');
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(1);
      throw new Error('no more');
    };
    await t.throwsAsync(writeFileAtomic(path, broken()), { message: 'no more' });
    t.is(readFileSync(path, 'utf8'), 'old');
    t.deepEqual(readdirSync(folder), ['a.bin']);
    await t.throwsAsync(writeFileAtomic(join(folder, 'no', 'a.bin'), 'x'), {
      code: 'file',
      message: /no[\\/]a\.bin: cannot be written: there is no such folder$/,
    });
  });
});

test('a process killed while it writes leaves a whole file', async (t) => {
  await withFolder(async (folder) => {
    const path = join(folder, 'big.bin');
    const size = 4_000_000;
    writeFileSync(path, new Uint8Array(size));
    const url = pathToFileURL('src/runtime/node/files.ts').href;
    // Writes files of one repeated byte for ever; each is told apart by that byte.
    const script = `
      import { writeFileAtomic } from ${JSON.stringify(url)};
      for (let i = 1; ; i++) {
        await writeFileAtomic(${JSON.stringify(path)}, Array.from({ length: 40 }, () => new Uint8Array(${size / 40}).fill(i)));
        if (i === 1) process.stdout.write('started');
      }`;
    for (let round = 0; round < 15; round++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await new Promise((done) => child.stdout.once('data', done));
      await new Promise((done) => setTimeout(done, (round * 7) % 17));
      child.kill('SIGKILL');
      await new Promise((done) => child.once('exit', done));
      const bytes = readFileSync(path);
      t.is(bytes.length, size);
      t.true(bytes.every((b) => b === bytes[0]));
    }
  });
});
