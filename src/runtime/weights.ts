/** Weights as safetensors: a model's state dict to bytes and back, with PyTorch's names and element types. */
import type { Elem } from './artifact.ts';
import { decode } from './elem.ts';
import { CheckpointError, DTypeError, NetwrightError } from './errors.ts';
import type { Model } from './model.ts';
import { readSafetensors, writeSafetensors, type StoredTensor, type TensorBytes } from './safetensors.ts';
import { Tensor, tensor } from './tensor.ts';

const NAMES: Readonly<Record<Elem, string>> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'I32',
  u32: 'U32',
  bool: 'BOOL',
};

/**
 * The state dict as a file, in pieces. Tied names are written once, under the first name; each dropped name stands in the
 * metadata with the name that it equals, as Hugging Face's writer does. PyTorch's keys and shapes.
 */
export async function weightsToBytes(
  model: Model,
  metadata: ReadonlyMap<string, string> = new Map(),
): Promise<Uint8Array[]> {
  const tensors = new Map<string, Promise<TensorBytes>>();
  const first = new Map<string, string>();
  const notes = new Map([['format', 'pt'], ...metadata]);
  const state = model.state_dict();
  for (const e of model.artifact.stateDict) {
    const info = model.artifact.tensors[e.tensor]!;
    const id = `${e.tensor} ${e.transposed}`;
    const kept = first.get(id);
    if (kept !== undefined) notes.set(e.name, kept);
    else {
      first.set(id, e.name);
      tensors.set(e.name, toStored(state.get(e.name)!, info.stored));
    }
  }
  const read = await Promise.all([...tensors].map(async ([name, t]) => [name, await t] as const));
  return writeSafetensors(new Map(read), notes);
}

/** The tensor as it lies in a file; `stored` is the wider type that PyTorch gives counters. */
export async function toStored(t: Tensor, stored: 'i64' | null): Promise<TensorBytes> {
  const { shape } = t;
  if (stored === 'i64') {
    const wide = BigInt64Array.from((await t.read()) as Int32Array, BigInt);
    return { dtype: 'I64', shape, bytes: new Uint8Array(wide.buffer) };
  }
  if (t.dtype === 'bool') return { dtype: 'BOOL', shape, bytes: Uint8Array.from(await t.read()) };
  return { dtype: NAMES[t.dtype], shape, bytes: (await t.storage.fetch(0, t.nbytes)).slice() };
}

/** Every tensor of a file, names dropped for ties included; element types that the runtime has, 64-bit ones narrowed. */
export function tensorsFromBytes(bytes: Uint8Array, file = ''): Map<string, Tensor> {
  const read = readSafetensors(bytes, file);
  const out = new Map<string, Tensor>();
  for (const [name, t] of read.tensors) out.set(name, fromStored(bytes, t, name, file));
  for (const [dropped, kept] of read.metadata) {
    const t = out.get(kept);
    if (t && !out.has(dropped)) out.set(dropped, t);
  }
  return out;
}

/** The tensor in a file's range, of the nearest element type that the runtime has. */
export function fromStored(bytes: Uint8Array, t: StoredTensor, name: string, file: string): Tensor {
  try {
    return narrowed(bytes, t, name, file);
  } catch (e) {
    throw e instanceof DTypeError ? new CheckpointError(file, `${name}: ${e.message}`) : e;
  }
}

function narrowed(bytes: Uint8Array, t: StoredTensor, name: string, file: string): Tensor {
  const raw = new Uint8Array(bytes.subarray(t.start, t.end)); // a Buffer's slice would be no copy
  const { shape } = t;
  switch (t.dtype) {
    case 'F32':
      return tensor(new Float32Array(raw.buffer), { shape });
    case 'F64':
      return tensor(new Float64Array(raw.buffer), { shape });
    case 'I32':
      return tensor(new Int32Array(raw.buffer), { shape });
    case 'U32':
      return tensor(new Uint32Array(raw.buffer), { shape, dtype: 'u32' });
    case 'I64':
      return tensor(new BigInt64Array(raw.buffer), { shape });
    case 'BOOL':
      return tensor(raw, { shape, dtype: 'bool' });
    case 'U8':
      return tensor(raw, { shape });
    case 'F16':
      return tensor(decode(raw, 'f16'), { shape, dtype: 'f16' });
    case 'BF16':
      return tensor(decode(raw, 'bf16'), { shape, dtype: 'bf16' });
    default:
      throw new CheckpointError(file, `${JSON.stringify(name)} is ${t.dtype}, which no parameter can hold`);
  }
}

/** Loads weights by name. Nothing is changed unless all of it fits (or `strict` is false: see `load_state_dict`). */
export function loadWeights(
  model: Model,
  bytes: Uint8Array,
  options: { readonly strict?: boolean; readonly file?: string } = {},
): { missing_keys: string[]; unexpected_keys: string[] } {
  const file = options.file ?? '';
  const given = tensorsFromBytes(bytes, file);
  try {
    return model.load_state_dict(given, options);
  } catch (e) {
    throw e instanceof NetwrightError ? new CheckpointError(file, e.message) : e;
  }
}
