/** Reads sources for the compiler from the disk, inside one root folder. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { SourceHost } from '../check/index.ts';

/** The root and the path of the file under it: the working folder, or the file's own where it lies outside. */
export function locate(file: string): { root: string; path: string } {
  const full = resolve(file);
  const rel = relative(process.cwd(), full);
  const outside = rel.startsWith('..') || isAbsolute(rel);
  const root = outside ? dirname(full) : process.cwd();
  return { root, path: relative(root, full).replaceAll('\\', '/') };
}

export function diskHost(root: string): SourceHost {
  return {
    read(path) {
      const full = join(root, path);
      return existsSync(full) && statSync(full).isFile() ? readFileSync(full, 'utf8') : null;
    },
  };
}
