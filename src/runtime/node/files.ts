/** Whole files, old or new: written beside the target, flushed, and renamed over it. Node only. */
import type { FileHandle } from 'node:fs/promises';
import { fileError } from './file-error.ts';

// Not imported: bundlers for the browser would look for these modules.
const { open, readdir, readFile, rename, unlink } = process.getBuiltinModule('node:fs/promises');
const { hostname } = process.getBuiltinModule('node:os');
const { basename, dirname, join } = process.getBuiltinModule('node:path');

let counter = 0;

/** What is written, in order. Pieces that are made one by one are never in memory together. */
export type Content = string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Replaces the file's content. Whatever interrupts it, the path holds the old content or the new one, whole. What processes
 * that were killed left behind beside it is removed. Throws FileError, and whatever `content` throws.
 */
export async function writeFileAtomic(path: string, content: Content): Promise<void> {
  const [folder, name] = [dirname(path), basename(path)];
  const temp = join(folder, `.${name}.${HOST}-${process.pid}-${counter++}.tmp`);
  await sweep(folder, name);
  try {
    const file = await open(temp, 'w');
    try {
      await writeAll(file, content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temp, path);
  } catch (e) {
    await unlink(temp).catch(() => undefined);
    throw fileError(path, e, 'write');
  }
  // The rename itself is durable once the folder is flushed; not every system lets a folder be opened.
  const handle = await open(folder).catch(() => null);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

/** Measured: larger writes are slower, as the system copies what no longer is in the processor's cache. */
const STEP = 1 << 19;

async function writeAll(file: FileHandle, content: Content): Promise<void> {
  if (typeof content === 'string') return file.writeFile(content);
  for await (const part of content) {
    for (let at = 0; at < part.length;) {
      const { bytesWritten } = await file.write(part, at, Math.min(STEP, part.length - at));
      at += bytesWritten;
    }
  }
}

/** Machines that share a folder do not know each other's processes. */
const HOST =
  hostname()
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, 24) || 'host';

/** Removes what writers of this file left that are no more. */
async function sweep(folder: string, name: string): Promise<void> {
  for (const other of await readdir(folder).catch(() => [])) {
    if (!other.startsWith(`.${name}.${HOST}-`)) continue;
    const pid = /^(\d+)-\d+\.tmp$/.exec(other.slice(`.${name}.${HOST}-`.length))?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await unlink(join(folder, other)).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    // EPERM: another user's.
    return e instanceof Error && 'code' in e && e.code !== 'ESRCH';
  }
}

/** As a plain Uint8Array: a Buffer's `slice` would not copy. */
export async function readBytes(path: string): Promise<Uint8Array> {
  const b = await readFile(path).catch((e: unknown) => {
    throw fileError(path, e, 'read');
  });
  return new Uint8Array(b.buffer, b.byteOffset, b.byteLength);
}
