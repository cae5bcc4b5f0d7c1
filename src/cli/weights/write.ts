/** Writes named tensors in the format that a path's ending asks for. */
import { basename, dirname, join } from 'node:path';
import type { FileTensor } from '../../runtime/formats/checkpoint.ts';
import { writeSharded } from '../../runtime/formats/sharded.ts';
import { formatOf, withoutCopies, writeTensors } from '../../runtime/formats/write.ts';
import { writeFileAtomic } from '../../runtime/node/files.ts';
import { fault } from '../fault.ts';

const ENDINGS = '.safetensors, .safetensors.index.json, .pt, .pth, .npz or .npy';

/** Default size of a file where a model is written in several. */
const SHARD = 5_000_000_000;

export type Metadata = ReadonlyMap<string, string>;
type Tensors = ReadonlyMap<string, FileTensor>;

export async function writeWeights(path: string, tensors: Tensors, metadata: Metadata, shard = SHARD): Promise<void> {
  if (path.endsWith('.safetensors.index.json')) {
    if (basename(path) !== 'model.safetensors.index.json')
      throw fault('wrong_usage', { problem: 'an index is called model.safetensors.index.json' });
    // The index last: until it is there, the folder holds no new model.
    const [once, notes] = withoutCopies(tensors, metadata);
    for (const [name, parts] of writeSharded(once, shard, notes))
      await writeFileAtomic(join(dirname(path), name), parts);
    return;
  }
  const format = formatOf(path);
  if (format === null) throw fault('wrong_usage', { problem: `${path} has no ending that says a format: ${ENDINGS}` });
  await writeFileAtomic(path, writeTensors(format, tensors, metadata));
}
