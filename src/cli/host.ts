/** Reads sources for the compiler from the disk, inside one root folder. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { SourceHost } from '../check/index.ts';
import { fault } from './fault.ts';

const isOutside = (root: string, full: string): boolean => {
  const rel = relative(root, full);
  return rel === '..' || rel.startsWith(`..${sep}`) || isAbsolute(rel);
};

/** The root and the path of the file under it: the working folder, or the file's own where it lies outside. */
export function locate(file: string): { root: string; path: string } {
  const full = resolve(file);
  const root = isOutside(process.cwd(), full) ? dirname(full) : process.cwd();
  return { root, path: relative(root, full).replaceAll('\\', '/') };
}

/** What this machine's processor calls itself; where it has no name, the kind that it is. */
export const processorName = (): string => cpus()[0]?.model.trim() || process.arch;

/** `entry` is a file that the user named: it alone may be a link to a file outside the root. */
export function diskHost(root: string, entry: string | null = null): SourceHost {
  return {
    get processor() {
      return processorName();
    },
    read(path) {
      const full = join(root, path);
      const at = statSync(full, { throwIfNoEntry: false });
      if (!at) return null;
      if (!at.isFile())
        throw fault('cannot_read', { path, reason: at.isDirectory() ? 'it is a folder' : 'it is no ordinary file' });
      if (path !== entry && isOutside(realpathSync(root), realpathSync(full)))
        throw fault('cannot_read', { path, reason: 'it is a link that leads out of the project' });
      return decodeText(readFileSync(full), path);
    },
  };
}

/** Text that is not UTF-8 is refused: replaced characters would change names and strings unseen. */
function decodeText(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fault('cannot_read', { path, reason: `line ${firstBadLine(bytes)} is not UTF-8 text` });
  }
}

/** A newline is never part of another character, so lines can be decoded one by one. */
function firstBadLine(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (let line = 1, start = 0; ; line++) {
    const end = bytes.indexOf(10, start);
    try {
      decoder.decode(bytes.subarray(start, end < 0 ? bytes.length : end));
    } catch {
      return line;
    }
    if (end < 0) return line;
    start = end + 1;
  }
}
