/** Bytes that are read in parts: a file, a Blob, a resource of a server, or memory. Readers of formats see nothing else. */
import { CheckpointError } from '../errors.ts';

export interface ByteSource {
  /** For messages: a path or an address; '' for memory. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`. They may be the source's own memory: copy before writing. Throws CheckpointError
   * for a range that is not inside.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Set where ranges can be read into memory that is there already. */
  readonly disk?: Disk;
  /** Gives back what the source holds open. Nothing can be read afterwards. */
  close(): Promise<void>;
}

/** What a file on a disk can do beside. Both throw as `read` does. */
export interface Disk {
  /** Fills `target` with what begins at `offset`. */
  fill(offset: number, target: Uint8Array): Promise<void>;
  /** The same before it returns: quick where the system has read the range before. */
  fillNow(offset: number, target: Uint8Array): void;
}

/** How far reading is: what has come so far, of all that the source has. */
export interface Progress {
  readonly received: number;
  readonly size: number;
}

export function bytesSource(bytes: Uint8Array, name = ''): ByteSource {
  return {
    name,
    size: bytes.length,
    async read(offset, length) {
      checkRange(this, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    async close() {},
  };
}

/** A Blob, or a File that a user picked or dropped: the browser reads the ranges from the disk. */
export function blobSource(blob: Blob, name = blob instanceof File ? blob.name : ''): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      checkRange(this, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (e) {
        // A browser refuses a file that changed since it was picked.
        throw new CheckpointError(
          name,
          `it can no longer be read: ${e instanceof Error ? e.message : String(e)}`,
          offset,
        );
      }
    },
    async close() {},
  };
}

export function checkRange(source: Pick<ByteSource, 'name' | 'size'>, offset: number, length: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= source.size) return;
  const range = `bytes ${offset} to ${offset + length} are wanted`;
  throw new CheckpointError(source.name, `${range}, and there are ${source.size}`, Math.min(offset, source.size));
}

export interface Range {
  readonly offset: number;
  readonly length: number;
}

/** Neighbours so near are read at once: for a disk or a server, a request costs more than the bytes between. */
const GAP = 1 << 15;
const MAX_GROUP = 1 << 20;
const AT_ONCE = 6;

/** Many small ranges with few reads, in any order; the answers are in the order of `ranges`. */
export async function readRanges(source: ByteSource, ranges: readonly Range[]): Promise<Uint8Array[]> {
  const out = new Array<Uint8Array>(ranges.length);
  const groups: { offset: number; end: number; members: number[] }[] = [];
  const order = ranges.map((_, i) => i).sort((a, b) => ranges[a]!.offset - ranges[b]!.offset);
  for (const i of order) {
    const { offset, length } = ranges[i]!;
    const last = groups.at(-1);
    const end = offset + length;
    if (last && offset - last.end <= GAP && end - last.offset <= MAX_GROUP) {
      last.members.push(i);
      last.end = Math.max(last.end, end);
    } else groups.push({ offset, end, members: [i] });
  }
  const next = groups.values();
  const worker = async (): Promise<void> => {
    for (const { offset, end, members } of next) {
      const bytes = await source.read(offset, end - offset);
      for (const i of members) {
        const from = ranges[i]!.offset - offset;
        out[i] = bytes.subarray(from, from + ranges[i]!.length);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, groups.length) }, worker));
  return out;
}
