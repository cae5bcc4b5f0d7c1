/** The whole compiler on one screen: from sources to artifacts, and to classes in memory. Pure: sources come from a host. */
import {
  checkSource,
  elaborate,
  exportedBlocks,
  type Project,
  type SourceHost,
  type TrainSettings,
} from './check/index.ts';
import type { Elaborated, StaticValue } from './check/elaborated.ts';
import type { Kernel } from './codegen/kernel.ts';
import { assemble, assembleC, assembleNative, assembleWebGpu } from './codegen/assemble.ts';
import type { Target } from './codegen/call.ts';
import type { StandaloneC } from './codegen/c/standalone.ts';
import { excessText, type KernelLimits, LimitFault } from './codegen/limits.ts';
import type { PlanNote } from './codegen/lowered.ts';
import { tuned, tuningBeside, type Tuning } from './codegen/tuning.ts';
import { C99, nativeTarget, PAIRED_WASM, WASM, wgslTarget } from './codegen/targets.ts';
import { DiagnosticBag, type Diagnostic, type Span } from './diagnostics/index.ts';
import { listOf } from './diagnostics/words.ts';
import { hashHex } from './ir/hash.ts';
import type { Module, Origin } from './ir/ir.ts';
import type { Programs } from './ir/entry.ts';
import { AutodiffFault } from './ir/passes/autodiff.ts';
import { buildPrograms, lossMethod } from './ir/programs.ts';
import { prepareMethods, runPipeline } from './ir/pipeline.ts';
import type { Artifact, Machine, WebGpuCode } from './runtime/artifact.ts';
import { modelClass, type ModelClass } from './runtime/index.ts';

/** A file with everything it imports, checked. */
export interface OpenProject {
  readonly project: Project;
  readonly bag: DiagnosticBag;
  readonly sources: ReadonlyMap<string, string>;
  /** Names of the blocks that the entry file exports. */
  readonly exports: readonly string[];
}

export interface CompileOptions {
  /** Hyper-parameters of the block, by name. */
  readonly hyper?: Readonly<Record<string, StaticValue>>;
  /**
   * Settings of its `train` block, and hyper-parameters of its optimizer, instead of those that stand there. Texts are expressions:
   * `{ lr: 0.01, epochs: 3, optimizer: 'AdamW()', schedule: 'cosine_lr(total_steps: 100)' }`.
   */
  readonly train?: TrainSettings;
  /** Check the legality of the IR after every pass; a fault is a mistake of the compiler and throws. */
  readonly verify?: boolean;
  readonly onPass?: (pass: string, module: Module) => void;
  /**
   * What the artifact can run on. `wasm` is always in it: the cpu draws the initial values for every device. `webgpu` adds a
   * second set of programs and their WGSL, `native` one and its C, each with about as much time to compile. Default: `wasm`
   * alone.
   */
  readonly targets?: readonly TargetName[];
  /** What `native` code is written for: what `thisMachine()` says, or a plain one with eight lanes. */
  readonly machine?: Machine;
  /**
   * What `netwright tune` measured; null: nothing, whatever lies beside the source. Not given, `compile` takes what its host has
   * under the name of the source and `.tune.json`.
   */
  readonly tuning?: Tuning | null;
  /** What `webgpu` kernels may ask of a device, where that is not the least that WebGPU promises. */
  readonly gpuLimits?: Partial<KernelLimits>;
  /** WebAssembly for V8 with `--experimental-wasm-revectorize`: tiles of twice the width and the same results. Slower without it. */
  readonly pairedVectors?: boolean;
  /** Another path than a tensor's own to key its initial draw: for values of a model that is there already. */
  readonly drawAs?: (name: string) => string;
  /** false keeps what blocks of `checkpoint` would compute again: to see what they save. */
  readonly checkpoints?: boolean;
  /** false gives every value memory of its own: for tests of the linker. */
  readonly share?: boolean;
  /** false leaves every op a kernel of its own: for tests of fusion. */
  readonly fuse?: boolean;
  /** false keeps nothing that is made of parameters: for tests of what is prepared. */
  readonly prepare?: boolean;
  /** From how many statements on threads share a kernel, instead of those worth it: for tests of threads. */
  readonly sharedFrom?: number;
}

