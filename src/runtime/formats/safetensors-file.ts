/** safetensors as one of the formats: the header is read first, and each tensor when it is asked for. */
import { headerLength, readHeader, readSafetensors, type TensorBytes } from '../safetensors.ts';
import type { ByteSource } from '../sources/source.ts';
import type { CheckpointFile } from './checkpoint.ts';

/** Most headers come with the first read. */
const FIRST = 1 << 16;

export async function openSafetensors(source: ByteSource): Promise<CheckpointFile> {
  const { name: file, size } = source;
  let start = await source.read(0, Math.min(FIRST, size));
  const length = headerLength(start, size, file);
  if (start.length < 8 + length) start = await source.read(0, 8 + length);
  const { tensors, metadata } = readHeader(start, length, size, file);
  return {
    format: 'safetensors',
    file,
    tensors: new Map(
      [...tensors].map(([name, { dtype, shape, start, end }]) => [
        name,
        {
          dtype,
          shape,
          nbytes: end - start,
          bytes: () => source.read(start, end - start),
          ...(source.disk && { place: { disk: source.disk, offset: start } }),
        },
      ]),
    ),
    metadata,
    close: () => source.close(),
  };
}

/** The tensors of a file that is in memory, as views of it. */
export function readSafetensorsFile(
  bytes: Uint8Array,
  file = '',
): { tensors: Map<string, TensorBytes>; metadata: ReadonlyMap<string, string> } {
  const { tensors, metadata } = readSafetensors(bytes, file);
  const views = [...tensors].map(
    ([name, t]) => [name, { dtype: t.dtype, shape: t.shape, bytes: bytes.subarray(t.start, t.end) }] as const,
  );
  return { tensors: new Map(views), metadata };
}
