/** Whole files, old or new: written beside the target, flushed, and renamed over it. Node only. */
import { fileError } from './file-error.ts';

// Not imported: bundlers for the browser would look for these modules.
const { closeSync, fsync, openSync, readdirSync, rmSync, write, writeSync } = process.getBuiltinModule('node:fs');
const { open, readFile, rename } = process.getBuiltinModule('node:fs/promises');
const { hostname } = process.getBuiltinModule('node:os');
const { basename, dirname, join } = process.getBuiltinModule('node:path');
const { promisify } = process.getBuiltinModule('node:util');

let counter = 0;

/** What is written, in order. Pieces that are made one by one are never in memory together. */
export type Content = string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Replaces the file's content. Whatever interrupts it, the path holds the old content or the new one, whole. What processes
 * that were killed left behind beside it is removed. Throws FileError, and whatever `content` throws.
 *
 * What is in memory is handed to the system before anything else runs, so that pieces may be views of what changes later; the
 * disk is waited for afterwards.
 */
export async function writeFileAtomic(path: string, content: Content): Promise<void> {
  const [folder, name] = [dirname(path), basename(path)];
  const temp = join(folder, `.${name}.${HOST}-${process.pid}-${counter++}.tmp`);
  try {
    sweep(folder, name);
    const file = openSync(temp, 'w');
    try {
      if (typeof content === 'string') writeNow(file, new TextEncoder().encode(content));
      else if (Symbol.iterator in content) for (const part of content) writeNow(file, part);
      else for await (const part of content) await writePart(file, part);
      await promisify(fsync)(file);
    } finally {
      closeSync(file);
    }
    await rename(temp, path);
  } catch (e) {
    remove(temp);
    throw fileError(path, e, 'write');
  }
  // The rename itself is durable once the folder is flushed; not every system lets a folder be opened.
  const handle = await open(folder).catch(() => null);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

/** Measured: larger writes are slower, as the system copies what no longer is in the processor's cache. */
const STEP = 1 << 19;

function writeNow(file: number, part: Uint8Array): void {
  for (let at = 0; at < part.length;) at += writeSync(file, part, at, Math.min(STEP, part.length - at));
}

async function writePart(file: number, part: Uint8Array): Promise<void> {
  for (let at = 0; at < part.length;)
    at += (await promisify(write)(file, part, at, Math.min(STEP, part.length - at))).bytesWritten;
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It stays: the next save of the same file tries again.
  }
}

/** Machines that share a folder do not know each other's processes. */
const HOST =
  hostname()
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, 24) || 'host';

/** Removes what writers of this file left that are no more. */
function sweep(folder: string, name: string): void {
  for (const other of namesIn(folder)) {
    if (!other.startsWith(`.${name}.${HOST}-`)) continue;
    const pid = /^(\d+)-\d+\.tmp$/.exec(other.slice(`.${name}.${HOST}-`.length))?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) remove(join(folder, other));
  }
}

/** A folder that may be written may be one that cannot be listed. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
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
