/** Runs a model's programs in C: the shared object is made when it is not in the cache, and loaded once. */
import type { Artifact, NativeCode } from '../artifact.ts';
import type { ExecutorOptions, InputSource } from '../backend.ts';
import { cpuDevice } from '../devices.ts';
import { DeviceError } from '../errors.ts';
import { cpuExecutor, HostExecutor } from '../executor.ts';
import type { Binding } from '../sizes.ts';
import type { Tensor } from '../tensor.ts';
import { MOST_THREADS } from '../threads.ts';
import type { NativeDevice } from './device.ts';

export class NativeExecutor extends HostExecutor {
  /** Draws initial values: the same bits as on the cpu. */
  private readonly host: HostExecutor;

  private constructor(
    on: NativeDevice,
    artifact: Artifact,
    code: NativeCode,
    host: HostExecutor,
    library: Library,
    options: ExecutorOptions,
  ) {
    const threads = Math.min(options.threads ?? on.threads, MOST_THREADS);
    const { programs, kernels, prepared } = code;
    const functions = new Map(programs.map((p, i) => [p.name, library(`int ${code.functions[i]}(intptr_t, int)`)]));
    // Only profiles call kernels on their own.
    const called = new Map<number, CFunction>();
    const kernel = (i: number): CFunction => {
      const f = called.get(i) ?? library(kernels[i]!.declaration);
      called.set(i, f);
      return f;
    };
    super(
      artifact,
      on,
      {
        programs,
        kernels,
        prepared,
        threads,
        program: (name) => {
          const f = functions.get(name)!;
          return (frame) => f(frame, threads);
        },
        kernel,
      },
      options,
    );
    this.host = host;
  }

  static async create(artifact: Artifact, on: NativeDevice, options: ExecutorOptions = {}): Promise<NativeExecutor> {
    const { progress } = options;
    const code = artifact.native;
    if (!code) {
      throw new DeviceError(
        `${artifact.name} was compiled for the cpu alone, not for ${on.name}: build it with --native (in a program: targets: ['wasm', 'native'])`,
      );
    }
    const { buildObject } = await import('../node/cc.ts');
    const host = await cpuExecutor(artifact, cpuDevice());
    const built = (): Promise<string> => buildObject(code, on.compiler, progress);
    const path = await built();
    let library: Library;
    try {
      library = load(on, path);
    } catch {
      library = load(on, await built()); // another process pruned the cache between the two
    }
    return new NativeExecutor(on, artifact, code, host, library, options);
  }

  override run(name: string, binding: Binding, source: InputSource, instead?: ReadonlyMap<string, string>): Tensor[] {
    if (name !== 'init' && name !== 'init_state') return super.run(name, binding, source, instead);
    this.host.drain(name, source, (segment, bytes) => this.slice(segment, 0, bytes.length).write(0, bytes));
    return [];
  }
}

type CFunction = (...args: readonly number[]) => number;
/** Gives the function of a shared object by its declaration. */
type Library = (declaration: string) => CFunction;

function load(on: NativeDevice, path: string): Library {
  const library = on.koffi.load(path);
  return (declaration) => library.func(declaration);
}
