/** Takes net IR through fusion, kernels, the linker and the executor: what a compiled program does, without the front end. */
import { webGpuKernel } from '../../src/codegen/assemble.ts';
import { link } from '../../src/codegen/link.ts';
import type { Target } from '../../src/codegen/call.ts';
import { lowerModule } from '../../src/codegen/lower.ts';
import type { Kernel } from '../../src/codegen/kernel.ts';
import { WASM, WGSL } from '../../src/codegen/targets.ts';
import { printWasm } from '../../src/codegen/wasm/print.ts';
import type { Entry } from '../../src/ir/entry.ts';
import { bindDims } from '../../src/ir/interpret.ts';
import type { Func, Module } from '../../src/ir/ir.ts';
import { ndarray, sizeOf, type NdArray } from '../../src/ir/ndarray.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import type { Artifact, Program, Segment, Step } from '../../src/runtime/artifact.ts';
import { createExecutor, type Executor } from '../../src/runtime/backend.ts';
import { cpuDevice, device } from '../../src/runtime/devices.ts';
import { decode, encode } from '../../src/runtime/elem.ts';

/** Which parameters and results of the function are memory that stays, by name of the segment; the others are arguments and results. */
export interface Roles {
  readonly inputs?: Readonly<Record<number, string>>;
  readonly outputs?: Readonly<Record<number, string>>;
}

export interface Linked {
  readonly program: Program;
  /** Results in order (segments included) after a call with these arguments (segments included: their content before). */
  run(inputs: readonly NdArray[]): Promise<NdArray[]>;
}

export interface LinkedOptions {
  /** false makes a kernel of each op: more values lie in memory. */
  readonly merge?: boolean;
  readonly target?: 'wasm' | 'webgpu';
}

export function linkFunc(module: Module, name: string, roles: Roles = {}, options: LinkedOptions = {}): Linked {
  const onGpu = options.target === 'webgpu';
  const target = onGpu ? WGSL : WASM;
  const fused = fuse(module, target, { merge: options.merge ?? true });
  const func = fused.funcs.get(name)!;
  const kernels: Kernel[] = [];
  const program = linkAlone(entryOf(name, func, roles), fused, target, (k) => {
    kernels.push({ ...k, name: `${k.name}_${kernels.length}` });
    return kernels.length - 1;
  });
  const code = onGpu ? { kernels: [], programs: [] } : { kernels, programs: [program] };
  const artifact: Artifact = {
    ...bareArtifact(name),
    segments: segmentsOf(func, roles),
    programs: [program],
    wasm: printWasm(code),
    webgpu: onGpu
      ? {
          workgroupBytes: 0,
          programs: [program],
          kernels: kernels.map((k) => webGpuKernel(k, { name: k.name, origins: [] })),
        }
      : null,
  };
  return { program, run: (inputs) => run(artifact, func, roles, inputs) };
}

/** One program of a module, as it is without anything prepared. */
export function linkAlone(entry: Entry, module: Module, target: Target, indexOf: (k: Kernel) => number): Program {
  const lowered = lowerModule(module, [entry], target, () => []);
  return link([entry], module, lowered, indexOf).programs[0]!;
}

/** An artifact with nothing in it. */
export function bareArtifact(name: string): Artifact {
  return {
    format: 1,
    name,
    doc: '',
    hash: '',
    hyper: {},
    segments: [],
    tensors: [],
    stateDict: [],
    tree: { name: '', path: '', id: 0, type: name, kind: 'block', doc: '', hyper: {}, children: [], own: [] },
    methods: [],
    prepared: [],
    programs: [],
    train: null,
    kernels: [],
    wasm: printWasm({ kernels: [], programs: [] }),
    webgpu: null,
    native: null,
  };
}

export function entryOf(name: string, func: Func, roles: Roles): Entry {
  return {
    name,
    func: name,
    inputs: func.body.params.map((_, i) => {
      const segment = roles.inputs?.[i];
      return segment === undefined ? { role: 'arg', name: `a${i}` } : { role: 'segment', segment };
    }),
    outputs: func.body.results.map((_, i) => {
      const segment = roles.outputs?.[i];
      return segment === undefined ? { role: 'result', name: `r${i}` } : { role: 'segment', segment };
    }),
  };
}

export function segmentsOf(func: Func, roles: Roles): Segment[] {
  const out = new Map<string, Segment>();
  const add = (name: string, v: Func['body']['params'][number]): void => {
    const length = v.type.shape.reduce((n, d) => n * d.value!, 1);
    out.set(name, { name, role: 'params', elem: v.type.elem, length });
  };
  for (const [i, name] of Object.entries(roles.inputs ?? {})) add(name, func.body.params[Number(i)]!);
  for (const [i, name] of Object.entries(roles.outputs ?? {})) add(name, func.body.results[Number(i)]!);
  return [...out.values()];
}

async function run(artifact: Artifact, func: Func, roles: Roles, inputs: readonly NdArray[]): Promise<NdArray[]> {
  const executor = await createExecutor(artifact, artifact.webgpu ? await device('webgpu') : cpuDevice());
  return runProgram(executor, artifact.name, func, roles, inputs);
}

/** Runs one program; segments start as the inputs say. */
export async function runProgram(
  executor: Executor,
  name: string,
  func: Func,
  roles: Roles,
  inputs: readonly NdArray[],
): Promise<NdArray[]> {
  const types = func.body.params.map((p) => p.type);
  const bytes = inputs.map((x) => encode(x.data, x.elem));
  for (const [i, name] of Object.entries(roles.inputs ?? {}))
    executor.slice(name, 0, bytes[Number(i)]!.length).write(0, bytes[Number(i)]!);
  let next = 0;
  const order = inputs.flatMap((_, i) => (roles.inputs?.[i] === undefined ? [bytes[i]!] : []));
  const binding = bindDims(types, inputs);
  const results = executor.run(name, binding, () => order[next++]!);
  let taken = 0;
  const read = func.body.results.map(async (v, i) => {
    const segment = roles.outputs?.[i];
    const { elem } = v.type;
    if (segment === undefined) {
      const t = results[taken++]!;
      return ndarray(elem, t.shape, await t.read());
    }
    const shape = v.type.shape.map((d) => d.value!);
    const width = elem === 'f16' || elem === 'bf16' ? 2 : 4;
    return ndarray(elem, shape, decode(await executor.slice(segment, 0, 0).fetch(0, sizeOf(shape) * width), elem));
  });
  return Promise.all(read);
}

/** How many copies the program makes, in loops and branches too. */
export function copies(steps: readonly Step[]): number {
  return steps.reduce((n, s) => {
    if (s.kind === 'copy') return n + 1;
    if (s.kind === 'if') return n + copies(s.then) + copies(s.else);
    if (s.kind === 'for') return n + copies(s.body);
    if (s.kind === 'while') return n + copies(s.cond) + copies(s.body);
    return n;
  }, 0);
}
