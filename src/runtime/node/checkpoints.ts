/** Files of weights on the disk, in any format. Node only. */
import { dirname, extname, join } from 'node:path';
import type { CheckpointFile, FileTensor } from '../formats/checkpoint.ts';
import { writeNpz } from '../formats/npy.ts';
import { isIndex, readCheckpoint } from '../formats/read.ts';
import { readIndex, readSharded } from '../formats/sharded.ts';
import { TorchTensor } from '../formats/torch-tensor.ts';
import { torchTensor, writeTorchStateDict } from '../formats/torch-write.ts';
import type { Weights } from '../ema.ts';
import { toStored, weightsToBytes } from '../weights.ts';
import { readBytes, writeFileAtomic } from './files.ts';

/** The file, whatever its format is; for an index, the files that it names beside itself. */
export async function openCheckpoint(path: string): Promise<CheckpointFile> {
  const bytes = await readBytes(path);
  if (!isIndex(bytes)) return readCheckpoint(bytes, path);
  const index = readIndex(bytes, path);
  const shards = new Map<string, { bytes: Uint8Array; file: string }>();
  for (const name of index.shards) {
    const file = join(dirname(path), name);
    shards.set(name, { bytes: await readBytes(file), file });
  }
  return readSharded(index, shards, path);
}

export async function saveWeights(model: Weights, path: string): Promise<void> {
  await writeFileAtomic(path, await pieces(model, extname(path)));
}

async function pieces(model: Weights, extension: string): Promise<Uint8Array[]> {
  if (extension === '.npz') return writeNpz(await stateOf(model));
  return extension === '.pt' || extension === '.pth'
    ? writeTorchStateDict(await stateOf(model))
    : weightsToBytes(model);
}

/** The state dict as tensors of a file: tied names share one storage, and a transposed tie is a view of it. */
async function stateOf(model: Weights): Promise<Map<string, FileTensor>> {
  const live = new Map([...model.named_parameters(), ...model.named_buffers()]);
  const fetched = [...new Set(model.artifact.stateDict.map((e) => e.tensor))].map(async (tensor) => {
    const entry = model.artifact.tensors[tensor]!;
    const { dtype, shape, bytes } = await toStored(live.get(entry.name)!.data, entry.stored);
    return [tensor, torchTensor({ dtype, shape, nbytes: bytes.length, bytes: () => bytes })] as const;
  });
  const made = new Map(await Promise.all(fetched));
  return new Map(
    model.artifact.stateDict.map(({ name, tensor, transposed }) => {
      const t = made.get(tensor)!;
      return [name, transposed ? turned(t) : t];
    }),
  );
}

function turned(t: TorchTensor): TorchTensor {
  const { dtype, shape, strides, offset } = t;
  const view = { dtype, shape: shape.toReversed(), strides: strides.toReversed(), offset };
  return new TorchTensor(t.storage, view, { requiresGrad: false });
}
