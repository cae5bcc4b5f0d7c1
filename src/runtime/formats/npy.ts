/** NumPy's `.npy` and `.npz`: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
import { CheckpointError, DTypeError } from '../errors.ts';
import type { CheckpointFile, FileTensor } from './checkpoint.ts';
import { swapBytes, swapWidth, widthOfDtype } from './dtypes.ts';
import { ByteReader } from './reader.ts';
import { gather, rowMajor } from './strided.ts';
import type { ByteSource } from '../sources/source.ts';
import { peekMember, quote, readMember, type ZipFile } from './zip.ts';
import { writeZip } from './zip-write.ts';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY
/** As NumPy: a longer header is not one of a plain array. */
const MAX_HEADER = 10_000;
const MAX_RANK = 64;

const DTYPES: ReadonlyMap<string, string> = new Map([
  ['b1', 'BOOL'],
  ['i1', 'I8'],
  ['i2', 'I16'],
  ['i4', 'I32'],
  ['i8', 'I64'],
  ['u1', 'U8'],
  ['u2', 'U16'],
  ['u4', 'U32'],
  ['u8', 'U64'],
  ['f2', 'F16'],
  ['f4', 'F32'],
  ['f8', 'F64'],
  ['c8', 'C64'],
  ['c16', 'C128'],
]);

export const isNpy = (bytes: Uint8Array): boolean => MAGIC.every((b, i) => bytes[i] === b);

/** An array as its header says it, and where its data start. */
export interface NpyArray extends Header {
  readonly nbytes: number;
  readonly start: number;
}

/** The header of an array of `size` bytes in all; `start` are its first ones. `base` is where they are in the file. */
export function npyHeader(start: Uint8Array, size: number, file: string, base = 0): NpyArray {
  const r = new ByteReader(start, file, 0, base);
  if (!isNpy(start)) r.fail('this is not a NumPy array (no \\x93NUMPY at the start)');
  r.skip(6);
  const [major] = [r.u8(), r.u8()];
  if (major < 1 || major > 3) r.fail(`there is no version ${major} of NumPy's format`, 6);
  const length = major === 1 ? r.u16() : r.u32();
  if (length > MAX_HEADER) r.fail(`a header of ${length} bytes is not one of a plain array`);
  const at = r.at;
  const header = parseHeader(new TextDecoder('latin1').decode(r.take(length)), (what) => r.fail(what, at));
  const { dtype, shape } = header;
  const needed = shape.reduce((n, d) => n * BigInt(d), BigInt(widthOfDtype(dtype)!));
  if (needed !== BigInt(size - r.at)) {
    r.fail(`[${shape.join(', ')}] of ${dtype} needs ${needed} bytes and the file has ${size - r.at}`);
  }
  return { ...header, nbytes: Number(needed), start: r.at };
}

function npyTensor(array: NpyArray, data: () => Promise<Uint8Array>): FileTensor {
  const { dtype, shape, nbytes, fortran, bigEndian } = array;
  return {
    dtype,
    shape,
    nbytes,
    async bytes() {
      const strides = fortran ? rowMajor([...shape].reverse()).reverse() : rowMajor(shape);
      const values = gather(await data(), { shape, strides, offset: 0, width: widthOfDtype(dtype)! });
      return bigEndian ? swapBytes(values.slice(), swapWidth(dtype)) : values;
    },
  };
}

interface Header {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bigEndian: boolean;
  readonly fortran: boolean;
}

