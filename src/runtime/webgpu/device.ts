/** One GPU: its memory, its pipelines, its queue, and what has gone wrong on it. */
import type { Elem, WebGpuKernel } from '../artifact.ts';
import type { Device } from '../device.ts';
import { DeviceError, DeviceLostError, NetwrightError, OutOfMemoryError, UsageError } from '../errors.ts';
import type { Storage, StoredMatrix } from '../storage.ts';
import { Backlog } from './backlog.ts';
import { MERGE, PREDICATE, TRANSPOSE, TRANSPOSE_ELEMENTS } from './builtins.ts';
import { ARGUMENT_BYTES, BUFFER, COMPUTE } from './constants.ts';
import { USED_FEATURES, USED_LIMITS, type FoundDevice } from './discover.ts';
import { GpuMemory, type Region } from './memory.ts';
import { GpuStorage } from './storage.ts';
import { Order } from './order.ts';
import { Profile } from '../profile.ts';
import { GpuProfiler } from './profiler.ts';
import { refusal } from './refusal.ts';
import { folded } from './schedule.ts';
import { Staging } from './staging.ts';
import { subgroupOf, withSubgroups } from './subgroups.ts';

/** Bytes for a buffer (null: the memory), or a copy inside the memory. */
export type Write =
  | { readonly to: GPUBuffer | null; readonly at: number; readonly bytes: Uint8Array }
  | {
      readonly to: null;
      readonly at: number;
      readonly from: number;
      readonly bytes: number;
      /** Given where what lies there is a matrix of so many rows, and its transpose is wanted. */
      readonly matrix?: Omit<StoredMatrix, 'storage'>;
    };

export class WebGpuDevice implements Device {
  readonly kind = 'webgpu';
  readonly name: string;
  readonly description: string;
  readonly numerics: string;
  readonly gpu: GPUDevice;
  readonly memory: GpuMemory;
  readonly backlog: Backlog;
  /** Memory at binding 0, arguments at binding 1 with a dynamic offset: the same for all kernels. */
  readonly layout: GPUBindGroupLayout;
  /** With the grids of switchable dispatches at binding 2. */
  readonly predicateLayout: GPUBindGroupLayout;
  readonly lost: Promise<DeviceLostError>;
  /** Set while somebody wants to know where time goes. */
  profiler: GpuProfiler | null = null;
  /** Invocations of a workgroup, from the first on, that pass values on in registers; 1 where none do. */
  subgroup = 1;
  /** Counted for tests. */
  readonly counters = { submits: 0, dispatches: 0, buffers: 0 };
  private readonly pipelineLayout: GPUPipelineLayout;
  private readonly compiling = new Map<string, Promise<GPUComputePipeline>>();
  private readonly pipelines = new Map<string, GPUComputePipeline>();
  private readonly predicatePipelines: GPUPipelineLayout;
  private readonly order = new Order();
  /** Through which a copy inside the memory goes. */
  private detour: GPUBuffer | null = null;
  /** Arguments of a shader of our own: one at a time, in the order of the queue. */
  private builtinFrame: GPUBuffer | null = null;
  private readonly staging: Staging;
  private fault: NetwrightError | null = null;
  private scopes: Promise<void>[] = [];
  private scratch: Region | null = null;

