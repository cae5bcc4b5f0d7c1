/** The last leg: programs in IR become kernels, linked programs and WebAssembly, together the artifact of a block. */
import { isLibraryFile } from '../check/library.ts';
import type { Elaborated, Instance, MethodInfo, ValueSpec } from '../check/elaborated.ts';
import { Lines } from '../diagnostics/index.ts';
import { constantParams, type Entry, type Programs } from '../ir/entry.ts';
import { hashHex } from '../ir/hash.ts';
import type { Origin, TensorType } from '../ir/ir.ts';
import type {
  Artifact,
  KernelEntry,
  Machine,
  MethodEntry,
  MethodForm,
  NativeCode,
  Prepared,
  Program,
  Spec,
  TrainEntry,
  TreeNode,
  WebGpuCode,
  WebGpuKernel,
} from '../runtime/artifact.ts';
import { formSuffix } from '../runtime/artifact.ts';
import type { Target } from './call.ts';
import { kernelKey, kernelOutline } from './dedupe.ts';
import { indexRanges } from './indices.ts';
import { isHalf } from './half.ts';
import type { Kernel } from './kernel.ts';
import { workgroupBytes } from './limits.ts';
import { link, tensorSpec, type LinkOptions } from './link.ts';
import { lowerModule } from './lower.ts';
import type { PlanNote } from './lowered.ts';
import { printUnits } from './c/program.ts';
import { printStandalone, type StandaloneC } from './c/standalone.ts';
import { C99 } from './targets.ts';
import { printWasm } from './wasm/print.ts';
import { commentText, printWgsl } from './wgsl/print.ts';

/** The texts of a program's files by their paths, for naming the lines that kernels come from. */
export interface Sources {
  readonly entry: string;
  readonly texts: ReadonlyMap<string, string>;
}

export interface AssembleOptions extends LinkOptions {
  /** From how many statements on threads share a kernel. */
  readonly sharedFrom?: number;
  /** false: every call makes everything itself. What preparing is tested against. */
  readonly prepare?: boolean;
}

const kept = (options: AssembleOptions): LinkOptions =>
  options.prepare === false ? options : { ...options, constant: constantParams };

export function assemble(
  programs: Programs,
  target: Target,
  sources: Sources,
  others: { readonly webgpu: WebGpuCode | null; readonly native: NativeCode | null },
  options: AssembleOptions = {},
): { artifact: Artifact; kernels: readonly Kernel[] } {
  const { block } = programs;
  const { pool, linked, prepared } = linkAll(programs, programs.entries, target, sources, kept(options));
  const input = { kernels: pool.kernels, programs: linked };
  const wasm = printWasm(input, { sharedFrom: options.sharedFrom });
  const shape = { segments: programs.segments, tensors: programs.tensors, programs: linked };
  const artifact: Artifact = {
    format: 1,
    name: block.name,
    doc: block.doc,
    hash: hashHex(JSON.stringify(shape, withoutLines), wasm.plain),
    hyper: block.hyper,
    ...shape,
    stateDict: block.stateDict,
    tree: treeNode(block.tree),
    methods: methodEntries(block),
    train: trainEntry(programs),
    kernels: pool.kernels.map(kernelEntries(sources)),
    wasm,
    prepared,
    ...others,
  };
  return { artifact, kernels: pool.kernels };
}

/** The same program on other lines is the same program. */
const LINES: ReadonlySet<string> = new Set(['info', 'regions', 'origin']);
const withoutLines = (key: string, value: unknown): unknown => (LINES.has(key) ? undefined : value);

/** The programs of a block for WebGPU, and what is planned for the limits of the target. Throws LimitFault. */
export function assembleWebGpu(
  programs: Programs,
  target: Target,
  sources: Sources,
  options: LinkOptions = {},
): { code: WebGpuCode; notes: readonly PlanNote[] } {
  const entries = programs.entries.filter(runsEverywhere);
  const { pool, linked, notes } = linkAll(programs, entries, target, sources, options);
  const entryOf = kernelEntries(sources);
  const code: WebGpuCode = {
    programs: linked,
    kernels: pool.kernels.map((k) => webGpuKernel(k, entryOf(k), lineNames(sources))),
    workgroupBytes: Math.max(0, ...pool.kernels.map(workgroupBytes)),
  };
  return { code, notes };
}

