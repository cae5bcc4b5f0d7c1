/** Named tensors as a file of any format, in pieces that are made one by one. */
import { DTypeError, UsageError } from '../errors.ts';
import { streamSafetensors } from '../safetensors.ts';
import type { FileTensor } from './checkpoint.ts';
import { BITS } from './dtypes.ts';
import { writeNpy, writeNpz } from './npy.ts';
import { writeTorchStateDict } from './torch-write.ts';

export type WrittenFormat = 'safetensors' | 'torch' | 'npz' | 'npy';

const BY_ENDING: ReadonlyMap<string, WrittenFormat> = new Map([
  ['.safetensors', 'safetensors'],
  ['.pt', 'torch'],
  ['.pth', 'torch'],
  ['.npz', 'npz'],
  ['.npy', 'npy'],
]);

/** Null where the ending says nothing. */
export const formatOf = (path: string): WrittenFormat | null =>
  BY_ENDING.get(/\.[^./\\]*$/.exec(path)?.[0].toLowerCase() ?? '') ?? null;

/** Names of formats that others write: safetensors under such a name would be taken for what it is not. */
const OTHERS = /\.(?:onnx|gguf|ggml|h5|hdf5|keras|tflite|pb|msgpack|ckpt)$/i;

/** The format of a file of weights: safetensors unless the ending says another. Throws UsageError for the ending of a format that is not written. */
export function weightsFormat(path: string): WrittenFormat {
  if (OTHERS.test(path))
    throw new UsageError(
      `${path}: weights are written as .safetensors, .pt, .pth or .npz, and under any other name as safetensors`,
    );
  return formatOf(path) ?? 'safetensors';
}

/** Throws DTypeError for an element type that the format lacks. Metadata only goes where the format has a place for it. */
export async function* writeTensors(
  format: WrittenFormat,
  tensors: ReadonlyMap<string, FileTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): AsyncGenerator<Uint8Array> {
  switch (format) {
    case 'safetensors':
      return yield* streamSafetensors(...withoutCopies(tensors, metadata));
    case 'torch':
      return yield* writeTorchStateDict(tensors);
    case 'npz':
      return yield* writeNpz(tensors);
    case 'npy': {
      const [only] = tensors.values();
      if (!only || tensors.size !== 1)
        throw new UsageError(`a .npy file holds one array, and there are ${tensors.size}: use .npz`);
      return yield* await writeNpy(only);
    }
  }
}

/** One tensor under several names is written once; the other names are notes, as Hugging Face writes them. */
export function withoutCopies(
  tensors: ReadonlyMap<string, FileTensor>,
  metadata: ReadonlyMap<string, string>,
): [Map<string, FileTensor>, Map<string, string>] {
  const out = new Map<string, FileTensor>();
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
    out.set(name, t);
  }
  return [out, notes];
}
