/** Many small functions in one module: compiling and loading it costs once for all of them. */
import { kernelKey } from '../../src/codegen/dedupe.ts';
import type { Target } from '../../src/codegen/call.ts';
import type { Choices } from '../../src/codegen/choose.ts';
import type { Kernel } from '../../src/codegen/kernel.ts';
import type { Func, Module } from '../../src/ir/ir.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import type { Artifact, Program } from '../../src/runtime/artifact.ts';
import type { Executor } from '../../src/runtime/backend.ts';
import { entryOf, linkAlone, runProgram, segmentsOf, type Roles } from './run-linked.ts';

export interface Member {
  run(inputs: readonly NdArray[]): Promise<NdArray[]>;
}

export interface Collected {
  readonly kernels: readonly Kernel[];
  readonly programs: readonly Program[];
  readonly segments: readonly Artifact['segments'][number][];
}

export class Batch {
  readonly kernels: Kernel[] = [];
  private readonly known = new Map<string, number>();
  readonly programs: Program[] = [];
  readonly segments: Artifact['segments'][number][] = [];
  private executor: Promise<Executor> | null = null;
  private readonly target: Target;
  private readonly build: (all: Collected) => Promise<Executor>;

  constructor(target: Target, build: (all: Collected) => Promise<Executor>) {
    this.target = target;
    this.build = build;
  }

  /** A function of a module, to be run after all have been added. Segments of different functions must not share names. */
  add(
    module: Module,
    name: string,
    options: { readonly roles?: Roles | undefined; readonly merge?: boolean; readonly choices?: Choices } = {},
  ): Member {
    const target = options.choices ? { ...this.target, choices: options.choices } : this.target;
    const fused = fuse(module, target, { merge: options.merge ?? true });
    const func: Func = fused.funcs.get(name)!;
    const own = `f${this.programs.length}`;
    const roles = options.roles ?? {};
    const program = linkAlone(entryOf(name, func, roles), fused, target, (k) => this.indexOf(k));
    this.programs.push({ ...program, name: own });
    this.segments.push(...segmentsOf(func, roles));
    return { run: async (inputs) => runProgram(await (this.executor ??= this.build(this)), own, func, roles, inputs) };
  }

  private indexOf(kernel: Kernel): number {
    const key = kernelKey(kernel);
    const known = this.known.get(key);
    if (known !== undefined) return known;
    this.known.set(key, this.kernels.length);
    return this.kernels.push({ ...kernel, name: `${kernel.name}_${this.kernels.length}` }) - 1;
  }
}
