/** Blocks of resources in the browser's own file system (https://fs.spec.whatwg.org): a model is transferred once. */
import type { BlockCache, BlockStore } from './blocks.ts';

/**
 * A cache for `openWeights` and `model.load`: one folder for each address, in it one for the version that the server had last.
 * A full disk only means that less is kept. Throws what the browser says where pages have no file system.
 */
export function opfsCache(folder = 'netwright'): BlockCache {
  return {
    async open(address, version) {
      const root = await (await navigator.storage.getDirectory()).getDirectoryHandle(folder, { create: true });
      const of = await root.getDirectoryHandle(await digest(address), { create: true });
      const current = await digest(version);
      for await (const name of of.keys()) {
        if (name !== current) await of.removeEntry(name, { recursive: true }).catch(() => undefined);
      }
      return blocksIn(await of.getDirectoryHandle(current, { create: true }));
    },
  };
}

/** A block is a file: writing one is atomic, and another page sees it whole or not at all. */
function blocksIn(folder: FileSystemDirectoryHandle): BlockStore {
  return {
    async get(index) {
      const file = await folder.getFileHandle(String(index)).catch(() => null);
      return file && new Uint8Array(await (await file.getFile()).arrayBuffer());
    },
    async put(index, bytes) {
      try {
        const stream = await (await folder.getFileHandle(String(index), { create: true })).createWritable();
        await stream.write(bytes as Uint8Array<ArrayBuffer>);
        await stream.close();
      } catch {
        await folder.removeEntry(String(index)).catch(() => undefined);
      }
    },
  };
}

async function digest(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return Array.from(hash, (b) => b.toString(16).padStart(2, '0')).join('');
}
