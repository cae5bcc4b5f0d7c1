/** One WebAssembly memory with a first-fit allocator. It grows when a model is created or new sizes are bound, never in a step. */
import { OutOfMemoryError } from './errors.ts';
import { aligned } from './plan.ts';

const PAGE = 65536;
/** 32-bit WebAssembly memory ends at 4 GiB. */
const MAX_BYTES = 2 ** 32 - PAGE;
/** The first page belongs to the kernels' own arrays. */
const START = PAGE;

/** A vector load that a kernel moved in front of a loop may look past an empty tensor; nothing of it is used. */
const SLACK = 64;

export class Memory {
  readonly wasm: WebAssembly.Memory;
  /** Free blocks by address: [start, end). */
  private free: [number, number][] = [];
  private top = START;

  constructor() {
    this.wasm = new WebAssembly.Memory({ initial: 2, maximum: 65536 });
  }

  /** Bytes that are taken now. */
  get used(): number {
    return this.top - START - this.free.reduce((n, [a, b]) => n + b - a, 0);
  }

  /** Address of so many bytes, zeroed. */
  alloc(bytes: number): number {
    const size = Math.max(aligned(bytes), 64);
    const hole = this.free.findIndex(([a, b]) => b - a >= size);
    let at: number;
    if (hole >= 0) {
      const block = this.free[hole]!;
      at = block[0];
      block[0] += size;
      if (block[0] === block[1]) this.free.splice(hole, 1);
    } else {
      at = this.top;
      this.grow(at + size + SLACK, size);
      this.top = at + size;
    }
    new Uint8Array(this.wasm.buffer, at, size).fill(0);
    return at;
  }

  /** Gives back what `alloc` gave for so many bytes. */
  release(at: number, bytes: number): void {
    const size = Math.max(aligned(bytes), 64);
    let i = this.free.findIndex(([a]) => a > at);
    if (i < 0) i = this.free.length;
    this.free.splice(i, 0, [at, at + size]);
    for (const j of [i, i - 1]) {
      const left = this.free[j];
      const right = this.free[j + 1];
      if (left && right && left[1] === right[0]) this.free.splice(j, 2, [left[0], right[1]]);
    }
    const last = this.free.at(-1);
    if (last && last[1] === this.top) {
      this.top = last[0];
      this.free.pop();
    }
  }

  private grow(end: number, wanted: number): void {
    const have = this.wasm.buffer.byteLength;
    if (end <= have) return;
    const numbers = `needs ${mb(wanted)} more, has ${mb(this.used)} in use, and can address ${mb(MAX_BYTES)}`;
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

const mb = (n: number): string => `${(n / 1e6).toFixed(1)} MB`;
