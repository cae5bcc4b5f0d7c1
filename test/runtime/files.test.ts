/** Atomic writes: whatever happens, a path holds the old content or the new one. */
import test from 'ava';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

const KILLS = 200;
const LANES = 4;
const SIZE = 4_000_000;
const URL = JSON.stringify(pathToFileURL('src/runtime/node/files.ts').href);

test(`of ${KILLS} processes killed while they write, each leaves a whole file, and the next save sweeps the rest`, async (t) => {
  await withFolder(async (folder) => {
    const lane = async (lane: number): Promise<void> => {
      const path = join(folder, `${lane}.bin`);
      writeFileSync(path, new Uint8Array(SIZE));
      // Writes files of one repeated byte for ever; each is told apart by that byte.
      const script = `
        import { writeFileAtomic } from ${URL};
        for (let i = 1; ; i++) {
          await writeFileAtomic(${JSON.stringify(path)}, Array.from({ length: 40 }, () => new Uint8Array(${SIZE / 40}).fill(i)));
          if (i === 1) process.stdout.write('started');
        }`;
      for (let round = 0; round < KILLS / LANES; round++) {
        const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const ended = new Promise((done) => child.once('exit', done));
        await new Promise((done) => child.stdout.once('data', done));
        await new Promise((done) => setTimeout(done, Math.random() * 20));
        child.kill('SIGKILL');
        await ended;
        const bytes = readFileSync(path);
        t.is(bytes.length, SIZE);
        t.true(bytes.equals(Buffer.alloc(SIZE, bytes[0])), 'the file is a mixture');
      }
      await writeFileAtomic(path, 'end');
    };
    await Promise.all(Array.from({ length: LANES }, (_, i) => lane(i)));
    t.deepEqual(
      readdirSync(folder).sort(),
      Array.from({ length: LANES }, (_, i) => `${i}.bin`),
    );
  });
});

/** Tries to write 1 MB over a file of 3 bytes in a process that is limited as `setup` says. Gives what the process was told. */
function limited(folder: string, setup: string): string {
  const path = join(folder, 'a.bin');
  const script = `
    import { writeFileAtomic } from ${URL};
    await writeFileAtomic(${JSON.stringify(path)}, 'old');
    await writeFileAtomic(${JSON.stringify(path)}, [new Uint8Array(1_000_000)]).catch((e) => console.log(e.name, e.kind, e.message));`;
  const run = ['-c', `${setup}; exec "$0" --input-type=module -e "$1"`, process.execPath, script];
  return spawnSync('bash', run, { encoding: 'utf8' }).stdout.trim();
}

const posix = process.platform === 'linux' ? test : test.skip;

posix('a file that the system lets grow no further: the old one stays, and nothing beside it', async (t) => {
  await withFolder(async (folder) => {
    t.regex(limited(folder, "trap '' XFSZ; ulimit -f 100"), /^FileError EFBIG .*a\.bin: cannot be written: /);
    t.is(readFileSync(join(folder, 'a.bin'), 'utf8'), 'old');
    t.deepEqual(readdirSync(folder), ['a.bin']);
  });
});

posix('a full disk: the old file stays, and nothing beside it', async (t) => {
  await withFolder(async (folder) => {
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=200k', 'none', folder]).status === 0;
    if (!mounted) {
      t.pass('only root may mount a small disk');
      return;
    }
    try {
      t.regex(limited(folder, ':'), /^FileError ENOSPC .*a\.bin: cannot be written: the disk is full$/);
      t.is(readFileSync(join(folder, 'a.bin'), 'utf8'), 'old');
      t.deepEqual(readdirSync(folder), ['a.bin']);
    } finally {
      spawnSync('umount', [folder]);
    }
  });
});

posix('permission denied: the old file stays, and nothing beside it', async (t) => {
  await withFolder(async (folder) => {
    const path = join(folder, 'a.bin');
    writeFileSync(path, 'old');
    chmodSync(folder, 0o555);
    try {
      // Root may write everywhere but in the kernel's own folders.
      const target = process.getuid?.() === 0 ? '/sys/a.bin' : path;
      await t.throwsAsync(writeFileAtomic(target, 'new'), {
        code: 'file',
        message: /cannot be written: permission denied$/,
      });
      t.deepEqual([readFileSync(path, 'utf8'), readdirSync(folder)], ['old', ['a.bin']]);
    } finally {
      chmodSync(folder, 0o755);
    }
  });
});
