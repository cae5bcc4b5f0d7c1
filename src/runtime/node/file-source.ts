/** A file on the disk as a source: ranges are read where they lie, whatever the size of the file. Node only. */
import type { FileHandle } from 'node:fs/promises';
import { CheckpointError } from '../errors.ts';
import type { Opened } from '../sources/open.ts';
import { checkRange, type ByteSource } from '../sources/source.ts';
import { fileError } from './file-error.ts';

// Not imported: bundlers for the browser would look for these modules.
const { constants } = process.getBuiltinModule('node:fs');
const { open } = process.getBuiltinModule('node:fs/promises');
const { dirname, join } = process.getBuiltinModule('node:path');
const { fileURLToPath } = process.getBuiltinModule('node:url');

/** Linux reads at most 2 GiB at once. */
const MAX_READ = 1 << 30;

/** The file that the path names now: one that is renamed over it later is another. Throws FileError. */
export async function fileSource(path: string): Promise<ByteSource> {
  const file = await open(path, constants.O_RDONLY).catch((e: unknown) => {
    throw fileError(path, e, 'read');
  });
  try {
    const at = await file.stat();
    if (at.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    return rangesOf(file, path, at.size);
  } catch (e) {
    await file.close();
    throw fileError(path, e, 'read');
  }
}

function rangesOf(file: FileHandle, path: string, size: number): ByteSource {
  return {
    name: path,
    size,
    close: () => file.close(),
    async read(offset, length) {
      checkRange(this, offset, length);
      // Memory of its own, which is not cleared first: all of it is written.
      const { buffer } = Buffer.allocUnsafeSlow(length);
      for (let done = 0; done < length;) {
        const part = new Uint8Array(buffer, done, Math.min(MAX_READ, length - done));
        const { bytesRead } = await file.read(part, 0, part.length, offset + done).catch((e: unknown) => {
          throw fileError(path, e, 'read');
        });
        if (bytesRead === 0) throw new CheckpointError(path, 'the file was cut short while it was read', offset + done);
        done += bytesRead;
      }
      return new Uint8Array(buffer);
    },
  };
}

export async function openPath(from: string | URL): Promise<Opened> {
  const path = from instanceof URL ? fileURLToPath(from) : from;
  return { source: await fileSource(path), beside: (name) => fileSource(join(dirname(path), name)) };
}
