/** Many small functions in one shared object: a C compiler starts once for all of them. */
import test from 'ava';
import { printUnits } from '../../src/codegen/c/program.ts';
import { kernelKey } from '../../src/codegen/dedupe.ts';
import type { Kernel } from '../../src/codegen/kernel.ts';
import { link } from '../../src/codegen/link.ts';
import { lowerModule } from '../../src/codegen/lower.ts';
import { nativeTarget } from '../../src/codegen/targets.ts';
import type { Func, Module } from '../../src/ir/ir.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import type { Artifact, Program } from '../../src/runtime/artifact.ts';
import { createExecutor, type Executor } from '../../src/runtime/backend.ts';
import { device, devices, thisMachine, type Machine } from '../../src/runtime/index.ts';
import { absent } from './absent.ts';
import { bareArtifact, entryOf, runProgram, segmentsOf, type Roles } from './run-linked.ts';

/** `test.serial` where there is a C compiler; a test that says why elsewhere. */
export async function onNative(): Promise<typeof test.serial | typeof test.skip> {
  const native = (await devices()).find((d) => d.name === 'native')!;
  if (native.available) return test.serial;
  test(`skipped: ${native.description}`, absent);
  return test.skip;
}

export interface Member {
  run(inputs: readonly NdArray[]): Promise<NdArray[]>;
}

export class NativeBatch {
  private readonly kernels: Kernel[] = [];
  private readonly known = new Map<string, number>();
  private readonly programs: Program[] = [];
  private readonly segments: Artifact['segments'][number][] = [];
  private executor: Promise<Executor> | null = null;
  private readonly machine: Machine;

  private constructor(machine: Machine) {
    this.machine = machine;
  }

  /** For a kind of machine; otherwise for this one. Where there is no compiler nothing can be run. */
  static async open(machine?: Machine): Promise<NativeBatch> {
    return new NativeBatch(machine ?? (await thisMachine()) ?? { lanes: 8, registers: 16, fma: true });
  }

  /** A function of a module, to be run after all have been added. Segments of different functions must not share names. */
  add(
    module: Module,
    name: string,
    options: { readonly roles?: Roles | undefined; readonly merge?: boolean } = {},
  ): Member {
    const target = nativeTarget(this.machine);
    const fused = fuse(module, target, { merge: options.merge ?? true });
    const func: Func = fused.funcs.get(name)!;
    const own = `f${this.programs.length}`;
    const roles = options.roles ?? {};
    const program = link(entryOf(name, func, roles), func, lowerModule(fused, target), (k) => this.indexOf(k));
    this.programs.push({ ...program, name: own });
    this.segments.push(...segmentsOf(func, roles));
    return {
      run: async (inputs) => runProgram(await (this.executor ??= this.build()), own, func, roles, inputs),
    };
  }

  private indexOf(kernel: Kernel): number {
    const key = kernelKey(kernel);
    const known = this.known.get(key);
    if (known !== undefined) return known;
    this.known.set(key, this.kernels.length);
    return this.kernels.push({ ...kernel, name: `${kernel.name}_${this.kernels.length}` }) - 1;
  }

  private async build(): Promise<Executor> {
    const { kernels, programs, machine } = this;
    const native = { machine, programs, kernels: [], ...printUnits({ kernels, programs }, { fma: machine.fma }) };
    const artifact: Artifact = { ...bareArtifact('batch'), segments: this.segments, native };
    return createExecutor(artifact, await device('native'));
  }
}
