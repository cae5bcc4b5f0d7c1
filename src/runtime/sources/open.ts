/** What files of weights can be read from, as sources: paths, addresses, files that a user picked, memory. */
import { CheckpointError } from '../errors.ts';
import { blobSource, bytesSource, type ByteSource } from './source.ts';
import type { UrlOptions } from './url.ts';

/**
 * A path (Node), an address, a Blob or File, the files of a sharded model, bytes, or a source of one's own. A string is an
 * address where it begins with http: or https:, and in a browser always.
 */
export type ReadFrom = string | URL | Blob | readonly File[] | Uint8Array | ByteSource;

export interface OpenOptions extends UrlOptions {
  /** What messages call bytes or a Blob. */
  readonly file?: string | undefined;
}

/** The source, and how the files beside it are opened, which an index of shards names. */
export interface Opened {
  readonly source: ByteSource;
  readonly beside?: (name: string) => Promise<ByteSource>;
}

const inNode = (): boolean => typeof process !== 'undefined' && process.versions?.node !== undefined;

export async function openSource(from: ReadFrom, options: OpenOptions = {}): Promise<Opened> {
  if (from instanceof Uint8Array) return { source: bytesSource(from, options.file) };
  if (from instanceof Blob) return { source: blobSource(from, options.file) };
  if (Array.isArray(from)) return picked(from as readonly File[]);
  if (typeof from === 'string' || from instanceof URL) {
    const text = String(from);
    if (!/^https?:/i.test(text) && inNode()) {
      const { openPath } = await import('../node/file-source.ts');
      return openPath(from);
    }
    const { urlSource } = await import('./url.ts');
    return {
      source: await urlSource(text, options),
      beside: (name) => urlSource(new URL(name, new URL(text, globalThis.document?.baseURI)), options),
    };
  }
  return { source: from as ByteSource };
}

function picked(files: readonly File[]): Opened {
  const main = files.length === 1 ? files[0] : files.find((f) => f.name.endsWith('.index.json'));
  if (!main) throw new CheckpointError('', `${files.length} files, and none of them is an index (.index.json)`);
  return {
    source: blobSource(main),
    async beside(name) {
      const file = files.find((f) => f.name === name);
      if (!file)
        throw new CheckpointError(main.name, `it names ${JSON.stringify(name)}, which is not among the files`, 0);
      return blobSource(file);
    },
  };
}
