/**
 * Runs the programs of one model on a GPU. For each binding of a program's sizes it plans memory and writes the arguments of
 * all dispatches once; a call then writes what moved, and submits one command buffer. It never waits for the GPU, except in
 * a `while`, where calls that come later queue up.
 */
import type { Artifact, Program, WebGpuCode } from '../artifact.ts';
import type { Executor, ExecutorOptions, InputSource } from '../backend.ts';
import { cpuDevice } from '../devices.ts';
import { widthOf } from '../elem.ts';
import { DeviceError } from '../errors.ts';
import { cpuExecutor, type HostExecutor } from '../executor.ts';
import { whileLimit } from '../loops.ts';
import { checkSizes, plan, type Plan } from '../plan.ts';
import { evaluateSize, type Binding } from '../sizes.ts';
import type { Storage } from '../storage.ts';
import { Tensor } from '../tensor.ts';
import { BoundProgram } from './bound.ts';
import { COPY, PREDICATE, SET, TRANSPOSE } from './builtins.ts';
import type { WebGpuDevice } from './device.ts';
import type { Region } from './memory.ts';
import { SegmentStorage } from './storage.ts';

/** Bindings of sizes that keep their plan and memory. */
const MAX_BINDINGS = 64;

export class WebGpuExecutor implements Executor {
  readonly device: WebGpuDevice;
  readonly options: ExecutorOptions;
  private readonly artifact: Artifact;
  private readonly code: WebGpuCode;
  private readonly programs: ReadonlyMap<string, Program>;
  private readonly segments = new Map<string, Region>();
  private readonly bound = new Map<string, BoundProgram>();
  /** Draws initial values: the same bits as on the cpu. */
  private readonly host: HostExecutor;

  private constructor(
    artifact: Artifact,
    code: WebGpuCode,
    on: WebGpuDevice,
    host: HostExecutor,
    options: ExecutorOptions,
  ) {
    this.options = options;
    this.artifact = artifact;
    this.code = code;
    this.device = on;
    this.host = host;
    this.programs = new Map(code.programs.map((p) => [p.name, p]));
  }

  static async create(artifact: Artifact, on: WebGpuDevice, options: ExecutorOptions = {}): Promise<WebGpuExecutor> {
    on.check();
    if (!artifact.webgpu) {
      throw new DeviceError(
        `${artifact.name} was compiled for the cpu alone, not for ${on.name}: build it with --target webgpu (in a program: targets: ['wasm', 'webgpu'])`,
      );
    }
    const { maxComputeWorkgroupStorageSize: has } = on.gpu.limits;
    if (artifact.webgpu.workgroupBytes > has) {
      throw new DeviceError(
        `${artifact.name} was compiled for devices whose workgroups have ${artifact.webgpu.workgroupBytes} bytes of memory; those of ${on.name} have ${has}: build it with --gpu-limit workgroupBytes=${has} (in a program: gpuLimits)`,
      );
    }
    const [host] = await Promise.all([
      cpuExecutor(artifact, cpuDevice(), options),
      on.compile([COPY, SET, PREDICATE, TRANSPOSE, ...artifact.webgpu.kernels]),
    ]);
    const made = new WebGpuExecutor(artifact, artifact.webgpu, on, host, options);
    // One allocation, refused with numbers before anything is taken.
    const weights = artifact.segments.filter((s) => s.role !== 'state' && s.role !== 'grads');
    on.memory.reserve(weights.reduce((n, s) => n + s.length * widthOf(s.elem) + 64, 0));
    for (const s of weights) made.segment(s.name);
    await on.settled();
    return made;
  }

  hasProgram(name: string): boolean {
    return this.programs.has(name);
  }

  hasSegment(name: string): boolean {
    return this.segments.has(name);
  }

  /** Address of a segment, allocated (zeroed) when first asked for. */
  segment(name: string): number {
    let region = this.segments.get(name);
    if (!region) {
      const info = this.artifact.segments.find((s) => s.name === name)!;
      region = this.device.memory.zeroed(info.length * widthOf(info.elem));
      this.segments.set(name, region);
    }
    return region.at;
  }

  slice(segment: string, start: number, bytes: number): Storage {
    return new SegmentStorage(this.device, () => this.segment(segment) + start, bytes);
  }

  run(name: string, binding: Binding, source: InputSource, instead?: ReadonlyMap<string, string>): Tensor[] {
    this.device.check();
    if (name === 'init' || name === 'init_state') {
      this.host.drain(name, source, (segment, bytes) => this.device.write(this.segment(segment), bytes.slice()));
      return [];
    }
    const program = this.programs.get(name);
    if (!program) throw new Error(`no program ${name}`);
    const bound = this.bind(program, binding);
    return bound.run(source, instead).map(({ spec, storage }) => {
      const shape = spec.shape.map((s) => evaluateSize(s, binding));
      return new Tensor(spec.elem, shape, storage, this.device);
    });
  }

  private bind(program: Program, binding: Binding): BoundProgram {
    const key = `${program.name} ${program.symbols.map((s) => binding.get(s)).join(' ')}`;
    let bound = this.bound.get(key);
    if (bound) {
      this.bound.delete(key);
      this.bound.set(key, bound); // now the last to be evicted
      return bound;
    }
    checkSizes(this.artifact.name, program, binding);
    const planned: Plan = plan(program, binding);
    const limit = whileLimit(this.options.while_limit);
    bound = new BoundProgram(this.device, program, this.code.kernels, binding, planned, (s) => this.segment(s), limit);
    this.bound.set(key, bound);
    if (this.bound.size > MAX_BINDINGS) {
      const [oldest, gone] = this.bound.entries().next().value!;
      this.bound.delete(oldest);
      gone.destroy();
    }
    return bound;
  }
}
