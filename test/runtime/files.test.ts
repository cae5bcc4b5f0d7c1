/** Atomic writes: whatever happens, a path holds the old content or the new one. */
import test from 'ava';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { FileError } from '../../src/runtime/errors.ts';
import { writeFileAtomic } from '../../src/runtime/node/files.ts';
import { absent } from '../support/absent.ts';

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

/**
 * Tries to write 1 MB over a file of 3 bytes in a process that `setup` prepares and `wrapper` starts. Gives what the process was
 * told, what the file holds then, and what the folder has.
 */
function limited(folder: string, setup: string, wrapper: readonly string[] = []): string[] {
  const path = join(folder, 'a.bin');
  const script = `
    import { readdirSync, readFileSync } from 'node:fs';
    import { writeFileAtomic } from ${URL};
    await writeFileAtomic(${JSON.stringify(path)}, 'old');
    await writeFileAtomic(${JSON.stringify(path)}, [new Uint8Array(1_000_000)]).catch((e) => console.log(e.name, e.kind, e.message));
    console.log(readFileSync(${JSON.stringify(path)}, 'utf8'));
    console.log(String(readdirSync(${JSON.stringify(folder)})));`;
  const run = [...wrapper, 'bash', '-c', `${setup}; exec "$0" --input-type=module -e "$1"`, process.execPath, script];
  return spawnSync(run[0]!, run.slice(1), { encoding: 'utf8' }).stdout.trim().split('\n');
}

const linux = process.platform === 'linux';
const posix = linux ? test : test.skip;

posix('a file that the system lets grow no further: the old one stays, and nothing beside it', async (t) => {
  await withFolder(async (folder) => {
    const [told, ...left] = limited(folder, "trap '' XFSZ; ulimit -f 100");
    t.regex(told ?? '', /^FileError EFBIG .*a\.bin: cannot be written: /);
    t.deepEqual(left, ['old', 'a.bin']);
  });
});

const FULL = /^FileError ENOSPC .*a\.bin: cannot be written: the disk is full$/;

/** A small disk of its own needs the right to mount one: root has it, others in a space of users where the system allows that. */
const wrapper = [
  ['unshare', '-m'],
  ['unshare', '-Urm'],
].find(([unshare, flags]) => spawnSync(unshare!, [flags!, 'mount', '-t', 'tmpfs', 'none', '/tmp']).status === 0);
if (linux && !wrapper) test('skipped: no small disk can be mounted here', absent);
const withDisk = wrapper ? posix : test.skip;

withDisk('a full disk: the old file stays, and nothing beside it', async (t) => {
  await withFolder(async (folder) => {
    const [told, ...left] = limited(folder, `mount -t tmpfs -o size=200k none '${folder}'`, wrapper);
    t.regex(told ?? '', FULL);
    t.deepEqual(left, ['old', 'a.bin']);
  });
});

posix(
  'a device that says it is full, where nothing can be mounted: the old file stays, and nothing beside it',
  async (t) => {
    await withFolder(async (folder) => {
      const path = join(folder, 'a.bin');
      await writeFileAtomic(path, 'old');
      // The file beside the target is a name of /dev/full by the time that something is written to it.
      const content = function* (): Generator<Uint8Array> {
        throw new Error(readdirSync(folder).find((name) => name.endsWith('.tmp')));
      };
      const e = await t.throwsAsync(writeFileAtomic(path, content()));
      const beside = /^(.*-)(\d+)(\.tmp)$/.exec(e.message)!;
      symlinkSync('/dev/full', join(folder, `${beside[1]}${Number(beside[2]) + 1}${beside[3]}`));
      const full = await t.throwsAsync(writeFileAtomic(path, [new Uint8Array(1_000_000)]));
      t.true(full instanceof FileError);
      t.regex(`FileError ${(full as FileError).kind} ${full.message}`, FULL);
      t.is(readFileSync(path, 'utf8'), 'old');
      t.deepEqual(readdirSync(folder), ['a.bin']);
    });
  },
);

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
