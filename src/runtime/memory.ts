/** The one WebAssembly memory of the cpu device. It grows when a model is created or new sizes are bound, never in a step. */
import { OutOfMemoryError } from './errors.ts';
import { regionBytes, Regions } from './regions.ts';
import { megabytes } from './sizes.ts';

const PAGE = 65536;
/** 32-bit WebAssembly memory ends at 4 GiB. */
const MAX_BYTES = 2 ** 32 - PAGE;
/** The first page belongs to the kernels' own arrays. */
const START = PAGE;

/** A vector load that a kernel moved in front of a loop may look past an empty tensor; nothing of it is used. */
const SLACK = 64;

export class Memory {
  readonly wasm: WebAssembly.Memory;
  private readonly regions: Regions;

  constructor() {
    this.wasm = new WebAssembly.Memory({ initial: 2, maximum: 65536 });
    this.regions = new Regions(START, (end, wanted) => this.grow(end + SLACK, wanted));
  }

  /** Bytes that are taken now. */
  get used(): number {
    return this.regions.used;
  }

  /** Address of so many bytes, zeroed. */
  alloc(bytes: number): number {
    const at = this.regions.take(bytes);
    new Uint8Array(this.wasm.buffer, at, regionBytes(bytes)).fill(0);
    return at;
  }

  /** Gives back what `alloc` gave for so many bytes. */
  release(at: number, bytes: number): void {
    this.regions.release(at, bytes);
  }

  private grow(end: number, wanted: number): void {
    const have = this.wasm.buffer.byteLength;
    if (end <= have) return;
    const numbers = `needs ${megabytes(wanted)} more, has ${megabytes(this.used)} in use, and can address ${megabytes(MAX_BYTES)}`;
    if (end > MAX_BYTES) throw new OutOfMemoryError(`the cpu device ${numbers}`);
    try {
      this.wasm.grow(Math.ceil((end - have) / PAGE));
    } catch {
      throw new OutOfMemoryError(`the cpu device ${numbers}, but the system refused the memory`);
    }
  }

  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.wasm.buffer, at, length);
  }
  i32(at: number, length: number): Int32Array {
    return new Int32Array(this.wasm.buffer, at, length);
  }
  f32(at: number, length: number): Float32Array {
    return new Float32Array(this.wasm.buffer, at, length);
  }
}