/** The programs of a block in C for a kind of machine. */
export function assembleNative(
  programs: Programs,
  target: Target,
  machine: Machine,
  sources: Sources,
  options: AssembleOptions = {},
): NativeCode {
  const entries = programs.entries.filter(runsEverywhere);
  const { pool, linked, prepared } = linkAll(programs, entries, target, sources, kept(options));
  const { units, functions, declarations } = printUnits(
    { kernels: pool.kernels, programs: linked },
    { fma: machine.fma, ...(options.sharedFrom !== undefined && { sharedFrom: options.sharedFrom }) },
  );
  const entryOf = kernelEntries(sources);
  const kernels = pool.kernels.map((k, i) => ({ ...entryOf(k), declaration: declarations[i]! }));
  return { machine, programs: linked, prepared, kernels, units, functions };
}

/**
 * The programs of a block as one C99 file: sizes in `dims` are fixed, the others are arguments. Gradients alone and training
 * modes of methods are left out.
 */
export function assembleC(
  programs: Programs,
  dims: ReadonlyMap<string, number>,
  sources: Sources,
  header: string,
): StandaloneC {
  const { pool, linked } = linkAll(programs, programs.entries, C99, sources, {});
  const wanted = linked.filter((p) => !/^backward|\.training/.test(p.name));
  const { segments, tensors, block } = programs;
  const artifact = { name: block.name, segments, tensors, train: trainEntry(programs) };
  return printStandalone({ artifact, programs: wanted, kernels: pool.kernels, dims, source: sources.entry, header });
}

/** Initial values are drawn on the cpu, so that all devices start from the same bits. */
const runsEverywhere = (e: Entry): boolean => e.name !== 'init' && e.name !== 'init_state';

export function webGpuKernel(k: Kernel, entry: KernelEntry, lineOf?: (o: Origin) => string): WebGpuKernel {
  const { code, grid } = printWgsl(k, lineOf);
  const args = k.params.map((p) => (p.kind === 'var' ? 'value' : isHalf(p.elem) ? 'halves' : 'words'));
  const comment = [k.name, ...entry.origins].map((line) => `// ${commentText(line)}\n`).join('');
  return { ...entry, code: comment + code, args, grid };
}

function linkAll(
  programs: Programs,
  entries: readonly Entry[],
  target: Target,
  sources: Sources,
  options: LinkOptions,
): { pool: KernelPool; linked: readonly Program[]; prepared: readonly Prepared[]; notes: readonly PlanNote[] } {
  const lowered = lowerModule(programs.module, entries, target, options.constant ?? (() => []));
  const pool = new KernelPool();
  const all = { ...options, lineOf: lineNames(sources) };
  const { programs: linked, prepared } = link(entries, programs.module, lowered, (k) => pool.indexOf(k), all);
  return { pool, linked, prepared, notes: [...lowered.values()].flatMap((f) => f.notes) };
}

function kernelEntries(sources: Sources): (k: Kernel) => KernelEntry {
  const lineOf = lineNames(sources);
  return (k) => ({ name: k.name, origins: [...new Set(k.origins.map(lineOf))] });
}

/** Equal kernels once, under names that are unique. */
class KernelPool {
  readonly kernels: Kernel[] = [];
  /** By what is cheap to tell of one: those that could be equal. Keys are made where there are several. */
  private readonly alike = new Map<string, { readonly kernel: Kernel; readonly index: number; key?: string }[]>();
  private readonly byObject = new Map<Kernel, number>();
  private readonly names = new Map<string, number>();

  indexOf(kernel: Kernel): number {
    let index = this.byObject.get(kernel);
    if (index === undefined) this.byObject.set(kernel, (index = this.place(kernel)));
    return index;
  }

  private place(kernel: Kernel): number {
    const outline = kernelOutline(kernel);
    const alike = this.alike.get(outline);
    const key = alike && kernelKey(kernel);
    const equal = alike?.find((o) => (o.key ??= kernelKey(o.kernel)) === key);
    if (equal) return equal.index;
    const index = this.kernels.length;
    if (alike) alike.push({ kernel, index, key: key! });
    else this.alike.set(outline, [{ kernel, index }]);
    const uses = this.names.get(kernel.name) ?? 0;
    this.names.set(kernel.name, uses + 1);
    this.kernels.push(uses === 0 ? kernel : { ...kernel, name: `${kernel.name}_${uses + 1}` });
    return index;
  }
}

