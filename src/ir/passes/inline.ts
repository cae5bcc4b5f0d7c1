/**
 * Puts the bodies of called functions in place of calls, except where a heavy body is called several times: twelve equal
 * transformer layers stay twelve calls of one function, so that autodiff, fusion and code generation see it once.
 */
import { cloneOps } from '../clone.ts';
import type { DimCheck, Func, Module, Op, Origin, Region, Value } from '../ir.ts';
import { opDef } from '../ops/table.ts';
import { bindSymbols, mergeChecks, substituteCheck, type SymbolEnv } from '../symbols.ts';
import { calleesFirst, calleesOf, reachable } from './dce.ts';

/**
 * A function counts as heavy, everything that it calls included, with two contractions or 32 ops that compute. One
 * contraction with what surrounds it is a leaf of the library (Linear, Conv2d), and fusion across its border is worth more
 * than a shared kernel, which structural hashing finds again anyway. The largest leaf without any is batch normalisation
 * with its running statistics, of 18 ops; 32 are more than one of it and less than two.
 */
const HEAVY_CONTRACTIONS = 2;
const HEAVY_OPS = 32;

const CONTRACTIONS: ReadonlySet<string> = new Set([
  'matmul',
  'attention',
  'attention_dropout',
  'conv2d',
  'conv2d_input_grad',
  'conv2d_weight_grad',
]);

export interface InlineOptions {
  /** Gradients are still to be taken: calls that are checkpoints stay calls. */
  readonly early?: boolean;
}

/** `roots` are entered from outside; what they no longer reach goes. Without roots every function stays. */
export function inline(module: Module, roots?: Iterable<string>, options: InlineOptions = {}): Module {
  const entered = [...(roots ?? module.funcs.keys())];
  return reachable(new Inliner(module, entered, options.early ?? false).run(), entered);
}

interface Weight {
  readonly contractions: number;
  readonly ops: number;
}

class Inliner {
  private readonly module: Module;
  private readonly roots: readonly string[];
  private readonly early: boolean;
  /** Callees before callers. */
  private readonly order: readonly string[];
  private readonly weights = new Map<string, Weight>();
  private readonly done = new Map<string, Func>();
  private sites: ReadonlyMap<string, number> = new Map();

  constructor(module: Module, roots: readonly string[], early: boolean) {
    this.module = module;
    this.roots = roots;
    this.early = early;
    this.order = calleesFirst(module, roots);
  }

  run(): Module {
    for (const name of this.order) this.weights.set(name, this.weigh(this.module.funcs.get(name)!.body));
    this.sites = this.countSites();
    for (const name of this.order) this.done.set(name, this.expand(this.module.funcs.get(name)!));
    // In the order of the given module, so that a dump after the pass lines up with the one before.
    return {
      funcs: new Map([...this.module.funcs.keys()].flatMap((n) => (this.done.has(n) ? [[n, this.done.get(n)!]] : []))),
    };
  }

  private weigh(region: Region): Weight {
    let contractions = 0;
    let ops = 0;
    for (const op of region.ops) {
      if (CONTRACTIONS.has(op.kind)) contractions++;
      const parts =
        op.kind === 'call' ? [this.weights.get(String(op.attrs['callee']))!] : op.regions.map((r) => this.weigh(r));
      if (computes(op)) ops++;
      for (const w of parts) {
        contractions += w.contractions;
        ops += w.ops;
      }
    }
    return { contractions, ops };
  }

  private heavy(name: string): boolean {
    const w = this.weights.get(name)!;
    return w.contractions >= HEAVY_CONTRACTIONS || w.ops >= HEAVY_OPS;
  }

  private inlined(name: string): boolean {
    return !this.heavy(name) || (this.sites.get(name) ?? 0) <= 1;
  }

  /**
   * Call sites of each function in a program after inlining, for the root where they are most: a function that is inlined
   * at n places brings its own calls n times.
   */
  private countSites(): Map<string, number> {
    const most = new Map<string, number>();
    const callees = new Map(this.order.map((n) => [n, calleesOf(this.module.funcs.get(n)!.body)]));
    for (const root of this.roots) {
      const sites = new Map<string, number>();
      const seen = new Set([root]);
      for (const name of [...this.order].reverse()) {
        if (!seen.has(name)) continue;
        const here = sites.get(name) ?? 0;
        const copies = name === root || (this.heavy(name) && here > 1) ? 1 : here;
        for (const callee of callees.get(name)!) {
          sites.set(callee, (sites.get(callee) ?? 0) + copies);
          seen.add(callee);
        }
      }
      for (const [name, n] of sites) most.set(name, Math.max(n, most.get(name) ?? 0));
    }
    return most;
  }

  private expand(f: Func): Func {
    const checks: (readonly DimCheck[])[] = [f.checks];
    const body = this.region(f.body, new Map(), checks);
    return { ...f, body, checks: mergeChecks(checks) };
  }

  private region(r: Region, map: Map<Value, Value>, checks: (readonly DimCheck[])[]): Region {
    const ops: Op[] = [];
    for (const op of r.ops) {
      const operands = op.operands.map((v) => map.get(v) ?? v);
      const callee = op.kind === 'call' ? this.done.get(String(op.attrs['callee'])) : undefined;
      if (!callee || !this.inlined(callee.name) || (this.early && op.attrs['checkpoint'] === true)) {
        ops.push({ ...op, operands, regions: op.regions.map((x) => this.region(x, map, checks)) });
        continue;
      }
      const { params, ops: inner, results } = callee.body;
      const env: SymbolEnv = bindSymbols(
        params.map((p) => p.type),
        operands.map((v) => v.type),
      );
      checks.push(callee.checks.map((c) => substituteCheck(c, env)));
      const bound = new Map<Value, Value>(params.map((p, i) => [p, operands[i]!]));
      cloneOps(inner, bound, ops, env, under(op.origin));
      op.results.forEach((v, i) => map.set(v, bound.get(results[i]!) ?? results[i]!));
    }
    return { params: r.params, ops, results: r.results.map((v) => map.get(v) ?? v) };
  }
}

/** Constants, views and what only the compiler sees make no kernels of their own. */
function computes(op: Op): boolean {
  const { kind } = opDef(op.kind).lower;
  return kind !== 'view' && kind !== 'control' && kind !== 'generator' && op.kind !== 'stop_gradient';
}

/** Puts the caller's path in front: the callee's paths are relative to it. */
function under(caller: Origin): (o: Origin) => Origin {
  if (caller.path === '') return (o) => o;
  return (o) => ({ span: o.span, path: o.path === '' ? caller.path : `${caller.path}.${o.path}` });
}
