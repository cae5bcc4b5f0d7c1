/** Weights as safetensors: a model's state dict to bytes and back, with PyTorch's names and element types. */
import type { Elem } from './artifact.ts';
import { CheckpointError, DTypeError, NetwrightError } from './errors.ts';
import type { CheckpointFile, FileTensor } from './formats/checkpoint.ts';
import { valuesOf } from './formats/dtypes.ts';
import { readSafetensorsFile } from './formats/safetensors-file.ts';
import type { Weights } from './ema.ts';
import type { Model } from './model.ts';
import { writeSafetensors, type TensorBytes } from './safetensors.ts';
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
  model: Weights,
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

/** Every tensor of a safetensors file, names dropped for ties included. See `tensorsFromFile`. */
export const tensorsFromBytes = (bytes: Uint8Array, file = ''): Map<string, Tensor> =>
  tensorsFromFile(readSafetensorsFile(bytes, file), file);

/** Every tensor of a file of any format, of the nearest element type that the runtime has. */
export function tensorsFromFile(read: CheckpointFile, file = ''): Map<string, Tensor> {
  return new Map([...withTies(read)].map(([name, t]) => [name, fromStored(t, name, file)]));
}

/** Reads the bytes of a file of weights of any format, by its content: for `loadWeights` and `tensorsFromFile`. */
export async function readWeights(bytes: Uint8Array, file = ''): Promise<CheckpointFile> {
  const { readCheckpoint } = await import('./formats/read.ts');
  return readCheckpoint(bytes, file);
}

/** The tensors, names dropped for ties included: the same object under both names. */
export function withTies({ tensors, metadata }: CheckpointFile): Map<string, FileTensor> {
  const out = new Map(tensors);
  for (const [dropped, kept] of metadata) {
    const t = tensors.get(kept);
    if (t && !out.has(dropped)) out.set(dropped, t);
  }
  return out;
}

/** Element types of files, as the runtime holds them. */
const HELD: ReadonlyMap<string, Elem> = new Map<string, Elem>([
  ...['F32', 'F64', 'F8_E4M3', 'F8_E5M2', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ', 'F8_E8M0'].map((d) => [d, 'f32'] as const),
  ...['I64', 'I32', 'I16', 'I8', 'U16', 'U8'].map((d) => [d, 'i32'] as const),
  ...['U64', 'U32'].map((d) => [d, 'u32'] as const),
  ['F16', 'f16'],
  ['BF16', 'bf16'],
  ['BOOL', 'bool'],
]);

/** The tensor of a file, of the nearest element type that the runtime has. Throws where a value does not fit. */
export function fromStored(t: FileTensor, name: string, file: string): Tensor {
  const dtype = HELD.get(t.dtype);
  const values = dtype && valuesOf(t.dtype, t.bytes());
  if (!dtype || !values)
    throw new CheckpointError(file, `${JSON.stringify(name)} is ${t.dtype}, which no parameter can hold`);
  try {
    return tensor<Elem>(values, { shape: t.shape, dtype });
  } catch (e) {
    throw e instanceof DTypeError ? new CheckpointError(file, `${name}: ${e.message}`) : e;
  }
}

/**
 * Files hold more than weights: `{"model": ..., "optimizer": ...}`, and `module.` before every name. Where the model's own
 * names are not there, and all of them are under one other name, that part is meant.
 */
function partFor<T>(given: ReadonlyMap<string, T>, names: readonly string[]): ReadonlyMap<string, T> {
  const [first] = names;
  if (first === undefined || names.some((n) => given.has(n))) return given;
  const prefixes = [...given.keys()]
    .filter((n) => n.endsWith(`.${first}`))
    .map((n) => n.slice(0, -first.length))
    .filter((prefix) => names.every((n) => given.has(prefix + n)));
  const [prefix, another] = prefixes;
  if (prefix === undefined || another !== undefined) return given;
  return new Map([...given].flatMap(([n, t]) => (n.startsWith(prefix) ? [[n.slice(prefix.length), t] as const] : [])));
}

/**
 * Loads weights by name, from the bytes of a safetensors file or from a file of any format that was read. Nothing is changed
 * unless all of it fits (or `strict` is false: see `load_state_dict`).
 */
export function loadWeights(
  model: Model,
  from: Uint8Array | CheckpointFile,
  options: { readonly strict?: boolean; readonly file?: string } = {},
): { missing_keys: string[]; unexpected_keys: string[] } {
  const file = options.file ?? '';
  const read = from instanceof Uint8Array ? readSafetensorsFile(from, file) : from;
  const part = partFor(withTies(read), [...model.state_dict().keys()]);
  const given = new Map([...part].map(([name, t]) => [name, fromStored(t, name, file)]));
  try {
    return model.load_state_dict(given, options);
  } catch (e) {
    throw e instanceof NetwrightError ? new CheckpointError(file, e.message) : e;
  }
}