export type TargetName = 'wasm' | 'webgpu' | 'native';

/** AVX2 and the like; other processors run it too, if less well. */
const COMMON: Machine = { lanes: 8, registers: 16, fma: true };

export interface Compiled {
  readonly block: Elaborated;
  readonly artifact: Artifact;
  /** The IR that code was generated from. */
  readonly ir: Module;
  readonly kernels: readonly Kernel[];
  /** What was taken of `tuning`: the target, what is computed and how, a line each. */
  readonly tuned: readonly string[];
}

/** Reads and checks a file with its imports. All faults are in the bag. */
export function openProject(host: SourceHost, file: string): OpenProject {
  const bag = new DiagnosticBag();
  const project = checkSource(host, file, bag);
  return { project, bag, sources: project.sources, exports: exportedBlocks(project).map((b) => b.name.name) };
}

/** Compiles one exported block. Null where it has faults: they are in the project's bag. */
export function compileProject(open: OpenProject, block: string, options: CompileOptions = {}): Compiled | null {
  const elaborated = elaborateBlock(open, block, options);
  if (!elaborated) return null;
  const taken = new Set<string>();
  const measured = (t: Target): Target => (options.tuning ? tuned(t, options.tuning, taken) : t);
  const wasm = measured(options.pairedVectors ? PAIRED_WASM : WASM);
  const programs = programsFor(wasm, elaborated, options, open.bag);
  if (!programs) return null;
  const sources = { entry: open.project.entry, texts: open.sources };
  // What is dumped and watched is the first target's way.
  const { onPass: _, ...quiet } = options;
  const also = (name: TargetName, target: Target): Programs | null =>
    options.targets?.includes(name) ? programsFor(target, elaborated, quiet, open.bag) : null;
  const machine = options.machine ?? COMMON;
  const gpu = wgslTarget(options.gpuLimits);
  const native = measured(nativeTarget(machine));
  const onGpu = also('webgpu', gpu);
  const inC = also('native', native);
  const others = {
    webgpu: onGpu && reporting(open, () => assembleWebGpu(onGpu, gpu, sources, options)),
    native: inC && assembleNative(inC, native, machine, sources, options),
  };
  if (open.bag.hasErrors) return null;
  const { artifact, kernels } = assemble(programs, wasm, sources, others, options);
  return { block: elaborated, artifact: identified(artifact, taken), ir: programs.module, kernels, tuned: [...taken] };
}

/** Sums go in another order where measurements chose: a run that goes on without them is told so. */
const identified = (artifact: Artifact, taken: ReadonlySet<string>): Artifact =>
  taken.size === 0 ? artifact : { ...artifact, hash: hashHex([artifact.hash, ...[...taken].sort()].join('\n')) };

/** The programs of one exported block for a target, before there are kernels. Null where there are faults. */
export function programsOf(open: OpenProject, block: string, target: Target, options: CompileOptions): Programs | null {
  const elaborated = elaborateBlock(open, block, options);
  return elaborated && programsFor(target, elaborated, options, open.bag);
}

function elaborateBlock({ project, bag }: OpenProject, block: string, options: CompileOptions): Elaborated | null {
  const checked = elaborate(project, block, options.hyper ?? {}, bag, options.train);
  if (!checked || bag.hasErrors) return null;
  const { drawAs } = options;
  return drawAs ? { ...checked, tensors: checked.tensors.map((t) => ({ ...t, drawPath: drawAs(t.name) })) } : checked;
}