  private constructor(gpu: GPUDevice, found: FoundDevice) {
    this.gpu = gpu;
    this.name = found.name;
    this.description = found.description;
    const { vendor, architecture, device, description } = gpu.adapterInfo;
    this.numerics = ['wgsl', vendor, architecture, device || description].join('-').replace(/\s+/g, '_');
    this.lost = gpu.lost.then(({ reason, message }) => {
      const how = reason === 'destroyed' ? 'was destroyed' : 'was lost';
      const error = new DeviceLostError(
        `the device ${this.name} ${how}${message === '' ? '' : ` (${message.trim()})`}: what was on it is gone; create the model on a device anew and load its last state`,
      );
      this.fault = error;
      return error;
    });
    gpu.addEventListener('uncapturederror', (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      this.fault ??= toError(this.name, error);
    });
    const entries: GPUBindGroupLayoutEntry[] = [
      { binding: 0, visibility: COMPUTE, buffer: { type: 'storage' } },
      { binding: 1, visibility: COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true } },
    ];
    const grids: GPUBindGroupLayoutEntry = { binding: 2, visibility: COMPUTE, buffer: { type: 'storage' } };
    this.layout = gpu.createBindGroupLayout({ entries });
    this.predicateLayout = gpu.createBindGroupLayout({ entries: [...entries, grids] });
    this.pipelineLayout = gpu.createPipelineLayout({ bindGroupLayouts: [this.layout] });
    this.predicatePipelines = gpu.createPipelineLayout({ bindGroupLayouts: [this.predicateLayout] });
    this.memory = new GpuMemory(gpu, this.name, (make) => {
      this.counters.buffers++;
      return this.guarded(make);
    });
    this.backlog = new Backlog(this.memory);
    this.staging = new Staging(gpu);
  }

  static async open(adapter: GPUAdapter, found: FoundDevice): Promise<WebGpuDevice> {
    const requiredLimits = Object.fromEntries(USED_LIMITS.map((l) => [l, adapter.limits[l]]));
    const requiredFeatures = USED_FEATURES.filter((f) => adapter.features.has(f));
    const gpu = await adapter.requestDevice({ requiredLimits, requiredFeatures });
    const made = new WebGpuDevice(gpu, found);
    made.subgroup = await subgroupOf(gpu);
    await made.compile([MERGE]); // tensors are written without any model
    await made.settled();
    return made;
  }

  /** Throws what has gone wrong on the device since it was asked the last time. A lost device stays lost. */
  check(): void {
    const { fault } = this;
    if (!fault) return;
    if (!(fault instanceof DeviceLostError)) this.fault = null;
    throw fault;
  }

  store(bytes: Uint8Array, elem: Elem): Storage {
    this.check();
    const region = this.memory.take(bytes.length);
    // Integers stay visible: they may be used as indices, which a call checks before it runs.
    const storage = new GpuStorage(this, region, 0, bytes.length, elem === 'i32' ? bytes.slice() : null);
    this.write(region.at, bytes);
    return storage;
  }

  profile(): Profile {
    if (this.profiler) throw new UsageError(`${this.name} is being profiled already: stop that profile first`);
    if (!this.gpu.features.has('timestamp-query')) {
      throw new DeviceError(
        `${this.name} has no timestamps (feature timestamp-query): what its kernels take cannot be told apart; profile on another device`,
      );
    }
    const profile = new Profile(this.name, 'timestamps of the GPU around each dispatch', async () => {
      const { profiler } = this;
      // A `while` that is under way submits more.
      await new Promise<void>((done) => this.perform([], done));
      this.profiler = null;
      await profiler?.settled();
    });
    this.profiler = new GpuProfiler(this.gpu, profile);
    return profile;
  }

  /** Working memory that all programs of the device share: they run one after another. */
  workspace(bytes: number): number {
    if (!this.scratch || bytes > this.scratch.bytes) {
      if (this.scratch) this.memory.release(this.scratch);
      this.scratch = null;
      this.scratch = this.memory.take(bytes);
    }
    return this.scratch.at;
  }

  write(at: number, bytes: Uint8Array): void {
    this.check();
    this.perform([{ to: null, at, bytes }], () => undefined);
  }

  /** Writes, then works, when their turn comes: now, unless a `while` is under way. */
  perform(writes: readonly Write[], work: () => void | Promise<void>): void {
    const ready = this.order.idle ? writes : writes.map((w) => ('from' in w ? w : { ...w, bytes: w.bytes.slice() }));
    this.order.then(
      () => {
        for (const w of ready) this.writeNow(w);
        return work();
      },
      (e) => (this.fault ??= e instanceof NetwrightError ? e : new NetwrightError('driver', String(e))),
    );
  }

  private writeNow(w: Write): void {
    if ('from' in w) return w.matrix ? this.turn(w.from, w.at, w.matrix) : this.copy(w.from, w.at, w.bytes);
    const { at, bytes } = w;
    // Whole words go straight; what two 16-bit elements share is merged, for a neighbour may be another tensor's.
    const from = at + (-at & 3);
    const end = at + bytes.length;
    const to = end - (end & 3);
    if (to > from) {
      const words = bytes.subarray(from - at, to - at) as Uint8Array<ArrayBuffer>;
      this.gpu.queue.writeBuffer(w.to ?? this.memory.buffer, from, words);
    }
    for (const word of new Set([...(at < from ? [from - 4] : []), ...(to < end ? [to] : [])]))
      if (word < end) this.merge(word, bytes, word - at);
  }

  /** Replaces those bytes of a word of memory that `bytes` has, where `start` is the word's place among them. */
  private merge(at: number, bytes: Uint8Array, start: number): void {
    const [mask, value] = [new Uint8Array(4), new Uint8Array(4)];
    for (let i = 0; i < 4; i++) {
      const byte = bytes[start + i];
      if (byte === undefined) continue;
      mask[i] = 0xff;
      value[i] = byte;
    }
    const word = (b: Uint8Array): number => new Uint32Array(b.buffer)[0]!;
    this.runBuiltin(MERGE, Uint32Array.of(at / 4, word(mask), word(value)), [1, 1, 1]);
  }

  /** Copies inside one buffer are forbidden: this goes through another. */
  private copy(from: number, to: number, bytes: number): void {
    const size = Math.ceil(bytes / 4) * 4;
    if (!this.detour || this.detour.size < size) {
      this.detour?.destroy();
      const usage = BUFFER.COPY_SRC | BUFFER.COPY_DST;
      this.counters.buffers++;
      this.detour = this.guarded(() => this.gpu.createBuffer({ label: `${this.name} detour`, size, usage }));
    }
    const encoder = this.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(this.memory.buffer, from, this.detour, 0, size);
    encoder.copyBufferToBuffer(this.detour, 0, this.memory.buffer, to, size);
    this.submit(encoder.finish());
  }

  /** Writes the transpose of a matrix. */
  private turn(from: number, to: number, { rows, cols, width }: Omit<StoredMatrix, 'storage'>): void {
    const words = Math.ceil((rows * cols * width) / 4);
    if (words === 0) return;
    const frame = Uint32Array.of(from / width, to / 4, rows, cols, 4 / width);
    this.runBuiltin(TRANSPOSE, frame, folded(Math.ceil(words / TRANSPOSE_ELEMENTS)));
  }

  /** One dispatch of a shader of our own, in its turn. */
  private runBuiltin(
    kernel: WebGpuKernel,
    frame: Uint32Array<ArrayBuffer>,
    groups: readonly [number, number, number],
  ): void {
    if (!this.builtinFrame) {
      const usage = BUFFER.UNIFORM | BUFFER.COPY_DST;
      this.counters.buffers++;
      this.builtinFrame = this.guarded(() => this.gpu.createBuffer({ label: 'built-in', size: ARGUMENT_BYTES, usage }));
    }
    this.gpu.queue.writeBuffer(this.builtinFrame, 0, frame);
    const entries = [
      { binding: 0, resource: { buffer: this.memory.buffer } },
      { binding: 1, resource: { buffer: this.builtinFrame } },
    ];
    const encoder = this.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.pipelineOf(kernel));
    pass.setBindGroup(0, this.gpu.createBindGroup({ layout: this.layout, entries }), [0]);
    pass.dispatchWorkgroups(...groups);
    pass.end();
    this.submit(encoder.finish());
  }

  /** The bytes as they are after everything that was asked before. */
  async fetch(at: number, length: number): Promise<Uint8Array> {
    this.check();
    if (length === 0) return new Uint8Array(0);
    const first = Math.floor(at / 4) * 4;
    const bytes = Math.ceil((at + length) / 4) * 4 - first;
    const copied = Promise.withResolvers<Uint8Array>();
    this.perform([], () => {
      this.copyOut(first, bytes).then(copied.resolve, copied.reject);
    });
    try {
      const all = await copied.promise;
      this.check();
      return all.subarray(at - first, at - first + length);
    } catch (e) {
      // Mapping fails when the device goes, a little before the reason is known.
      await Promise.race([this.lost, new Promise((done) => setTimeout(done, 100))]);
      this.check();
      throw e;
    }
  }

  /** A word of the memory, for work that has its turn. */
  async word(at: number): Promise<Uint32Array> {
    return new Uint32Array((await this.copyOut(at, 4)).buffer);
  }

  private copyOut(at: number, bytes: number): Promise<Uint8Array> {
    return this.staging.read(this.memory.buffer, at, bytes, (commands) => this.submit(commands));
  }

  submit(commands: GPUCommandBuffer): void {
    this.counters.submits++;
    this.gpu.queue.submit([commands]);
  }

  /** The pipelines of kernels, compiled side by side; equal code once. Throws KernelError with the line of the network. */
  async compile(kernels: readonly WebGpuKernel[]): Promise<void> {
    await Promise.all(
      kernels.map((k) => {
        let made = this.compiling.get(k.code);
        if (!made) this.compiling.set(k.code, (made = this.pipeline(k)));
        return made;
      }),
    );
  }

  /** Of a kernel that was compiled. */
  pipelineOf(k: WebGpuKernel): GPUComputePipeline {
    return this.pipelines.get(k.code)!;
  }

  private async pipeline(k: WebGpuKernel): Promise<GPUComputePipeline> {
    this.gpu.pushErrorScope('validation');
    const code = withSubgroups(k.code, this.subgroup);
    const module = this.gpu.createShaderModule({ label: k.name, code });
    const invalid = this.gpu.popErrorScope().catch(() => null);
    try {
      const made = await this.gpu.createComputePipelineAsync({
        label: k.name,
        layout: k === PREDICATE ? this.predicatePipelines : this.pipelineLayout,
        compute: { module, entryPoint: 'main' },
      });
      this.pipelines.set(k.code, made);
      return made;
    } catch (e) {
      this.compiling.delete(k.code);
      this.check();
      const reason = (await invalid)?.message ?? (e instanceof Error ? e.message : String(e));
      throw await refusal(this.name, k, code, module, reason);
    }
  }

  /** Watches what `work` asks of the driver; what goes wrong is thrown by the next `check`. */
  guarded<T>(work: () => T): T {
    const filters = ['validation', 'out-of-memory'] as const;
    for (const f of filters) this.gpu.pushErrorScope(f);
    try {
      return work();
    } finally {
      for (const _ of filters) {
        const seen = this.gpu.popErrorScope().then(
          (error) => {
            if (error) this.fault ??= toError(this.name, error);
          },
          () => undefined, // the device is gone: `lost` tells
        );
        this.scopes.push(seen);
      }
    }
  }

  /** Waits for the error scopes of what was allocated so far; throws what they caught. */
  async settled(): Promise<void> {
    const scopes = this.scopes;
    this.scopes = [];
    await Promise.all(scopes);
    this.check();
  }

  /** Gives everything back. Tensors and models on it are lost. */
  destroy(): void {
    this.gpu.destroy();
  }

  toString(): string {
    return this.name;
  }
}

function toError(name: string, error: GPUError): NetwrightError {
  if (error.constructor.name === 'GPUOutOfMemoryError')
    return new OutOfMemoryError(`the device ${name} is out of memory: ${error.message}`);
  return new NetwrightError('driver', `the device ${name} refuses what it was asked to do: ${error.message}`);
}
