/** A model's weights as a file on the disk, in the format that its name asks for. Node only. */
import type { Weights } from '../ema.ts';
import type { FileTensor } from '../formats/checkpoint.ts';
import { TorchTensor } from '../formats/torch-tensor.ts';
import { torchTensor } from '../formats/torch-write.ts';
import { weightsFormat, writeTensors } from '../formats/write.ts';
import { toStored } from '../stored.ts';
import { weightsNow, weightsToBytes } from '../weights.ts';
import { writeFileAtomic } from './files.ts';

/** The weights as they are now: training may go on while the disk is waited for. */
export async function saveWeights(model: Weights, path: string): Promise<void> {
  const format = weightsFormat(path);
  if (format !== 'safetensors') return writeFileAtomic(path, writeTensors(format, await stateOf(model)));
  await writeFileAtomic(path, weightsNow(model) ?? (await weightsToBytes(model)));
}

/** The state dict as tensors of a file: tied names share one storage, and a transposed tie is a view of it. */
async function stateOf(model: Weights): Promise<Map<string, FileTensor>> {
  const live = new Map([...model.named_parameters(), ...model.named_buffers()]);
  const fetched = [...new Set(model.artifact.stateDict.map((e) => e.tensor))].map(async (tensor) => {
    const entry = model.artifact.tensors[tensor]!;
    const { dtype, shape, bytes } = await toStored(live.get(entry.name)!.data, entry.stored);
    return [tensor, torchTensor({ dtype, shape, nbytes: bytes.length, bytes: async () => bytes })] as const;
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