/** Says what was planned for a device with little; null where there is no such plan, which the bag then says. */
function reporting(
  { bag, project }: OpenProject,
  assembled: () => { code: WebGpuCode; notes: readonly PlanNote[] },
): WebGpuCode | null {
  const at = ({ span }: Origin): Span => (span.file === '' ? { file: project.entry, start: 0, end: 0 } : span);
  try {
    const { code, notes } = assembled();
    for (const { kernel, origin, plan } of notes) bag.report('kernel_replanned', { kernel, plan }, at(origin));
    return code;
  } catch (e) {
    if (!(e instanceof LimitFault)) throw e;
    const { kernel, excess } = e;
    bag.report('kernel_too_large', { kernel: kernel.name, excess: excessText(excess) }, at(kernel.origins[0]!));
    return null;
  }
}

/** One exported block as a C99 file: sizes in `dims` are fixed, the others are arguments. Null where the block has faults: they are in the project's bag. */
export function compileToC(
  open: OpenProject,
  block: string,
  options: Pick<CompileOptions, 'hyper' | 'train'> & {
    readonly dims: ReadonlyMap<string, number>;
    readonly header: string;
  },
): StandaloneC | null {
  const elaborated = elaborate(open.project, block, options.hyper ?? {}, open.bag, options.train);
  if (!elaborated || open.bag.hasErrors) return null;
  const programs = programsFor(C99, elaborated, {}, open.bag);
  const sources = { entry: open.project.entry, texts: open.sources };
  return programs && assembleC(programs, options.dims, sources, options.header);
}

/** Null where the loss has no gradient, which the bag then says. */
function programsFor(target: Target, block: Elaborated, options: CompileOptions, bag: DiagnosticBag): Programs | null {
  try {
    return runPipeline(buildPrograms(prepareMethods(block, target, options)), target, options);
  } catch (e) {
    if (!(e instanceof AutodiffFault)) throw e;
    const loss = lossMethod(block)?.name ?? 'loss';
    bag.report('not_differentiable', { loss, reason: e.message }, e.origin.span);
    return null;
  }
}

export interface CompileResult {
  /** A class per exported block, by name; empty where there are errors. */
  readonly blocks: Readonly<Record<string, ModelClass>>;
  readonly artifacts: readonly Artifact[];
  /** What was taken of measurements (see `CompileOptions.tuning`), a line each. */
  readonly tuned: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: ReadonlyMap<string, string>;
}

/**
 * Compiles source text in memory: `const { blocks } = compile(text); const model = await blocks.LeNet.create()`.
 * Never throws for faults of the source: they are in `diagnostics`. `block` and `hyper` pick one block and set its
 * hyper-parameters; other files come from `host`.
 */
export function compile(
  source: string | { readonly file: string; readonly host: SourceHost },
  options: CompileOptions & { readonly block?: string } = {},
): CompileResult {
  const file = typeof source === 'string' ? 'main.net' : source.file;
  const host: SourceHost = typeof source === 'string' ? { read: (p) => (p === file ? source : null) } : source.host;
  const open = openProject(host, file);
  const compiled: Compiled[] = [];
  const { block } = options;
  if (block !== undefined && !open.bag.hasErrors && !open.exports.includes(block)) {
    const exports = listOf(open.exports, 'and');
    open.bag.report('no_such_export', { file, name: block, exports }, { file, start: 0, end: 0 });
  }
  if (!open.bag.hasErrors) {
    const tuning = options.tuning === undefined ? tuningBeside(host, file, open.bag) : options.tuning;
    for (const name of open.exports) {
      if (block !== undefined && block !== name) continue;
      const c = compileProject(open, name, { ...options, tuning });
      if (c) compiled.push(c);
    }
  }
  return {
    blocks: Object.fromEntries(compiled.map((c) => [c.artifact.name, modelClass(c.artifact)])),
    artifacts: compiled.map((c) => c.artifact),
    tuned: [...new Set(compiled.flatMap((c) => c.tuned))],
    diagnostics: open.bag.all,
    sources: open.sources,
  };
}
