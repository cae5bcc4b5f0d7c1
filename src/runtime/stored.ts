/** A tensor as a file holds it, and a file's tensor as the runtime holds it. */
import type { Elem } from './artifact.ts';
import { cpuDevice } from './devices.ts';
import { CheckpointError, DTypeError } from './errors.ts';
import type { FileTensor } from './formats/checkpoint.ts';
import { valuesOf } from './formats/dtypes.ts';
import type { TensorBytes } from './safetensors.ts';
import { HostStorage } from './storage.ts';
import { Tensor, tensor } from './tensor.ts';

const NAMES: Readonly<Record<Elem, string>> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'I32',
  u32: 'U32',
  bool: 'BOOL',
};

/** The tensor as it lies in a file, copied; `stored` is the wider type that PyTorch gives counters. */
export async function toStored(t: Tensor, stored: 'i64' | null): Promise<TensorBytes> {
  if (t.storage.visible) {
    const now = inMemory(t, stored);
    return { ...now, bytes: now.bytes.slice() };
  }
  const fetched = new HostStorage((await t.storage.fetch(0, t.nbytes)).slice());
  return inMemory(new Tensor(t.dtype, t.shape, fetched, t.device), stored);
}

/** The same of a tensor whose values the host has, as a view where they lie so: good until anything else runs. */
export function inMemory(t: Tensor, stored: 'i64' | null): TensorBytes {
  const { shape } = t;
  if (stored === 'i64') {
    const wide = BigInt64Array.from(t.readSync() as Int32Array, BigInt);
    return { dtype: 'I64', shape, bytes: new Uint8Array(wide.buffer) };
  }
  if (t.dtype === 'bool') return { dtype: 'BOOL', shape, bytes: Uint8Array.from(t.readSync()) };
  return { dtype: NAMES[t.dtype], shape, bytes: t.storage.read(0, t.nbytes) };
}

/** Element types of files, as the runtime holds them. */
const HELD: ReadonlyMap<string, Elem> = new Map<string, Elem>([
  ...['F32', 'F64', 'F8_E4M3', 'F8_E5M2', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ', 'F8_E8M0', 'F4'].map(
    (d) => [d, 'f32'] as const,
  ),
  ...['I64', 'I32', 'I16', 'I8', 'U16', 'U8'].map((d) => [d, 'i32'] as const),
  ...['U64', 'U32'].map((d) => [d, 'u32'] as const),
  ['F16', 'f16'],
  ['BF16', 'bf16'],
  ['BOOL', 'bool'],
]);

/** The runtime's type whose values lie in memory as those of `dtype` lie in a file. */
export function heldAsItLies(dtype: string): Elem | undefined {
  const held = HELD.get(dtype);
  return held && NAMES[held] === dtype && held !== 'bool' ? held : undefined;
}

function onHost(dtype: Elem, shape: readonly number[], bytes: Uint8Array): Tensor {
  const on = cpuDevice();
  return new Tensor<Elem>(dtype, shape, on.store(bytes), on);
}

/** The tensor of a file, of the nearest element type that the runtime has. Throws where a value does not fit. */
export function fromStored(t: TensorBytes, name: string, file: string): Tensor {
  const dtype = HELD.get(t.dtype);
  const held = heldAsItLies(t.dtype);
  // Copied, because that may be somebody's memory.
  if (held) return onHost(held, t.shape, new Uint8Array(t.bytes));
  const values = dtype && valuesOf(t.dtype, t.bytes);
  if (!dtype || !values)
    throw new CheckpointError(file, `${JSON.stringify(name)} is ${t.dtype}, which no parameter can hold`);
  try {
    return tensor<Elem>(values, { shape: t.shape, dtype });
  } catch (e) {
    throw e instanceof DTypeError ? new CheckpointError(file, `${name}: ${e.message}`) : e;
  }
}

/** The tensor, read now. Where it lies in the file as in memory it is read straight into its place. */
export async function readOne(t: FileTensor, name: string, file: string): Promise<Tensor> {
  const { dtype, shape, place } = t;
  const held = heldAsItLies(dtype);
  if (!place || !held) return fromStored({ dtype, shape, bytes: await t.bytes() }, name, file);
  const bytes = new Uint8Array(t.nbytes);
  await place.disk.fill(place.offset, bytes);
  return onHost(held, shape, bytes);
}
