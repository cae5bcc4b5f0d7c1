/** Buffers through which values come back to the host, kept for the next time. */

import { BUFFER, MAP_READ } from './constants.ts';

/** Kept of each size. */
const MAX_KEPT = 4;
const MIN_BYTES = 256;

export class Staging {
  private readonly gpu: GPUDevice;
  private readonly free = new Map<number, GPUBuffer[]>();

  constructor(gpu: GPUDevice) {
    this.gpu = gpu;
  }

  /** A copy of a range of `from` (multiples of 4), as it is when the copy's turn comes on the queue. */
  async read(
    from: GPUBuffer,
    at: number,
    bytes: number,
    submit: (commands: GPUCommandBuffer) => void,
  ): Promise<Uint8Array> {
    const size = Math.max(MIN_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
    const buffer =
      this.free.get(size)?.pop() ??
      this.gpu.createBuffer({ label: 'staging', size, usage: BUFFER.MAP_READ | BUFFER.COPY_DST });
    const encoder = this.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(from, at, buffer, 0, bytes);
    submit(encoder.finish());
    try {
      await buffer.mapAsync(MAP_READ, 0, bytes);
    } catch (e) {
      buffer.destroy();
      throw e;
    }
    const copy = new Uint8Array(buffer.getMappedRange(0, bytes)).slice();
    buffer.unmap();
    const kept = this.free.get(size) ?? [];
    this.free.set(size, kept);
    if (kept.length < MAX_KEPT) kept.push(buffer);
    else buffer.destroy();
    return copy;
  }
}
