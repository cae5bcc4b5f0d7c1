/**
 * From fused net IR to kernel calls: each `fusion` op goes to the family that computes it, aliases and control flow keep
 * their place. Fusions that are equal up to names are lowered once per module. Where a program does not change its parameters,
 * families are told which operands are made of them alone: laying out such an operand is then a call of its own, which need not
 * be made again (codegen/link/prepare.ts).
 */
import { elementwiseKernel } from '../runtime/kernels/elementwise.ts';
import { contractionKernels } from '../runtime/kernels/contraction.ts';
import { elementwiseOnGrid } from '../runtime/kernels/gpu/elementwise.ts';
import { maxPoolGradOnGrid } from '../runtime/kernels/gpu/pool-grad.ts';
import { putOnGrid } from '../runtime/kernels/gpu/put.ts';
import { randomBitsOnGrid } from '../runtime/kernels/gpu/random.ts';
import { rowwiseOnGrid } from '../runtime/kernels/gpu/rowwise.ts';
import { scanOnGrid } from '../runtime/kernels/gpu/scan.ts';
import { scatterAddOnGrid } from '../runtime/kernels/gpu/scatter.ts';
import { foldInKernel, randomBitsKernel } from '../runtime/kernels/random.ts';
import { maxPoolGradKernel } from '../runtime/kernels/pool-grad.ts';
import { rowwiseKernel } from '../runtime/kernels/rowwise.ts';
import { scanKernel } from '../runtime/kernels/scan.ts';
import { sortKernel } from '../runtime/kernels/sort.ts';
import { sortOnGrid } from '../runtime/kernels/gpu/sort.ts';
import { scatterKernel, startOf } from '../runtime/kernels/scatter.ts';
import { add, dim, product, type Dim } from '../ir/dim.ts';
import type { Entry } from '../ir/entry.ts';
import type { Func, Module, Op, Region, Value } from '../ir/ir.ts';
import { size } from '../ir/ops/attrs.ts';
import { type CallArg, type KernelCall, type Lasting, limitsOf, type Scratch, type Target } from './call.ts';
import { smaller } from './fit.ts';
import type { Kernel } from './kernel.ts';
import { lasting, spread, variant } from './lasting.ts';
import { placedOnto } from './stores.ts';
import { fusionKey } from './fusion-key.ts';
import { excessOf, excessText, LimitFault } from './limits.ts';
import type { Lowered, LoweredBlock, LoweredItem, PlanNote } from './lowered.ts';

/**
 * All that a module's programs run, by the name that calls have there: a function is there once for each set of its params that
 * are `constant`. Throws LimitFault where a kernel asks for more than the device has, however it is planned.
 */
export function lowerModule(
  module: Module,
  entries: readonly Entry[],
  target: Target,
  constant: (e: Entry) => readonly boolean[],
): ReadonlyMap<string, Lowered> {
  const lowerer = new Lowerer(module, target);
  for (const e of entries) lowerer.func(e.func, constant(e), e.func);
  return lowerer.lowered;
}

/** One function that calls no other. */
export function lowerFunc(func: Func, target: Target): Lowered {
  const lowerer = new Lowerer({ funcs: new Map([[func.name, func]]) }, target);
  return lowerer.lowered.get(lowerer.func(func.name, []))!;
}

interface Body {
  readonly before: readonly LoweredItem[];
  readonly block: LoweredBlock;
}

class Lowerer {
  readonly lowered = new Map<string, Lowered>();
  private readonly module: Module;
  private readonly target: Target;
  /** Of the function that is being lowered. */
  private notes: PlanNote[] = [];
  private constants = new Set<Value>();
  private said = false;
  /** What the loop around makes anew in each iteration; null outside of loops, and where not every iteration comes by. */
  private changing: ReadonlySet<Value> | null = null;
  private readonly known = new Map<string, { readonly op: Op; readonly calls: readonly KernelCall[] }>();

  constructor(module: Module, target: Target) {
    this.module = module;
    this.target = target;
  }

  /** Lowers a function where that has not been done for those constants, and gives its name. */
  func(
    func: string,
    constant: readonly boolean[],
    name = variant(
      func,
      constant.map((c) => (c ? 'always' : null)),
    ),
  ): string {
    if (this.lowered.has(name)) return name;
    const f = this.module.funcs.get(func)!;
    const outer = { notes: this.notes, constants: this.constants };
    this.notes = [];
    this.constants = new Set(f.body.params.filter((_, i) => constant[i]));
    const body = this.inside(null, () => this.block(f.body));
    this.lowered.set(name, { name, body, checks: f.checks, notes: this.notes, origin: f.origin });
    ({ notes: this.notes, constants: this.constants } = outer);
    return name;
  }

