/** A file on the disk as a source: ranges are read where they lie, whatever the size of the file. Node only. */
import type { FileHandle } from 'node:fs/promises';
import { CheckpointError } from '../errors.ts';
import type { Opened } from '../sources/open.ts';
import { checkRange, type ByteSource, type Disk } from '../sources/source.ts';
import { fileError } from './file-error.ts';

// Not imported: bundlers for the browser would look for these modules.
const { constants, readSync } = process.getBuiltinModule('node:fs');
const { open } = process.getBuiltinModule('node:fs/promises');
const { dirname, join } = process.getBuiltinModule('node:path');
const { fileURLToPath } = process.getBuiltinModule('node:url');

/** So much is read at once; of a larger range, several parts at a time. Also, Linux reads at most 2 GiB. */
const PART = 1 << 24;

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
  const disk = diskOf(file, path);
  return {
    name: path,
    size,
    disk,
    close: () => file.close(),
    async read(offset, length) {
      checkRange(this, offset, length);
      // Memory of its own, which is not cleared first: all of it is written.
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
      await disk.fill(offset, bytes);
      return bytes;
    },
  };
}

function diskOf(file: FileHandle, path: string): Disk {
  const more = (bytesRead: number, at: number): number => {
    if (bytesRead > 0) return bytesRead;
    throw new CheckpointError(path, 'the file was cut short while it was read', at);
  };
  const fillPart = async (offset: number, target: Uint8Array): Promise<void> => {
    for (let at = 0; at < target.length;) {
      const { bytesRead } = await file.read(target, at, target.length - at, offset + at).catch((e: unknown) => {
        throw fileError(path, e, 'read');
      });
      at += more(bytesRead, offset + at);
    }
  };
  return {
    async fill(offset, target) {
      const starts = Array.from({ length: Math.ceil(target.length / PART) }, (_, i) => i * PART);
      await Promise.all(starts.map((at) => fillPart(offset + at, target.subarray(at, at + PART))));
    },
    fillNow(offset, target) {
      for (let at = 0; at < target.length;) {
        try {
          at += more(readSync(file.fd, target, at, Math.min(PART, target.length - at), offset + at), offset + at);
        } catch (e) {
          throw fileError(path, e, 'read');
        }
      }
    },
  };
}

export async function openPath(from: string | URL): Promise<Opened> {
  const path = from instanceof URL ? fileURLToPath(from) : from;
  return { source: await fileSource(path), beside: (name) => fileSource(join(dirname(path), name)) };
}
