/** The passes in their order, with the reasons for it. Everything about what a pass does is in its own file. */
import type { Target } from '../codegen/call.ts';
import type { Elaborated, MethodInfo } from '../check/elaborated.ts';
import type { Programs } from './entry.ts';
import type { Module } from './ir.ts';
import { markCheckpoints } from './passes/checkpoint.ts';
import { decompose } from './passes/decompose.ts';
import { dropGradients } from './passes/drop-gradients.ts';
import { fuse } from './passes/fuse.ts';
import { inline } from './passes/inline.ts';
import { loopSlices } from './passes/loop-slices.ts';
import { equalFuncs, mergeEqual } from './passes/merge.ts';
import { schedule } from './passes/schedule.ts';
import { simplify } from './passes/simplify.ts';
import { verify } from './verify.ts';

export interface Pass {
  /** What `--dump` takes. */
  readonly name: string;
  readonly why: string;
  readonly run: (module: Module, context: PassContext) => Module;
}

export interface PassContext {
  /** Functions that are entered from outside. */
  readonly roots: readonly string[];
  readonly target: Target;
  /** false: every op becomes a kernel of its own. */
  readonly merge: boolean;
}

/** On the methods of a block, before programs are made of them: autodiff works on what these leave. */
export const METHOD_PASSES: readonly Pass[] = [
  {
    name: 'inline-methods',
    why: 'Autodiff runs once for each function that stays, and what a leaf of the library saves for its gradient is best decided with what surrounds it.',
    run: (module, { roots }) => inline(module, roots, { early: true }),
  },
  {
    name: 'simplify-methods',
    why: 'What is gone needs no gradient; products over batches become plain ones, and so do their gradients.',
    run: (module) => simplify(module),
  },
  {
    name: 'merge-methods',
    why: 'Modes that turned out equal (no dropout, no running statistics) become one, before gradients double them.',
    run: (module, { roots }) => mergeEqual(module, roots),
  },
];

/** On whole programs: forward, backward and update in one function. */
export const PROGRAM_PASSES: readonly Pass[] = [
  {
    name: 'drop-gradients',
    why: 'Gradients that the source states have done their work, and would only stand between ops that could fuse.',
    run: dropGradients,
  },
  {
    name: 'inline',
    why: 'Programs call methods, gradients, optimizer steps and initialisers: fusion should see across all that occurs once.',
    run: (module, { roots }) => inline(module, roots),
  },
  {
    name: 'simplify',
    why: 'Gradient rules are written to be right, not short; and the forward is there twice where gradients repeat it.',
    run: (module) => simplify(module, { late: true }),
  },
  {
    name: 'decompose',
    why: 'After autodiff and simplification, which know the whole ops; before fusion, which wants their parts.',
    run: (module) => decompose(module),
  },
  {
    name: 'simplify-parts',
    why: 'Parts of neighbouring expansions are often equal or cancel.',
    run: (module) => simplify(module, { late: true }),
  },
  {
    name: 'slices',
    why: 'Where gradients and sequences are, with everything that simplification could take away; before fusion hides the ops that are looked for.',
    run: (module) => loopSlices(module),
  },
  {
    name: 'fuse',
    why: 'After it, an op is a kernel.',
    run: (module, { target, merge }) => fuse(module, target, { merge }),
  },
  {
    name: 'schedule',
    why: 'Last: only now is it known which values have memory.',
    run: (module) => schedule(module),
  },
];

export const PASS_NAMES: readonly string[] = [...METHOD_PASSES, ...PROGRAM_PASSES].map((p) => p.name);

export interface PipelineOptions {
  /** Checks legality after every pass; throws IllegalIr. */
  readonly verify?: boolean;
  readonly onPass?: (name: string, module: Module) => void;
  /** false leaves every op a kernel of its own. */
  readonly fuse?: boolean;
  /** false keeps for the backward what blocks of `checkpoint` would compute again: to see what they save. */
  readonly checkpoints?: boolean;
}

/** A pass has broken the IR: a fault of the compiler, never of its user. */
export class IllegalIr extends Error {
  override readonly name = 'IllegalIr';
  readonly faults: readonly string[];
  constructor(pass: string, faults: readonly string[]) {
    super(`after ${pass}:\n${faults.map((f) => `  ${f}`).join('\n')}`);
    this.faults = faults;
  }
}

/** To be run before programs are built from the block. */
export function prepareMethods(given: Elaborated, target: Target, options: PipelineOptions = {}): Elaborated {
  const block = options.checkpoints === false ? given : withCheckpoints(given);
  const context = { roots: entryPoints(block), target, merge: options.fuse ?? true };
  const module = runPasses(METHOD_PASSES, block.module, context, options);
  const same = equalFuncs(module);
  return { ...block, module, methods: block.methods.map((m) => withEqualModes(m, same)) };
}

/** The loss gets a function with marks at its side, which gradients are taken of: what is called and what is not trained keeps its own. */
function withCheckpoints(block: Elaborated): Elaborated {
  const { train } = block;
  if (!train || train.checkpoint.length === 0) return block;
  let { module } = block;
  const methods = block.methods.map((m) => {
    if (m.name !== train.loss) return m;
    const marked = markCheckpoints(module, m.training.func, train.checkpoint);
    module = marked.module;
    return { ...m, training: { ...m.training, checkpointed: marked.func } };
  });
  return { ...block, module, methods };
}

/** A method whose modes came out equal is one program. */
function withEqualModes(m: MethodInfo, same: ReadonlyMap<string, string>): MethodInfo {
  const { eval: e, training: t } = m;
  const equal =
    same.get(e.func) === same.get(t.func) &&
    e.random === t.random &&
    e.tensors.join() === t.tensors.join() &&
    e.updates.join() === t.updates.join();
  return equal ? { ...m, training: { ...t, func: e.func } } : m;
}

export function runPipeline(programs: Programs, target: Target, options: PipelineOptions = {}): Programs {
  const context = { roots: programs.entries.map((e) => e.func), target, merge: options.fuse ?? true };
  return { ...programs, module: runPasses(PROGRAM_PASSES, programs.module, context, options) };
}

export function runPasses(
  passes: readonly Pass[],
  module: Module,
  context: PassContext,
  options: PipelineOptions,
): Module {
  let m = module;
  for (const pass of passes) {
    m = pass.run(m, context);
    options.onPass?.(pass.name, m);
    const faults = options.verify ? verify(m) : [];
    if (faults.length > 0) throw new IllegalIr(pass.name, faults);
  }
  return m;
}

/** The functions of a block that programs are made of, without repetition. */
function entryPoints(block: Elaborated): string[] {
  const optimizer = block.train?.optimizer;
  const names = [
    ...block.methods.flatMap(({ eval: e, training: t }) => [e.func, t.func, t.checkpointed ?? t.func]),
    ...block.tensors.map((t) => t.init),
    ...(block.train?.schedule ? [block.train.schedule] : []),
    ...(optimizer
      ? [...(optimizer.flat ? [optimizer.flat] : []), ...Object.values(optimizer.byShape)].map((s) => s.func)
      : []),
    ...(optimizer?.state ?? []).map((s) => s.init),
  ];
  return [...new Set(names)];
}
