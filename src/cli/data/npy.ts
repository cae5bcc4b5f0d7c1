/** NumPy's `.npy` and `.npz`: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
import { unzipSync } from 'fflate';
import { DataError, type Column } from './dataset.ts';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

/** Reads one array. 64-bit values must fit 32 bits (integers) or are rounded (floats); Fortran order is rearranged. */
export function readNpy(bytes: Uint8Array, name: string, source: string): Column {
  const fail = (what: string, help: string | null = null): never => {
    throw new DataError(source, `${name}: ${what}`, help);
  };
  if (MAGIC.some((b, i) => bytes[i] !== b)) fail('not a NumPy array (no \\x93NUMPY at the start)');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const major = bytes[6]!;
  if (major < 1 || major > 3 || bytes.length < 12) fail(`NumPy format version ${major} is unknown`);
  const headerLength = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = (major === 1 ? 10 : 12) + headerLength;
  if (start > bytes.length) fail('the file ends inside its header');
  const header = new TextDecoder('latin1').decode(bytes.subarray(major === 1 ? 10 : 12, start));
  const descr = /'descr':\s*'([<>|=]?)([a-zA-Z])(\d+)'/.exec(header);
  const order = /'fortran_order':\s*(True|False)/.exec(header);
  const dims = /'shape':\s*\(([\d,\s]*)\)/.exec(header);
  if (!descr || !order || !dims)
    return fail('the header is not one of a plain numeric array', 'save numbers: float32, int32, uint8, bool ...');
  const shape = dims[1]!
    .split(',')
    .map((s) => s.trim())
    .filter((s) => s !== '')
    .map(Number);
  const count = shape.reduce((a, b) => a * b, 1);
  const width = Number(descr[3]);
  if (!Number.isSafeInteger(count) || count * width !== bytes.length - start) {
    fail(
      `shape (${shape.join(', ')}) of ${descr[2]}${width} needs ${count * width} bytes and the file has ${bytes.length - start}`,
    );
  }
  const little = descr[1] !== '>';
  const kind = descr[2]!;
  const get =
    reader(view, kind, width, little) ??
    fail(`element type ${kind}${width} is not a plain number`, 'save float32, int32, uint8, bool ...');
  const isFloat = kind === 'f';
  const flat = isFloat ? new Float32Array(count) : new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const v = get(start + i * width);
    if (!isFloat && (v > 2147483647 || v < -2147483648)) fail(`element ${i} is ${v}, which does not fit 32 bits`);
    flat[i] = v;
  }
  return { name, shape, data: order[1] === 'True' && shape.length > 1 ? fromFortran(flat, shape) : flat };
}

function reader(view: DataView, kind: string, width: number, little: boolean): ((at: number) => number) | null {
  switch (`${kind}${width}`) {
    case 'f2':
      return (at) => half(view.getUint16(at, little));
    case 'f4':
      return (at) => view.getFloat32(at, little);
    case 'f8':
      return (at) => view.getFloat64(at, little);
    case 'i1':
      return (at) => view.getInt8(at);
    case 'i2':
      return (at) => view.getInt16(at, little);
    case 'i4':
      return (at) => view.getInt32(at, little);
    case 'i8':
      return (at) => Number(view.getBigInt64(at, little));
    case 'u1':
    case 'b1':
      return (at) => view.getUint8(at);
    case 'u2':
      return (at) => view.getUint16(at, little);
    case 'u4':
      return (at) => view.getUint32(at, little);
    case 'u8':
      return (at) => Number(view.getBigUint64(at, little));
    default:
      return null;
  }
}

function half(bits: number): number {
  const exp = (bits >> 10) & 31;
  const frac = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exp === 31) return frac ? NaN : sign * Infinity;
  return exp === 0 ? sign * frac * 2 ** -24 : sign * (1 + frac / 1024) * 2 ** (exp - 15);
}

function fromFortran<T extends Float32Array | Int32Array>(data: T, shape: readonly number[]): T {
  const out = data.slice() as T;
  const index = shape.map(() => 0);
  for (let i = 0; i < data.length; i++) {
    let at = 0;
    for (let d = shape.length - 1; d >= 0; d--) at = at * shape[d]! + index[d]!;
    out[i] = data[at]!;
    for (let d = shape.length - 1; d >= 0 && ++index[d]! === shape[d]; d--) index[d] = 0;
  }
  return out;
}

/** All arrays of an `.npz`, by their names. Sizes are bounded by what the archive's own members inflate to. */
export function readNpz(bytes: Uint8Array, source: string): Column[] {
  let files: Record<string, Uint8Array>;
  try {
    files = unzipSync(bytes);
  } catch {
    throw new DataError(source, 'not a whole zip archive', 'write it with numpy.savez(path, x=..., y=...)');
  }
  return Object.entries(files).map(([member, body]) => {
    if (!member.endsWith('.npy')) throw new DataError(source, `${member} in the archive is not an .npy array`);
    return readNpy(body, member.slice(0, -4), source);
  });
}
