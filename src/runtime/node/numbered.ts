/** Numbered copies of a file, of which the last few are kept. Node only. */
import { fileError } from './file-error.ts';

// Not imported: bundlers for the browser would look for these modules.
const { readdir, unlink } = process.getBuiltinModule('node:fs/promises');
const { basename, dirname, join } = process.getBuiltinModule('node:path');

/** `a.run.safetensors` is `a.run.3.safetensors`; what has no ending gets the number as its own. */
export function numbered(file: string, n: number): string {
  const ending = /\.[^./\\]*$/.exec(file)?.[0] ?? '';
  return `${file.slice(0, file.length - ending.length)}.${n}${ending}`;
}

/** Removes all numbered copies but those with the `keep` largest numbers. Throws FileError. */
export async function keepLast(file: string, keep: number): Promise<void> {
  const [start, end] = numbered(basename(file), NaN).split('NaN') as [string, string];
  try {
    const numbers = (await readdir(dirname(file)))
      .filter((f) => f.startsWith(start) && f.endsWith(end))
      .map((f) => f.slice(start.length, f.length - end.length))
      .filter((text) => /^\d+$/.test(text))
      .sort((a, b) => Number(b) - Number(a));
    for (const n of numbers.slice(keep)) await unlink(join(dirname(file), `${start}${n}${end}`));
  } catch (e) {
    throw fileError(file, e, 'write');
  }
}