/** A Python dictionary of three plain entries, in any order. */
function parseHeader(text: string, fail: (what: string) => never): Header {
  const fields = new Map<string, string>();
  const body = /^\{([^{}]*)\}\s*$/.exec(text)?.[1];
  const entry = /\s*'(descr|fortran_order|shape)'\s*:\s*('[^']*'|True|False|\([\dL,\s]*\))\s*(,|$)/y;
  for (let at = 0; body !== undefined && body.slice(at).trim() !== ''; at = entry.lastIndex) {
    entry.lastIndex = at;
    const m = entry.exec(body);
    if (!m || fields.has(m[1]!)) return fail('the header is not one of a plain array of numbers');
    fields.set(m[1]!, m[2]!);
  }
  const descr = /^'([<>|=])([a-zA-Z])(\d{1,3})'$/.exec(fields.get('descr') ?? '');
  const order = fields.get('fortran_order');
  const dims = /^\((.*)\)$/s.exec(fields.get('shape') ?? '')?.[1];
  if (descr?.[2] === 'O') fail('an array of Python objects is a pickle inside, and is not read');
  if (!descr || dims === undefined || (order !== 'True' && order !== 'False'))
    return fail('the header is not one of a plain array of numbers');
  const kind = `${descr[2]}${descr[3]}`;
  const dtype = DTYPES.get(kind) ?? fail(`element type ${quote(kind)} is not a plain number`);
  const parts = dims.split(',').map((s) => s.trim());
  if (parts.at(-1) === '') parts.pop();
  const shape = parts.map((s) => (/^\d{1,16}L?$/.test(s) ? Number(s.replace('L', '')) : NaN));
  if (shape.some((n) => !Number.isSafeInteger(n))) return fail('the shape is not a tuple of whole numbers');
  if (shape.length > MAX_RANK) return fail(`an array of ${shape.length} dims`);
  return { dtype, shape, bigEndian: descr[1] === '>', fortran: order === 'True' };
}

/** Bytes that hold any header that is read. */
const HEADER_END = MAX_HEADER + 12;

export async function openNpy(source: ByteSource): Promise<CheckpointFile> {
  const { size, name } = source;
  const array = npyHeader(await source.read(0, Math.min(HEADER_END, size)), size, name);
  const tensor = npyTensor(array, () => source.read(array.start, array.nbytes));
  return {
    format: 'npy',
    file: name,
    tensors: new Map([['', tensor]]),
    metadata: new Map(),
    close: () => source.close(),
  };
}

/** All arrays of an archive, by their names. A member of another size than its header says is refused before it is inflated. */
export async function openNpz(zip: ZipFile): Promise<CheckpointFile> {
  const { source } = zip;
  const tensors = new Map<string, FileTensor>();
  for (const [member, m] of zip.members) {
    if (!member.endsWith('.npy'))
      throw new CheckpointError(source.name, `${quote(member)} in the archive is no .npy array`, m.start);
    // Offsets in an inflated member are its own, so that they are only exact in stored ones.
    const array = npyHeader(await peekMember(zip, m, HEADER_END), m.size, source.name, m.deflated ? 0 : m.start);
    const data = async (): Promise<Uint8Array> => (await readMember(zip, m)).subarray(array.start);
    tensors.set(member.slice(0, -4), npyTensor(array, data));
  }
  return { format: 'npz', file: source.name, tensors, metadata: new Map(), close: () => source.close() };
}

/** The array as `numpy.save` writes it. Throws DTypeError for types that NumPy does not have. */
export async function writeNpy(t: FileTensor): Promise<Uint8Array[]> {
  const kind = [...DTYPES].find(([, dtype]) => dtype === t.dtype)?.[0];
  if (kind === undefined) throw new DTypeError(`NumPy has no element type ${t.dtype}: cast it first`);
  const order = widthOfDtype(t.dtype) === 1 ? '|' : '<';
  const shape = `(${t.shape.join(', ')}${t.shape.length === 1 ? ',' : ''})`;
  const text = `{'descr': '${order}${kind}', 'fortran_order': False, 'shape': ${shape}, }`;
  // Padded so that the data starts at a multiple of 64 bytes.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const head = new Uint8Array(10 + length).fill(0x20);
  head.set([...MAGIC, 1, 0, length & 255, length >> 8]);
  head.set(new TextEncoder().encode(text), 10);
  head[head.length - 1] = 10;
  return [head, await t.bytes()];
}

/** The arrays as `numpy.savez` writes them. */
export function writeNpz(tensors: ReadonlyMap<string, FileTensor>): AsyncGenerator<Uint8Array> {
  return writeZip(
    [...tensors].map(([name, t]) => [`${name}.npy`, () => writeNpy(t)] as const),
    64,
  );
}
