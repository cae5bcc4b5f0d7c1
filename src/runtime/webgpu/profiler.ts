/** Time of each kernel, by timestamps around every dispatch. Only while it is wanted: each dispatch becomes a pass of its own. */
import type { WebGpuKernel } from '../artifact.ts';
import { BUFFER, MAP_READ } from './constants.ts';

/** One dispatch, in nanoseconds of the device's clock. */
export interface Timing {
  readonly kernel: WebGpuKernel;
  readonly start: number;
  readonly end: number;
}

/** The most timestamps that a query set holds. */
const MAX_QUERIES = 4096;

export class GpuProfiler {
  readonly timings: Timing[] = [];
  private readonly gpu: GPUDevice;
  private readonly pending = new Set<Promise<void>>();
  private queries: GPUQuerySet | null = null;
  private kernels: WebGpuKernel[] = [];

  constructor(gpu: GPUDevice) {
    this.gpu = gpu;
  }

  static supported(gpu: GPUDevice): boolean {
    return gpu.features.has('timestamp-query');
  }

  pass(encoder: GPUCommandEncoder, kernel: WebGpuKernel): GPUComputePassEncoder {
    this.queries ??= this.gpu.createQuerySet({ type: 'timestamp', count: MAX_QUERIES });
    const at = 2 * this.kernels.length;
    if (at + 2 > MAX_QUERIES) return encoder.beginComputePass(); // what is more than that goes without time
    this.kernels.push(kernel);
    return encoder.beginComputePass({
      timestampWrites: { querySet: this.queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 },
    });
  }

  /** Ends the list of a command buffer; what it gives is to be called after the submission. */
  finish(encoder: GPUCommandEncoder): () => void {
    const { kernels, queries } = this;
    this.kernels = [];
    if (!queries || kernels.length === 0) return () => undefined;
    const bytes = 16 * kernels.length;
    const resolved = this.gpu.createBuffer({ size: bytes, usage: BUFFER.QUERY_RESOLVE | BUFFER.COPY_SRC });
    const staging = this.gpu.createBuffer({ size: bytes, usage: BUFFER.MAP_READ | BUFFER.COPY_DST });
    encoder.resolveQuerySet(queries, 0, 2 * kernels.length, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, bytes);
    return () => {
      const read = this.collect(kernels, staging).finally(() => {
        resolved.destroy();
        staging.destroy();
        this.pending.delete(read);
      });
      this.pending.add(read);
    };
  }

  private async collect(kernels: readonly WebGpuKernel[], staging: GPUBuffer): Promise<void> {
    await staging.mapAsync(MAP_READ);
    const times = new BigUint64Array(staging.getMappedRange());
    kernels.forEach((kernel, i) => {
      this.timings.push({ kernel, start: Number(times[2 * i]), end: Number(times[2 * i + 1]) });
    });
  }

  /** Waits for what was submitted. */
  async settled(): Promise<void> {
    await Promise.all(this.pending);
  }
}
