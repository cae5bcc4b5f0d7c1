/** The memory of the native device: a buffer that grows where it is, so that C may hold addresses in it. */
import { Memory } from '../memory.ts';

/** Address space is reserved, not taken: what no model asks for is never backed by pages. */
const MAX_BYTES = 2 ** 36;
const STEP = 2 ** 20;

/** Reserves as much as the system grants. */
export function reserve(): ArrayBuffer {
  for (let maxByteLength = MAX_BYTES; ; maxByteLength /= 2) {
    try {
      return new ArrayBuffer(STEP, { maxByteLength });
    } catch (e) {
      if (maxByteLength <= STEP) throw e;
    }
  }
}

export class NativeMemory extends Memory {
  protected readonly buffer: ArrayBuffer;
  readonly base: number;
  readonly slotBytes = 8;

  /** `address` is where the buffer lies. */
  constructor(buffer: ArrayBuffer, address: number) {
    super('native', 64, buffer.maxByteLength);
    this.buffer = buffer;
    this.base = address;
  }

  protected grow(bytes: number): void {
    this.buffer.resize(Math.min(Math.ceil(bytes / STEP) * STEP, this.buffer.maxByteLength));
  }

  place(slot: number): number {
    return slot - this.base;
  }

  frame(at: number, slots: number): Float64Array {
    return new Float64Array(this.buffer, at, slots);
  }
}
