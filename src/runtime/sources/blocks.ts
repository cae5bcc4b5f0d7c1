/** Reads a slow source in whole blocks, so that small reads near each other are one request and blocks can be kept. */
import { checkRange, type ByteSource } from './source.ts';

/** Blocks of one version of one resource. What it holds may be gone at any time. */
export interface BlockStore {
  get(index: number): Promise<Uint8Array | null>;
  put(index: number, bytes: Uint8Array): Promise<void>;
}

/** Where blocks outlive the page: see `opfsCache`. */
export interface BlockCache {
  /** `version` tells one content of the address from another: blocks of others are of no use any more. */
  open(address: string, version: string): Promise<BlockStore>;
}

/** At most so much is asked for at once, however many blocks are missing. */
const MAX_RUN = 1 << 25;

/** Every read goes through the store; what it lacks is read from `source`, neighbouring blocks in one request. */
export function inBlocks(source: ByteSource, store: BlockStore, block: number): ByteSource {
  const sizeOf = (i: number): number => Math.min(block, source.size - i * block);
  return {
    name: source.name,
    size: source.size,
    close: () => source.close(),
    async read(offset, length) {
      checkRange(source, offset, length);
      const out = new Uint8Array(length);
      const place = (i: number, bytes: Uint8Array): void => {
        const [from, to] = [Math.max(offset, i * block), Math.min(offset + length, i * block + bytes.length)];
        out.set(bytes.subarray(from - i * block, to - i * block), from - offset);
      };
      const end = Math.ceil((offset + length) / block);
      let missing = -1;
      const flush = async (until: number): Promise<void> => {
        if (missing < 0) return;
        const first = missing;
        missing = -1;
        const start = first * block;
        const bytes = await source.read(start, Math.min(until * block, source.size) - start);
        for (let i = first; i < until; i++) {
          const part = bytes.slice((i - first) * block, (i - first) * block + sizeOf(i));
          place(i, part);
          await store.put(i, part);
        }
      };
      for (let i = Math.floor(offset / block); i < end; i++) {
        const known = await store.get(i);
        if (known?.length === sizeOf(i)) {
          await flush(i);
          place(i, known);
        } else {
          if (missing < 0) missing = i;
          if ((i + 1 - missing) * block >= MAX_RUN) await flush(i + 1);
        }
      }
      await flush(end);
      return out;
    },
  };
}

const SMALL = 1 << 16;
/** Headers of neighbours: two megabytes in all. */
const KEPT = 32;

/** Small reads come from blocks that are kept in memory for a while; large ones go to the source as they are. */
export function readAhead(source: ByteSource, first: Uint8Array): ByteSource {
  const kept = new Map<number, Uint8Array>();
  if (first.length >= Math.min(SMALL, source.size)) kept.set(0, first.subarray(0, SMALL));
  const blocks = inBlocks(
    source,
    {
      get: async (i) => kept.get(i) ?? null,
      async put(i, bytes) {
        kept.set(i, bytes);
        if (kept.size > KEPT) kept.delete(kept.keys().next().value!);
      },
    },
    SMALL,
  );
  return { ...source, read: (at, length) => (length <= SMALL ? blocks.read(at, length) : source.read(at, length)) };
}
