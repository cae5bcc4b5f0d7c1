/** The memory of a device that computes on the processor: one per device, growing in place when a model is created or new sizes are bound. */
import { TASK_ARGS } from './artifact.ts';
import { OutOfMemoryError } from './errors.ts';
import { regionBytes, Regions } from './regions.ts';
import { megabytes } from './sizes.ts';

/** A vector load that a kernel moved in front of a loop may look past an empty tensor; nothing of it is used. */
const SLACK = 64;

export abstract class Memory {
  private readonly device: string;
  private readonly regions: Regions;
  private readonly limit: number;

  /** Addresses from `start` up to `limit` are given out. */
  constructor(device: string, start: number, limit: number) {
    this.device = device;
    this.limit = limit;
    this.regions = new Regions(start, (end, wanted) => this.reach(end + SLACK, wanted));
  }

  protected abstract get buffer(): ArrayBufferLike;
  /** Makes the buffer that long, or longer. Throws where the system refuses. */
  protected abstract grow(bytes: number): void;
  /** What kernels take addresses from: address 0 as they see it. */
  abstract readonly base: number;
  /** Bytes of one slot of a frame. */
  abstract readonly slotBytes: number;
  /** Where the address in a slot is in this memory. */
  abstract place(slot: number): number;
  /** A frame, one number per slot. */
  abstract frame(at: number, slots: number): Int32Array | Float64Array;

  /** Bytes that are taken now. */
  get used(): number {
    return this.regions.used;
  }

  /** Address of so many bytes, zeroed. */
  alloc(bytes: number): number {
    const at = this.regions.take(bytes);
    clear(new Uint8Array(this.buffer, at, regionBytes(bytes)));
    return at;
  }

  /** Gives back what `alloc` gave for so many bytes. */
  release(at: number, bytes: number): void {
    this.regions.release(at, bytes);
  }

  /** Throws OutOfMemoryError where so much more can never be had. */
  check(what: string, bytes: number): void {
    if (bytes <= this.limit) return;
    const gigabytes = (n: number): string => `${(n / 1e9).toFixed(2)} GB`;
    throw new OutOfMemoryError(
      `${what} needs ${gigabytes(bytes)}; the ${this.device} device addresses ${gigabytes(this.limit)}`,
    );
  }

  private reach(end: number, wanted: number): void {
    if (end <= this.buffer.byteLength) return;
    const numbers = `needs ${megabytes(wanted)} more, has ${megabytes(this.used)} in use, and can address ${megabytes(this.limit)}`;
    if (end > this.limit) throw new OutOfMemoryError(`the ${this.device} device ${numbers}`);
    try {
      this.grow(end);
    } catch {
      throw new OutOfMemoryError(`the ${this.device} device ${numbers}, but the system refused the memory`);
    }
  }

  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.buffer, at, length);
  }
  i32(at: number, length: number): Int32Array {
    return new Int32Array(this.buffer, at, length);
  }
  f32(at: number, length: number): Float32Array {
    return new Float32Array(this.buffer, at, length);
  }
}

const ZEROS = new Uint8Array(65536);

/** In shared memory `fill` goes byte by byte; copies do not. */
function clear(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += ZEROS.length)
    bytes.set(bytes.length - at < ZEROS.length ? ZEROS.subarray(0, bytes.length - at) : ZEROS, at);
}

const PAGE = 65536;
const MOST_PAGES = 65536;

/**
 * Memory that threads can share where the system lets us: in Node, and in a page that is isolated from other origins. A system
 * that reserves all that shared memory may ever become can refuse the whole range.
 */
function makeMemory(): WebAssembly.Memory {
  if (typeof SharedArrayBuffer !== 'undefined')
    for (let maximum = MOST_PAGES; maximum >= 4096; maximum /= 2)
      try {
        return new WebAssembly.Memory({ initial: 2, maximum, shared: true });
      } catch {
        // Less, or not shared.
      }
  return new WebAssembly.Memory({ initial: 2, maximum: MOST_PAGES });
}

/** WebAssembly's. The first page belongs to the kernels' own arrays, what follows to the arguments of a shared kernel. */
export class WasmMemory extends Memory {
  readonly wasm: WebAssembly.Memory;
  /** Threads can share it. */
  readonly shared: boolean;
  readonly base = 0;
  readonly slotBytes = 4;

  constructor(wasm = makeMemory()) {
    super('cpu', TASK_ARGS.at + 4 * TASK_ARGS.most, 2 ** 32 - PAGE);
    this.wasm = wasm;
    this.shared = !(wasm.buffer instanceof ArrayBuffer);
  }

  protected get buffer(): ArrayBufferLike {
    return this.wasm.buffer;
  }

  protected grow(bytes: number): void {
    this.wasm.grow(Math.ceil((bytes - this.wasm.buffer.byteLength) / PAGE));
  }

  place(slot: number): number {
    return slot >>> 0;
  }

  frame(at: number, slots: number): Int32Array {
    return new Int32Array(this.wasm.buffer, at, slots);
  }
}
