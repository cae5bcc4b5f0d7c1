/** A cursor over bytes that cannot leave them: every read past the end is a CheckpointError with file and offset. */
import { CheckpointError } from '../errors.ts';
import type { ByteSource } from '../sources/source.ts';

/** More bytes are needed than were loaded, and the source has them. */
class Short extends Error {}

export class ByteReader {
  readonly bytes: Uint8Array;
  readonly file: string;
  at: number;
  /** Where `bytes` starts in the file: offsets in messages are the file's. */
  readonly base: number;
  /** What could be read if it were loaded: more than `bytes` where these are only the start. */
  readonly end: number;
  private readonly view: DataView;

  constructor(bytes: Uint8Array, file: string, at = 0, base = 0, end = bytes.length) {
    this.bytes = bytes;
    this.file = file;
    this.at = at;
    this.base = base;
    this.end = end;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(what: string, at = this.at): never {
    throw new CheckpointError(this.file, what, this.base + at);
  }

  get left(): number {
    return this.end - this.at;
  }

  /** Moves over `n` bytes and gives where they started. */
  skip(n: number): number {
    if (!(n >= 0 && n <= this.left)) this.fail(`${n} more bytes are needed and ${this.left} are left`);
    const from = this.at;
    this.at += n;
    return from;
  }

  take(n: number): Uint8Array {
    const from = this.loaded(n);
    return this.bytes.subarray(from, from + n);
  }

  private loaded(n: number): number {
    const from = this.skip(n);
    if (this.at > this.bytes.length) throw new Short();
    return from;
  }

  u8(): number {
    return this.view.getUint8(this.loaded(1));
  }
  u16(): number {
    return this.view.getUint16(this.loaded(2), true);
  }
  u32(): number {
    return this.view.getUint32(this.loaded(4), true);
  }
  i32(): number {
    return this.view.getInt32(this.loaded(4), true);
  }
  f32(): number {
    return this.view.getFloat32(this.loaded(4), true);
  }
  f64(): number {
    return this.view.getFloat64(this.loaded(8), true);
  }
  f64BigEndian(): number {
    return this.view.getFloat64(this.loaded(8), false);
  }
  u64(): bigint {
    return this.view.getBigUint64(this.loaded(8), true);
  }
  i64(): bigint {
    return this.view.getBigInt64(this.loaded(8), true);
  }

  /** An unsigned 64-bit number that is used as a size or a position. */
  size(what: string): number {
    const n = this.u64();
    if (n > BigInt(Number.MAX_SAFE_INTEGER)) this.fail(`${what} is ${n}, more than any file has`, this.at - 8);
    return Number(n);
  }

  /** Bytes up to a line feed, without it. */
  line(limit: number): Uint8Array {
    const end = this.bytes.subarray(this.at, this.at + limit + 1).indexOf(10);
    if (end < 0 && this.at + limit >= this.bytes.length && this.end > this.bytes.length) throw new Short();
    if (end < 0) this.fail(`a line of at most ${limit} bytes is expected`);
    const line = this.take(end);
    this.at++;
    return line;
  }

  /** Strict UTF-8. */
  text(n: number): string {
    const from = this.at;
    const bytes = this.take(n);
    try {
      return UTF8.decode(bytes);
    } catch {
      return this.fail('this text is not UTF-8', from);
    }
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What describes the tensors of an honest file is far shorter, whatever their sizes are. */
const MAX_START = 1 << 28;

/** Parses the start of a source, whose length only parsing tells: again from the beginning, with ever more of it loaded. */
export async function parseStart<T>(source: ByteSource, parse: (r: ByteReader) => T, first = 1 << 16): Promise<T> {
  for (let length = first; ; length *= 4) {
    const bytes = await source.read(0, Math.min(length, source.size));
    const r = new ByteReader(bytes, source.name, 0, 0, source.size);
    try {
      return parse(r);
    } catch (e) {
      if (!(e instanceof Short)) throw e;
      if (length >= MAX_START) r.fail(`what comes before the tensors is longer than ${MAX_START} bytes`, bytes.length);
    }
  }
}