  private block(r: Region): LoweredBlock {
    return { params: r.params, items: r.ops.flatMap((op) => this.op(op)), results: r.results };
  }

  /** The body of a loop, and what of it makes ready operands that no iteration changes. */
  private body(r: Region): Body {
    const own = new Set([...r.params, ...r.ops.flatMap((op) => op.results)]);
    const { params, items, results } = this.inside(own, () => this.block(r));
    const steady = (item: LoweredItem): boolean =>
      item.kind === 'kernel' &&
      item.call.prepares !== undefined &&
      item.call.args.every((a) => a.kind !== 'value' || !own.has(a.value));
    return {
      before: items.filter(steady),
      block: { params, items: items.filter((item) => !steady(item)), results },
    };
  }

  private inside<T>(changing: ReadonlySet<Value> | null, make: () => T): T {
    const outer = this.changing;
    this.changing = changing;
    const made = make();
    this.changing = outer;
    return made;
  }

  private op(op: Op): readonly LoweredItem[] {
    const items = this.items(op);
    spread(op, this.constants);
    return items;
  }

  private items(op: Op): readonly LoweredItem[] {
    const { operands, results, origin } = op;
    const [result] = results;
    switch (op.kind) {
      case 'fusion':
        return this.fusion(op);
      case 'reshape':
      case 'again':
        return [{ kind: 'alias', result: result!, source: operands[0]!, offset: dim(0) }];
      case 'view':
        return [{ kind: 'alias', result: result!, source: operands[0]!, offset: size(op.attrs, 'offset') }];
      case 'unwritten':
        return [{ kind: 'unwritten', result: result! }];
      case 'pack': {
        let offset: Dim = dim(0);
        const parts = operands.map((value) => {
          const part = { value, offset };
          offset = add(offset, product(value.type.shape));
          return part;
        });
        return [{ kind: 'pack', result: result!, parts, origin }];
      }
      case 'call':
        return [{ kind: 'call', callee: this.callee(op), operands, results, origin }];
      case 'if': {
        const [then, otherwise] = op.regions.map((r) => this.inside(null, () => this.block(r)));
        return [{ kind: 'if', cond: operands[0]!, then: then!, else: otherwise!, results, origin }];
      }
      case 'while': {
        const [cond, body] = op.regions.map((r) => this.body(r)) as [Body, Body];
        const loop = { kind: 'while', init: operands, cond: cond.block, body: body.block, results, origin } as const;
        return [...cond.before, ...body.before, loop];
      }
      case 'for': {
        const { before, block } = this.body(op.regions[0]!);
        return [
          ...before,
          { kind: 'for', count: size(op.attrs, 'count'), init: operands, body: block, results, origin },
        ];
      }
      default:
        throw new Error(`${op.kind} has not been fused`);
    }
  }

  private callee(op: Op): string {
    return this.func(
      String(op.attrs['callee']),
      op.operands.map((v) => this.constants.has(v)),
    );
  }

  private lasts(v: Value): Lasting {
    return lasting(v, this.constants, this.changing);
  }

  private fusion(op: Op): readonly LoweredItem[] {
    const key = variant(
      fusionKey(op),
      op.operands.map((v) => this.lasts(v)),
    );
    const known = this.known.get(key);
    const calls = known ? rebind(known.calls, known.op, op) : kernelsOf(op, this.target, (v) => this.lasts(v));
    const parts = known || this.target.kind !== 'wgsl' ? null : this.parts(op, calls);
    if (parts) return this.instead(parts);
    for (const { kernel, replanned } of calls) if (replanned !== undefined) this.note(kernel, replanned);
    if (!known) this.known.set(key, { op, calls });
    return [...start(op), ...calls.map((call): LoweredItem => ({ kind: 'kernel', call }))];
  }

  /** What takes the place of an op of which a kernel asks for more than the device has; null where none does. */
  private parts(op: Op, calls: readonly KernelCall[]): readonly Op[] | null {
    const limits = limitsOf(this.target);
    for (const { kernel } of calls) {
      const excess = excessOf(kernel, limits);
      if (!excess) continue;
      const parts = excess.of === 'arguments' ? smaller(op, limits.arguments) : null;
      if (!parts) throw new LimitFault(kernel, excess);
      this.note(kernel, `as several kernels: in one it ${excessText(excess)}`);
      return parts;
    }
    return null;
  }

  /** Parts of what was said to be taken apart may be taken apart again: that need not be said. */
  private instead(parts: readonly Op[]): readonly LoweredItem[] {
    const said = this.said;
    this.said = true;
    const items = parts.flatMap((part) => this.op(part));
    this.said = said;
    return items;
  }

