/** Writes named tensors in the format that a path's ending asks for. */
import { basename, dirname, join } from 'node:path';
import { DTypeError } from '../../runtime/errors.ts';
import type { FileTensor } from '../../runtime/formats/checkpoint.ts';
import { writeNpy, writeNpz } from '../../runtime/formats/npy.ts';
import { writeSharded } from '../../runtime/formats/sharded.ts';
import { writeTorchStateDict } from '../../runtime/formats/torch-write.ts';
import { writeFileAtomic } from '../../runtime/node/files.ts';
import { writeSafetensors, type TensorBytes } from '../../runtime/safetensors.ts';
import { BITS } from '../../runtime/formats/dtypes.ts';
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
    const [once, notes] = stored(tensors, metadata);
    for (const [name, parts] of writeSharded(once, shard, notes))
      await writeFileAtomic(join(dirname(path), name), parts);
  } else await writeFileAtomic(path, pieces(path, tensors, metadata));
}

function pieces(path: string, tensors: Tensors, metadata: Metadata): Uint8Array[] {
  switch (/\.[^.]*$/.exec(path)?.[0]) {
    case '.safetensors':
      return writeSafetensors(...stored(tensors, metadata));
    case '.pt':
    case '.pth':
      return writeTorchStateDict(tensors);
    case '.npz':
      return writeNpz(tensors);
    case '.npy': {
      const [only] = tensors.values();
      if (!only || tensors.size !== 1)
        throw fault('wrong_usage', { problem: `a .npy file holds one array, and there are ${tensors.size}: use .npz` });
      return writeNpy(only);
    }
    default:
      throw fault('wrong_usage', { problem: `${path} has no ending that says a format: ${ENDINGS}` });
  }
}

/** One tensor under several names is written once; the other names are notes, as Hugging Face writes them. */
function stored(tensors: Tensors, metadata: Metadata): [Map<string, TensorBytes>, Map<string, string>] {
  const out = new Map<string, TensorBytes>();
  const notes = new Map(metadata);
  const first = new Map<FileTensor, string>();
  for (const [name, t] of tensors) {
    const kept = first.get(t);
    if (kept !== undefined) {
      notes.set(name, kept);
      continue;
    }
    if (!BITS.has(t.dtype) || t.dtype === 'C32' || t.dtype === 'C128')
      throw new DTypeError(`${name} is ${t.dtype}, which safetensors does not have`);
    first.set(t, name);
    out.set(name, { dtype: t.dtype, shape: t.shape, bytes: t.bytes() });
  }
  return [out, notes];
}
