/** A growing byte buffer with the encodings of the WebAssembly binary format (LEB128, IEEE floats, names). */
export class Bytes {
  private data = new Uint8Array(256);
  private size = 0;

  get length(): number {
    return this.size;
  }

  private reserve(n: number): void {
    if (this.size + n <= this.data.length) return;
    const grown = new Uint8Array(Math.max(this.data.length * 2, this.size + n));
    grown.set(this.data.subarray(0, this.size));
    this.data = grown;
  }

  at(offset: number): number {
    return this.data[offset]!;
  }

  patch(offset: number, byte: number): void {
    this.data[offset] = byte;
  }

  byte(value: number): this {
    if (this.size === this.data.length) this.reserve(1);
    this.data[this.size++] = value;
    return this;
  }

  u8(...bytes: readonly number[]): this {
    this.reserve(bytes.length);
    for (const b of bytes) this.data[this.size++] = b;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.reserve(bytes.length);
    this.data.set(bytes, this.size);
    this.size += bytes.length;
    return this;
  }

  /** Bytes of another from an offset up to one: a few, mostly, for which a view of them would cost more than the loop. */
  part(other: Bytes, from: number, to: number): this {
    this.reserve(to - from);
    const { data } = other;
    for (let i = from; i < to; i++) this.data[this.size++] = data[i]!;
    return this;
  }

  append(other: Bytes): this {
    return this.raw(other.data.subarray(0, other.size));
  }

  /** Unsigned LEB128 of a number below 2^32. */
  u32(value: number): this {
    let v = value >>> 0;
    while (v >= 0x80) {
      this.byte((v & 0x7f) | 0x80);
      v >>>= 7;
    }
    return this.byte(v);
  }

  /** Signed LEB128 of a 32-bit integer. */
  s32(value: number): this {
    let v = value | 0;
    for (;;) {
      const low = v & 0x7f;
      v >>= 7;
      if ((v === 0 && !(low & 0x40)) || (v === -1 && low & 0x40)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  f32(value: number): this {
    this.reserve(4);
    new DataView(this.data.buffer).setFloat32(this.size, value, true);
    this.size += 4;
    return this;
  }

  /** 32 bits, little-endian: a lane of a v128 constant. */
  word(value: number): this {
    return this.u8(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24);
  }

  /** A UTF-8 string with its length. */
  name(text: string): this {
    const utf8 = new TextEncoder().encode(text);
    return this.u32(utf8.length).raw(utf8);
  }

  /** Contents preceded by their length: sections, bodies, subsections. */
  sized(contents: Bytes): this {
    return this.u32(contents.length).append(contents);
  }

  finish(): Uint8Array {
    return this.data.slice(0, this.size);
  }
}
