/** What runs the programs of one model on one device; the model knows devices only through this. */
import type { Artifact, ProgramInput } from './artifact.ts';
import { CpuDevice, type Device } from './device.ts';
import { UsageError } from './errors.ts';
import { cpuExecutor } from './executor.ts';
import type { Binding } from './sizes.ts';
import type { Storage } from './storage.ts';
import type { Tensor } from './tensor.ts';

/** Where the memory of a call's inputs comes from. */
export type InputSource = (input: ProgramInput) => Uint8Array | Storage;

export interface Executor {
  readonly device: Device;
  /** What it was made with: a model that moves takes it along. */
  readonly options: ExecutorOptions;
  hasProgram(name: string): boolean;
  /** The segment has been needed already. */
  hasSegment(name: string): boolean;
  /**
   * Runs or enqueues a program and gives a tensor for each of its results. `instead` are segments to be read in the place of
   * others of the same layout.
   */
  run(name: string, binding: Binding, source: InputSource, instead?: ReadonlyMap<string, string>): Tensor[];
  /** A storage over part of a segment: what parameters and their gradients are. */
  slice(segment: string, start: number, bytes: number): Storage;
}

/** Told while something takes long. */
export type Progress = (p: { readonly task: string; readonly done: number; readonly total: number }) => void;

export interface ExecutorOptions {
  readonly progress?: Progress | undefined;
  /** That kernels on the processor share their work among. */
  readonly threads?: number | undefined;
  /** Rounds that a `while` may take. */
  readonly while_limit?: number | undefined;
}

/** Compiles a model's kernels for a device. The cpu's is always there: it draws initial values for every device. */
export async function createExecutor(artifact: Artifact, on: Device, options: ExecutorOptions = {}): Promise<Executor> {
  const { threads } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1))
    throw new UsageError(`threads is a whole number from 1, not ${threads}`);
  if (on instanceof CpuDevice) return cpuExecutor(artifact, on, options);
  if (on.kind === 'native') {
    const [{ NativeExecutor }, { NativeDevice }] = await Promise.all([
      import('./native/executor.ts'),
      import('./native/device.ts'),
    ]);
    if (on instanceof NativeDevice) return NativeExecutor.create(artifact, on, options);
  } else if (on.kind === 'webgpu') {
    const [{ WebGpuExecutor }, { WebGpuDevice }] = await Promise.all([
      import('./webgpu/executor.ts'),
      import('./webgpu/device.ts'),
    ]);
    if (on instanceof WebGpuDevice) return WebGpuExecutor.create(artifact, on, options);
  }
  throw new TypeError(`${on.name} is no device of this runtime`);
}
