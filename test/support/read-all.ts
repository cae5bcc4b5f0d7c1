/** Opens each of the files named and reads all of it; prints by how many bytes the process grew at most, over all of them. */
import { CheckpointError, FileError, openWeights } from '../../src/runtime/index.ts';

const files = process.argv.slice(2);
const peak = (): number => process.resourceUsage().maxRSS * 1024;
let before: number | null = null;
let slowest = 0;
for (const path of files) {
  const started = performance.now();
  try {
    const file = await openWeights(path);
    try {
      for (const x of file.tensors.values()) await x.bytes();
    } finally {
      await file.close();
    }
  } catch (e) {
    // A shard that is not there.
    if (!(e instanceof CheckpointError || e instanceof FileError)) throw e;
  }
  // The first is a good one: what it loads of the program is not the files' doing.
  if (before === null) before = peak();
  else slowest = Math.max(slowest, performance.now() - started);
  globalThis.gc?.();
}
console.log(JSON.stringify({ grown: peak() - before!, slowest }));