  private note({ name, origins }: Kernel, plan: string): void {
    if (!this.said) this.notes.push({ kernel: name, origin: origins[0]!, plan });
  }
}

/** The kernels of one fusion. */
export function kernelsOf(op: Op, target: Target, lasts: (v: Value) => Lasting): readonly KernelCall[] {
  const family = String(op.attrs['family']);
  const name = kernelName(op, family);
  const kernels = target.kind === 'wgsl' ? onGrid(family, op, name, target) : onCores(family, op, name, target);
  if (kernels) return kernels;
  switch (family) {
    case 'matmul':
    case 'conv2d':
    case 'conv2d_input_grad':
    case 'conv2d_weight_grad':
      return contractionKernels(op, target, lasts).map((c, i, all) =>
        renamed(c, i === all.length - 1 ? name : `${name}_${c.kernel.name}`),
      );
    default:
      throw new Error(`no kernel family is called ${family}`);
  }
}

/** The families of a processor core; contractions find their schedule themselves. */
function onCores(family: string, op: Op, name: string, target: Target): readonly KernelCall[] | null {
  switch (family) {
    case 'elementwise':
      return [elementwiseKernel(op, target, name)];
    case 'rowwise':
      return [rowwiseKernel(op, target, name)];
    case 'max_pool2d_grad':
      return [maxPoolGradKernel(op, target, name)];
    case 'scatter_add':
    case 'index_add':
    case 'put':
      return [scatterKernel(op, target, name)];
    case 'cumsum':
    case 'cummax':
    case 'cummin':
    case 'recurrence':
      return [scanKernel(op, target, name)];
    case 'argsort':
      return [sortKernel(op, name)];
    case 'fold_in':
      return [foldInKernel(op, name)];
    case 'random_bits':
      return [randomBitsKernel(op, target, name)];
    default:
      return null;
  }
}

/** Those of a GPU. */
function onGrid(family: string, op: Op, name: string, target: Target): readonly KernelCall[] | null {
  switch (family) {
    case 'elementwise':
      return [elementwiseOnGrid(op, name)];
    case 'rowwise':
      return rowwiseOnGrid(op, name, limitsOf(target));
    case 'max_pool2d_grad':
      return [maxPoolGradOnGrid(op, name)];
    case 'scatter_add':
    case 'index_add':
      return scatterAddOnGrid(op, name);
    case 'cumsum':
    case 'cummax':
    case 'cummin':
    case 'recurrence':
      return [scanOnGrid(op, name, limitsOf(target))];
    case 'argsort':
      return [sortOnGrid(op, name)];
    case 'random_bits':
      return [randomBitsOnGrid(op, name)];
    case 'put':
      return [putOnGrid(op, name)];
    case 'fold_in':
      return [foldInKernel(op, name)];
    default:
      return null;
  }
}

const CHANGES: ReadonlySet<unknown> = new Set(['index_add', 'put']);

/** A family that changes parts of a tensor finds all of it in its result. */
function start(op: Op): LoweredItem[] {
  const whole = CHANGES.has(op.attrs['family']) ? startOf(op) : null;
  const started = whole ? [{ result: op.results[0]!, source: whole }] : placedOnto(op);
  return started.map((s) => ({ kind: 'copy', ...s }));
}

const renamed = (c: KernelCall, name: string): KernelCall => ({ ...c, kernel: { ...c.kernel, name } });

const kernelName = (op: Op, family: string): string => {
  const label = String(op.attrs['label'] ?? '') || family;
  return label.replace(/[^A-Za-z0-9_]+/g, '_');
};

/** The calls of an equal fusion, on this one's values and on memory of its own. */
function rebind(calls: readonly KernelCall[], from: Op, to: Op): readonly KernelCall[] {
  const values = new Map<Value, Value>();
  from.operands.forEach((v, i) => values.set(v, to.operands[i]!));
  from.results.forEach((v, i) => values.set(v, to.results[i]!));
  const scratch = new Map<Scratch, Scratch>();
  const arg = (a: CallArg): CallArg => {
    if (a.kind === 'value') return { kind: 'value', value: values.get(a.value)! };
    if (a.kind === 'size') return a;
    const own = scratch.get(a.scratch) ?? { ...a.scratch };
    scratch.set(a.scratch, own);
    return { kind: 'scratch', scratch: own };
  };
  return calls.map((c) => ({
    ...c,
    args: c.args.map(arg),
    inPlace: c.inPlace.map((p) => ({ result: values.get(p.result)!, operand: values.get(p.operand)! })),
    origin: to.origin,
  }));
}
