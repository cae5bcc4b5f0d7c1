/** Reads any file of weights, by what it holds and not by its name. */
import { CheckpointError } from '../errors.ts';
import type { CheckpointFile } from './checkpoint.ts';
import { isGguf, readGguf } from './gguf.ts';
import { isNpy, readNpy, readNpz } from './npy.ts';
import { readSafetensorsFile } from './safetensors-file.ts';
import { readTorch, readTorchLegacy } from './torch.ts';
import { readZip } from './zip.ts';

/** An index of shards is JSON: it starts with a brace, where safetensors has a length below 2^56. */
export const isIndex = (bytes: Uint8Array): boolean => /^\s*\{\s*"/.test(latin1(bytes.subarray(0, 64)));

export function readCheckpoint(bytes: Uint8Array, file = ''): CheckpointFile {
  if (isNpy(bytes)) return readNpy(bytes, file);
  if (isGguf(bytes)) return readGguf(bytes, file);
  // PROTO 2 and LONG1 10: the magic number of torch.save.
  if (bytes[0] === 0x80 && bytes[2] === 0x8a) return readTorchLegacy(bytes, file);
  // Cut short or not; a header of safetensors may have this length, with zeros after it.
  if (/^PK([\x03\x05\x07]|$)/.test(latin1(bytes.subarray(0, 3)))) {
    const zip = readZip(bytes, file);
    const names = [...zip.members.keys()];
    return names.some((n) => /(^|\/)data\.pkl$/.test(n)) ? readTorch(bytes, file, zip) : readNpz(bytes, file, zip);
  }
  if (latin1(bytes.subarray(257, 262)) === 'ustar')
    throw new CheckpointError(
      file,
      'this is a tar archive, as PyTorch wrote before 0.1.10: save it again with a newer one',
      0,
    );
  return readSafetensorsFile(bytes, file);
}

const latin1 = (bytes: Uint8Array): string => new TextDecoder('latin1').decode(bytes);
