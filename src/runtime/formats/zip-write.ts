/** Writes zip archives of stored members, each starting at a multiple of the alignment; zip64 where numbers need it. */
import { crc32 } from './crc32.ts';

/** Numbers that do not fit are all ones, and stand in a zip64 field. */
const LIMIT = 0xffffffff;
/** The extra field that PyTorch pads with. */
const PADDING_ID = 0x4246;

class Bytes {
  private readonly parts: number[] = [];
  u16(...all: number[]): this {
    for (const v of all) this.parts.push(v & 255, (v >>> 8) & 255);
    return this;
  }
  u32(...all: number[]): this {
    for (const v of all) this.u16(v & 0xffff, v >>> 16);
    return this;
  }
  u64(...all: number[]): this {
    for (const v of all) this.u32(v >>> 0, Math.floor(v / 2 ** 32));
    return this;
  }
  raw(bytes: Uint8Array): this {
    for (const b of bytes) this.parts.push(b);
    return this;
  }
  get length(): number {
    return this.parts.length;
  }
  done(): Uint8Array {
    return Uint8Array.from(this.parts);
  }
}

/** A member's bytes in parts, made when its turn comes. */
export type Content = () => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;

/**
 * The archive in pieces; members' bytes are not copied, and those of one member are in memory at a time. No times are
 * written: equal content is an equal file. `limit` is where zip64 begins: tests have no files of 4 GB.
 */
export async function* writeZip(
  members: Iterable<readonly [name: string, content: Content]>,
  align = 1,
  limit = LIMIT,
): AsyncGenerator<Uint8Array> {
  const directory = new Bytes();
  let at = 0;
  let count = 0;
  for (const [name, content] of members) {
    const text = new TextEncoder().encode(name);
    const parts = await content();
    const size = parts.reduce((n, p) => n + p.length, 0);
    const crc = parts.reduce((c, p) => crc32(p, c), 0);
    const big = size >= limit;
    const far = at >= limit;
    const wide = big ? new Bytes().u16(1, 16).u64(size, size) : new Bytes();
    // Version 4.5 is the first with zip64; flag 0x800 says that names are UTF-8; 0x21 is the first day that DOS knew.
    const common = new Bytes().u16(big || far ? 45 : 20, 0x800, 0, 0, 0x21).u32(crc);
    common.u32(big ? LIMIT : size, big ? LIMIT : size).u16(text.length);
    const before = at + 30 + text.length + wide.length;
    const pad = (align - ((before + 4) % align)) % align;
    const extra = align > 1 ? wide.u16(PADDING_ID, pad).raw(new Uint8Array(pad).fill(0x5a)) : wide;
    const head = new Bytes().u32(0x04034b50).raw(common.done()).u16(extra.length).raw(text).raw(extra.done()).done();

    const numbers = [...(big ? [size, size] : []), ...(far ? [at] : [])];
    const field = numbers.length > 0 ? new Bytes().u16(1, 8 * numbers.length).u64(...numbers) : new Bytes();
    directory.u32(0x02014b50).u16(45).raw(common.done()).u16(field.length, 0, 0, 0);
    directory
      .u32(0, far ? LIMIT : at)
      .raw(text)
      .raw(field.done());
    yield head;
    yield* parts;
    at += head.length + size;
    count++;
  }
  yield directory.done();
  yield endRecords(at, directory.length, count, limit);
}

function endRecords(start: number, size: number, count: number, limit: number): Uint8Array {
  const end = new Bytes();
  const wide = start >= limit || size >= limit || count >= 0xffff;
  if (wide) {
    end.u32(0x06064b50).u64(44).u16(45, 45).u32(0, 0).u64(count, count, size, start);
    end
      .u32(0x07064b50, 0)
      .u64(start + size)
      .u32(1);
  }
  const n = wide ? 0xffff : count;
  return end
    .u32(0x06054b50)
    .u16(0, 0, n, n)
    .u32(wide ? LIMIT : size, wide ? LIMIT : start)
    .u16(0)
    .done();
}
