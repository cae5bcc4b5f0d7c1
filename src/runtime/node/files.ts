/** Whole files, old or new: written beside the target, flushed, and renamed over it. Node only. */
import { open, readFile, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

let counter = 0;

/** Replaces the file's content. Whatever interrupts it, the path holds the old content or the new one, whole. */
export async function writeFileAtomic(path: string, content: string | readonly Uint8Array[]): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.${process.pid}.${counter++}.tmp`);
  try {
    const file = await open(temp, 'w');
    try {
      if (typeof content === 'string') await file.writeFile(content);
      else for (const part of content) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temp, path);
  } catch (e) {
    await unlink(temp).catch(() => undefined);
    // The caller knows the file by its own name, and that it was being written.
    throw e instanceof Error ? Object.assign(e, { path, writing: true, message: e.message.replaceAll(temp, path) }) : e;
  }
  // The rename itself is durable once the folder is flushed; not every system lets a folder be opened.
  const folder = await open(dirname(path)).catch(() => null);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

/** As a plain Uint8Array: a Buffer's `slice` would not copy. */
export async function readBytes(path: string): Promise<Uint8Array> {
  // A folder can be opened, and reading it fails without its name.
  const b = await readFile(path).catch((e: unknown) => {
    throw e instanceof Error ? Object.assign(e, { path }) : e;
  });
  return new Uint8Array(b.buffer, b.byteOffset, b.byteLength);
}
