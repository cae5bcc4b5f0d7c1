/**
 * The one storage buffer of a GPU, shared by all models on it. It grows when a model is created or new sizes are bound, never
 * in a step: a larger buffer takes over the content, and whoever has bound the old one binds anew (`generation`).
 */
import { OutOfMemoryError } from '../errors.ts';
import { regionBytes, Regions } from '../regions.ts';
import { BUFFER } from './constants.ts';
import { megabytes } from '../sizes.ts';

/** Growth in steps of this many bytes at least, and by a quarter. */
const STEP = 1 << 20;

/** Bytes that belong to whoever holds this object; they are given back after it is collected. */
export interface Region {
  readonly at: number;
  readonly bytes: number;
}

/** Calls `make` so that its failure, which arrives later, is noticed. */
type Watch = <T>(make: () => T) => T;

export class GpuMemory {
  buffer: GPUBuffer;
  /** Counts the buffers that there were. */
  generation = 0;
  private readonly gpu: GPUDevice;
  private readonly name: string;
  private readonly regions: Regions;
  /** Bytes that the buffer may have. */
  readonly limit: number;
  private readonly watch: Watch;
  private readonly registry: FinalizationRegistry<Region>;

  constructor(gpu: GPUDevice, name: string, watch: Watch) {
    this.gpu = gpu;
    this.name = name;
    this.limit = Math.min(gpu.limits.maxBufferSize, gpu.limits.maxStorageBufferBindingSize, 2 ** 32 - 4);
    this.regions = new Regions(0, (end, wanted) => this.reach(end, wanted));
    this.registry = new FinalizationRegistry(({ at, bytes }) => this.regions.release(at, bytes));
    this.watch = watch;
    this.buffer = this.make(STEP);
  }

  /** Bytes that are taken now. */
  get used(): number {
    return this.regions.used;
  }

  /** So many bytes, of any content. */
  take(bytes: number): Region {
    const region = { at: this.regions.take(bytes), bytes };
    this.registry.register(region, { ...region }, region);
    return region;
  }

  /** So many bytes, all zero. */
  zeroed(bytes: number): Region {
    const region = this.take(bytes);
    const encoder = this.gpu.createCommandEncoder();
    encoder.clearBuffer(this.buffer, region.at, regionBytes(bytes));
    this.gpu.queue.submit([encoder.finish()]);
    return region;
  }

  /** Gives a region back before it is collected. */
  release(region: Region): void {
    this.registry.unregister(region);
    this.regions.release(region.at, region.bytes);
  }

  /** Grows once for what will be taken in parts. Throws OutOfMemoryError where the device cannot hold it. */
  reserve(bytes: number): void {
    this.release(this.take(bytes));
  }

  private reach(end: number, wanted: number): void {
    if (end <= this.buffer.size) return;
    if (end > this.limit) {
      throw new OutOfMemoryError(
        `the device ${this.name} needs ${megabytes(wanted)} more, has ${megabytes(this.used)} in use, and can hold ${megabytes(this.limit)} in one buffer`,
      );
    }
    const old = this.buffer;
    const roomy = Math.ceil(Math.max(end, old.size * 1.25) / STEP) * STEP;
    this.buffer = this.make(Math.min(roomy, Math.floor(this.limit / 4) * 4));
    this.generation++;
    const encoder = this.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(old, 0, this.buffer, 0, old.size);
    this.gpu.queue.submit([encoder.finish()]);
    old.destroy();
  }

  private make(size: number): GPUBuffer {
    const usage = BUFFER.STORAGE | BUFFER.COPY_SRC | BUFFER.COPY_DST;
    return this.watch(() => this.gpu.createBuffer({ label: `${this.name} memory`, size, usage }));
  }
}
