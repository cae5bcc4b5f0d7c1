/** safetensors as one of the formats: the header's tensors with their bytes. */
import { readSafetensors } from '../safetensors.ts';
import type { CheckpointFile } from './checkpoint.ts';

export function readSafetensorsFile(bytes: Uint8Array, file = ''): CheckpointFile {
  const { tensors, metadata } = readSafetensors(bytes, file);
  return {
    format: 'safetensors',
    tensors: new Map(
      [...tensors].map(([name, { dtype, shape, start, end }]) => [
        name,
        { dtype, shape, nbytes: end - start, bytes: () => bytes.subarray(start, end) },
      ]),
    ),
    metadata,
  };
}
