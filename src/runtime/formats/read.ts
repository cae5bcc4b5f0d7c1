/** Opens any file of weights, by what it holds and not by its name. */
import { CheckpointError } from '../errors.ts';
import type { ByteSource } from '../sources/source.ts';
import type { CheckpointFile } from './checkpoint.ts';
import { isGguf, openGguf } from './gguf.ts';
import { isNpy, openNpy, openNpz } from './npy.ts';
import { openSafetensors } from './safetensors-file.ts';
import { openSharded, readIndex } from './sharded.ts';
import { openTorch, openTorchLegacy } from './torch.ts';
import { openZip } from './zip.ts';

/** Up to the name that a tar archive has in its first header. */
const FIRST = 512;

/** `beside` opens the files that an index names, in its own folder. The source is closed where this throws. */
export async function openCheckpoint(
  source: ByteSource,
  beside: (name: string) => Promise<ByteSource> = noneBeside,
): Promise<CheckpointFile> {
  try {
    const start = await source.read(0, Math.min(FIRST, source.size));
    if (isIndex(start)) {
      const index = readIndex(await source.read(0, source.size), source.name);
      await source.close();
      return await openSharded(index, beside, source.name);
    }
    return await openFile(source, start);
  } catch (e) {
    await source.close();
    throw e;
  }
}

/** An index of shards is JSON: it starts with a brace, where safetensors has a length below 2^56. */
const isIndex = (start: Uint8Array): boolean => /^\s*\{\s*"/.test(latin1(start.subarray(0, 64)));

async function openFile(source: ByteSource, start: Uint8Array): Promise<CheckpointFile> {
  if (isNpy(start)) return openNpy(source);
  if (isGguf(start)) return openGguf(source);
  // PROTO 2 and LONG1 10: the magic number of torch.save.
  if (start[0] === 0x80 && start[2] === 0x8a) return openTorchLegacy(source);
  // Cut short or not; a header of safetensors may have this length, with zeros after it.
  if (/^PK([\x03\x05\x07]|$)/.test(latin1(start.subarray(0, 3)))) {
    const zip = await openZip(source);
    const names = [...zip.members.keys()];
    return names.some((n) => /(^|\/)data\.pkl$/.test(n)) ? openTorch(zip) : openNpz(zip);
  }
  if (latin1(start.subarray(257, 262)) === 'ustar')
    throw new CheckpointError(
      source.name,
      'this is a tar archive, as PyTorch wrote before 0.1.10: save it again with a newer one',
      0,
    );
  return openSafetensors(source);
}

const noneBeside = async (name: string): Promise<never> => {
  throw new CheckpointError(name, 'an index names this file, and what was opened has no folder', 0);
};

const latin1 = (bytes: Uint8Array): string => new TextDecoder('latin1').decode(bytes);
