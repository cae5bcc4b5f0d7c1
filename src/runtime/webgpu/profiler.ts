/** Time of each dispatch, by timestamps around it. Only while it is wanted: each dispatch becomes a pass of its own. */
import type { Profile, Work } from '../profile.ts';
import { BUFFER, MAP_READ } from './constants.ts';

/** The most timestamps that a query set holds. */
const MAX_QUERIES = 4096;
const BYTES = 8;

export class GpuProfiler {
  private readonly gpu: GPUDevice;
  private readonly profile: Profile;
  private readonly pending = new Set<Promise<void>>();
  /** As many as the longest command buffer has needed. */
  private readonly sets: GPUQuerySet[] = [];
  /** Dispatches of the command buffer that is being written. */
  private works: Work[] = [];

  constructor(gpu: GPUDevice, profile: Profile) {
    this.gpu = gpu;
    this.profile = profile;
  }

  pass(encoder: GPUCommandEncoder, work: Work): GPUComputePassEncoder {
    const at = 2 * this.works.length;
    const querySet = (this.sets[Math.floor(at / MAX_QUERIES)] ??= this.gpu.createQuerySet({
      type: 'timestamp',
      count: MAX_QUERIES,
    }));
    this.works.push(work);
    const beginningOfPassWriteIndex = at % MAX_QUERIES;
    return encoder.beginComputePass({
      timestampWrites: {
        querySet,
        beginningOfPassWriteIndex,
        endOfPassWriteIndex: beginningOfPassWriteIndex + 1,
      },
    });
  }

  /** Ends the list of a command buffer; what it gives is to be called after the submission. */
  finish(encoder: GPUCommandEncoder): () => void {
    const { works } = this;
    this.works = [];
    if (works.length === 0) return () => undefined;
    const stamps = 2 * works.length;
    const size = BYTES * stamps;
    const resolved = this.gpu.createBuffer({ size, usage: BUFFER.QUERY_RESOLVE | BUFFER.COPY_SRC });
    const staging = this.gpu.createBuffer({ size, usage: BUFFER.MAP_READ | BUFFER.COPY_DST });
    for (let at = 0; at < stamps; at += MAX_QUERIES) {
      const count = Math.min(MAX_QUERIES, stamps - at);
      encoder.resolveQuerySet(this.sets[at / MAX_QUERIES]!, 0, count, resolved, BYTES * at);
    }
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
    return () => {
      const read = this.collect(works, staging)
        .catch(() => undefined) // the device is gone: `lost` tells
        .finally(() => {
          resolved.destroy();
          staging.destroy();
          this.pending.delete(read);
        });
      this.pending.add(read);
    };
  }

  private async collect(works: readonly Work[], staging: GPUBuffer): Promise<void> {
    await staging.mapAsync(MAP_READ);
    // Nanoseconds of the device's clock.
    const times = Array.from(new BigUint64Array(staging.getMappedRange()), (t) => Number(t) / 1e6);
    works.forEach((work, i) => this.profile.kernel(work, times[2 * i]!, times[2 * i + 1]!));
    this.profile.run(works[0]!.program, Math.min(...times), Math.max(...times));
  }

  /** Waits for what was submitted. */
  async settled(): Promise<void> {
    await Promise.all(this.pending);
    for (const s of this.sets) s.destroy();
  }
}
