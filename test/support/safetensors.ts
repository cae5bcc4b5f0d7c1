/** A reader of safetensors for tests, independent of the one under test: reference data must not pass through the code it judges. */
import { readFileSync } from 'node:fs';

export interface Stored {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** All tensors of a file, as float64: exact for every type that the reference files hold. */
export function readSafetensors(path: string): Map<string, Stored> {
  const bytes = readFileSync(path);
  const header = Number(bytes.readBigUInt64LE(0));
  const entries = JSON.parse(bytes.toString('utf8', 8, 8 + header)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const out = new Map<string, Stored>();
  for (const [name, e] of Object.entries(entries)) {
    if (name === '__metadata__') continue;
    const part = bytes.subarray(8 + header + e.data_offsets[0], 8 + header + e.data_offsets[1]);
    out.set(name, { dtype: e.dtype, shape: e.shape, data: decode(e.dtype, part) });
  }
  return out;
}

function decode(dtype: string, bytes: Buffer): Float64Array {
  switch (dtype) {
    case 'F32':
      return Float64Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
    case 'F64':
      return Float64Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));
    case 'I32':
      return Float64Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(4 * i));
    case 'I64':
      return Float64Array.from({ length: bytes.length / 8 }, (_, i) => Number(bytes.readBigInt64LE(8 * i)));
    case 'BOOL':
    case 'U8':
      return Float64Array.from(bytes);
    default:
      throw new Error(`the test reader does not know ${dtype}`);
  }
}
