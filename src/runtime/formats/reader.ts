/** A cursor over bytes that cannot leave them: every read past the end is a CheckpointError with file and offset. */
import { CheckpointError } from '../errors.ts';

export class ByteReader {
  readonly bytes: Uint8Array;
  readonly file: string;
  at: number;
  /** Where `bytes` starts in the file: offsets in messages are the file's. */
  readonly base: number;
  private readonly view: DataView;

  constructor(bytes: Uint8Array, file: string, at = 0, base = 0) {
    this.bytes = bytes;
    this.file = file;
    this.at = at;
    this.base = base;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(what: string, at = this.at): never {
    throw new CheckpointError(this.file, what, this.base + at);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Moves over `n` bytes and gives where they started. */
  skip(n: number): number {
    if (!(n >= 0 && n <= this.left)) this.fail(`${n} more bytes are needed and ${this.left} are left`);
    const from = this.at;
    this.at += n;
    return from;
  }

  take(n: number): Uint8Array {
    const from = this.skip(n);
    return this.bytes.subarray(from, from + n);
  }

  u8(): number {
    return this.view.getUint8(this.skip(1));
  }
  u16(): number {
    return this.view.getUint16(this.skip(2), true);
  }
  u32(): number {
    return this.view.getUint32(this.skip(4), true);
  }
  i32(): number {
    return this.view.getInt32(this.skip(4), true);
  }
  f32(): number {
    return this.view.getFloat32(this.skip(4), true);
  }
  f64(): number {
    return this.view.getFloat64(this.skip(8), true);
  }
  f64BigEndian(): number {
    return this.view.getFloat64(this.skip(8), false);
  }
  u64(): bigint {
    return this.view.getBigUint64(this.skip(8), true);
  }
  i64(): bigint {
    return this.view.getBigInt64(this.skip(8), true);
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
    if (end < 0) this.fail(`a line of at most ${limit} bytes is expected`);
    const line = this.take(end);
    this.at++;
    return line;
  }

  /** Strict UTF-8. */
  text(n: number): string {
    const from = this.at;
    try {
      return UTF8.decode(this.take(n));
    } catch (e) {
      if (e instanceof CheckpointError) throw e;
      return this.fail('this text is not UTF-8', from);
    }
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
