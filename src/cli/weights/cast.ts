/** Tensors of files with another element type, or transposed. */
import { InvalidArgumentError } from 'commander';
import { encode } from '../../runtime/elem.ts';
import { DTypeError, ShapeError } from '../../runtime/errors.ts';
import type { FileTensor } from '../../runtime/formats/checkpoint.ts';
import { valuesOf, widthOfDtype } from '../../runtime/formats/dtypes.ts';
import { gather } from '../../runtime/formats/strided.ts';

/** Floats that values can be cast to, by the names that .net files have for them. */
const FLOATS: ReadonlyMap<string, string> = new Map([
  ['f64', 'F64'],
  ['f32', 'F32'],
  ['f16', 'F16'],
  ['bf16', 'BF16'],
]);

export function floatType(text: string): string {
  const dtype = FLOATS.get(text.toLowerCase());
  if (dtype === undefined) throw new InvalidArgumentError(`It must be one of ${[...FLOATS.keys()].join(', ')}.`);
  return dtype;
}

const isFloat = (dtype: string): boolean => /^B?F\d/.test(dtype);

/** Floats become `dtype`, rounded to nearest even; what is no float stays as it is. */
export function castFloat(name: string, t: FileTensor, dtype: string): FileTensor {
  if (!isFloat(t.dtype) || t.dtype === dtype) return t;
  const width = widthOfDtype(dtype)!;
  const bytes = async (): Promise<Uint8Array> => {
    const values = valuesOf(t.dtype, await t.bytes()) as ArrayLike<number> | null;
    if (!values)
      throw new DTypeError(
        `${name} is ${t.dtype}, whose bits no standard places in bytes: without --cast it is copied as it is`,
      );
    if (dtype === 'F64') return new Uint8Array(Float64Array.from(values).buffer);
    return encode(values, dtype === 'F32' ? 'f32' : dtype === 'F16' ? 'f16' : 'bf16');
  };
  return { dtype, shape: t.shape, nbytes: t.shape.reduce((a, b) => a * b, 1) * width, bytes };
}

/** A matrix with its dims the other way round. */
export function transposed(name: string, t: FileTensor): FileTensor {
  const width = widthOfDtype(t.dtype);
  if (t.shape.length !== 2) throw new ShapeError(`${name} is [${t.shape.join(', ')}]: only a matrix can be transposed`);
  if (width === null) throw new DTypeError(`${name} is ${t.dtype}, which cannot be transposed`);
  const [rows, columns] = t.shape as [number, number];
  const shape = [columns, rows];
  const bytes = async (): Promise<Uint8Array> =>
    gather(await t.bytes(), { shape, strides: [1, columns], offset: 0, width });
  return { dtype: t.dtype, shape, nbytes: t.nbytes, bytes };
}