/**
 * `lenet.net:12 net.0`: the line and the layer. Files are named as seen from the entry's folder, so that what is compiled
 * does not depend on the folder it is compiled from.
 */
function lineNames({ entry, texts }: Sources): (o: Origin) => string {
  const files = new Map<string, { name: string; lines: Lines }>();
  return ({ span, path }) => {
    let file = files.get(span.file);
    if (!file) {
      file = { name: pathFrom(entry, span.file), lines: new Lines(texts.get(span.file) ?? '') };
      files.set(span.file, file);
    }
    const place = span.file === '' ? '' : `${file.name}:${file.lines.position(span.start).line}`;
    return [place, path].filter((s) => s !== '').join(' ');
  };
}

/** Both are paths from one root; the library has its own names. */
function pathFrom(entry: string, file: string): string {
  if (isLibraryFile(file)) return file;
  const from = entry.split('/').slice(0, -1);
  const to = file.split('/');
  let common = 0;
  while (common < from.length && from[common] === to[common]) common++;
  return [...from.slice(common).map(() => '..'), ...to.slice(common)].join('/');
}

const treeNode = (n: Instance): TreeNode => ({
  name: n.name,
  path: n.path,
  id: n.id,
  type: n.type,
  kind: n.kind,
  doc: n.doc,
  ...(n.memberDoc !== undefined && { memberDoc: n.memberDoc }),
  hyper: n.hyper,
  children: n.children.map(treeNode),
  own: n.own,
});

/** `leaf` makes the entry of each tensor; it is called in order. */
function spec(s: ValueSpec, leaf: (t: TensorType, size?: true) => Spec): Spec {
  switch (s.kind) {
    case 'tensor':
      return leaf(s.type, s.size);
    case 'tuple':
      return { kind: 'tuple', items: s.items.map((i) => spec(i, leaf)) };
    case 'record':
      return { kind: 'record', fields: s.fields.map((f) => ({ name: f.name, spec: spec(f.spec, leaf) })) };
  }
}

/** Forms of one method follow each other, the plain one first. */
function methodEntries(block: Elaborated): MethodEntry[] {
  return [...Map.groupBy(block.methods, (m) => m.name).values()].map((forms) => {
    const [plain, ...others] = forms.map((m) => methodForm(block, m));
    const { name, doc, signature } = forms[0]!;
    return { name, doc, signature, ...plain!, forms: others };
  });
}

function methodForm(block: Elaborated, m: MethodInfo): MethodForm {
  const name = m.name + formSuffix(m.given);
  const ranges = indexRanges(block.module, m);
  let next = 0;
  const argument = (t: TensorType, size?: true): Spec => {
    const indices = ranges.get(next++);
    return { kind: 'tensor', ...tensorSpec(t), ...(indices && { indices }), ...(size && { size }) };
  };
  return {
    given: m.given,
    args: m.args.map((a) => ({ name: a.name, spec: spec(a.spec, argument) })),
    result: spec(m.result, (t) => ({ kind: 'tensor', ...tensorSpec(t) })),
    eval: name,
    // One program serves both modes where the mode makes no difference.
    training: m.training.func === m.eval.func ? name : `${name}.training`,
  };
}

function trainEntry(programs: Programs): TrainEntry | null {
  const { train } = programs.block;
  if (!train || !programs.entries.some((e) => e.name === 'train_step')) return null;
  return {
    loss: train.loss,
    metric: train.metric,
    optimizer: train.optimizer.name,
    groups: train.groups.map((g, i) => ({
      segment: `params.${i}`,
      hyper: g.hyper,
      state: programs.state[i]!.optimizer,
      accumulated: programs.state[i]!.accumulated,
      ema: programs.state[i]!.ema,
    })),
    accumulate: train.accumulate,
    settings: train.limits,
    plateau: train.plateau,
    epochs: train.epochs,
    batchSize: train.batchSize,
    data: train.data,
    seed: train.seed,
  };
}
