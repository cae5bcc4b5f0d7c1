/** Data in files of tensors (NumPy, safetensors, PyTorch): each tensor is a column. */
import { CheckpointError } from '../../runtime/errors.ts';
import type { FileTensor } from '../../runtime/formats/checkpoint.ts';
import { valuesOf } from '../../runtime/formats/dtypes.ts';
import { openWeights } from '../../runtime/weights.ts';
import { DataError, type Column } from './dataset.ts';

/** Every tensor of the file. `own` is the name of the only one of a file without names. */
export async function readTensorColumns(content: Uint8Array, own: string, source: string): Promise<Column[]> {
  // As a plain Uint8Array: a Buffer's `slice` would not copy.
  const bytes = new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
  try {
    const file = await openWeights(bytes, { file: source });
    const columns: Column[] = [];
    for (const [name, t] of file.tensors) columns.push(await columnOf(file.format === 'npy' ? own : name, t, source));
    return columns;
  } catch (e) {
    if (!(e instanceof CheckpointError)) throw e;
    throw new DataError(source, e.message.replace(`${source}: `, ''), 'save numbers: float32, int32, uint8, bool ...');
  }
}

/** Floats as f32, whole numbers as i32: those of 64 bits must fit. */
async function columnOf(name: string, t: FileTensor, source: string): Promise<Column> {
  const values = valuesOf(t.dtype, await t.bytes());
  if (!values) throw new DataError(source, `${name} is ${t.dtype}, which is no plain number`, 'save float32 or int32');
  const { shape } = t;
  if (/^B?F\d/.test(t.dtype)) return { name, shape, data: Float32Array.from(values as ArrayLike<number>) };
  const data = new Int32Array(values.length);
  for (let i = 0; i < data.length; i++) {
    const v = values[i]!;
    data[i] = Number(v);
    if (Number(v) !== data[i]) throw new DataError(source, `${name}: element ${i} is ${v}, which does not fit 32 bits`);
  }
  return { name, shape, data };
}
