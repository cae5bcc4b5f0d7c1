/**
 * Reverse-mode differentiation as a source transformation: the backward program is net IR like any other.
 * A called function gets, once for each set of active arguments and results, a forward variant that also returns what its
 * backward reads, and a backward variant from those and the cotangents to the gradients; all calls share them.
 */
import type { Func, Module, Value } from '../ir.ts';
import { allOps, cloneRegion } from '../clone.ts';
import { printFunc } from '../print.ts';
import { boundBy, symbolsOfAttrs, symbolsOfTypes } from '../symbols.ts';
import { typeText, value } from '../builder.ts';
import { cast } from '../ops/gradients.ts';
import { liveOps } from './dce.ts';
import { Activity, isFloat } from './autodiff/activity.ts';
import { forwardCopy } from './autodiff/forward.ts';
import { AutodiffFault } from './autodiff/fault.ts';
import { withRepeats } from './autodiff/repeat.ts';
import { nothingSaved, planResiduals } from './autodiff/residuals.ts';
import { Reverse, zeros, type Variant, type Variants } from './autodiff/reverse.ts';

export { AutodiffFault } from './autodiff/fault.ts';

export interface Vjp {
  /** The given functions and the new ones. */
  readonly module: Module;
  /** Name of the function that computes (results of `func`..., gradient of its first result for each of `wrt`...). */
  readonly func: string;
}

export interface VjpOptions {
  /** The function takes one parameter more, an f32[] that all gradients are multiplied by from the start. */
  readonly scaled?: boolean;
}

/**
 * `wrt` are indices of parameters. The first result must be a float scalar (the loss). A parameter that the loss does not
 * depend on gets zeros. Throws AutodiffFault where the program cannot be differentiated.
 */
export function vjp(module: Module, func: string, wrt: readonly number[], options: VjpOptions = {}): Vjp {
  const made = new Differentiation(module);
  return {
    func: made.top(func, wrt, options.scaled ? value({ elem: 'f32', shape: [] }, 'scale') : null),
    module: { funcs: made.funcs },
  };
}

class Differentiation implements Variants {
  readonly funcs: Map<string, Func>;
  readonly activity: Activity;
  private readonly variants = new Map<string, Variant>();

  constructor(module: Module) {
    this.funcs = new Map(module.funcs);
    this.activity = new Activity(this.funcs);
  }

  top(name: string, wrt: readonly number[], scale: Value | null): string {
    const f = this.func(name);
    const { params, ops, results } = forwardCopy(f.body);
    const [loss] = results;
    if (!loss || !isFloat(loss) || loss.type.shape.length > 0) {
      const found = loss ? typeText(loss.type) : 'nothing';
      throw new AutodiffFault(`only a scalar can be differentiated, but @${name} returns ${found} first`, f.origin);
    }
    const active = new Set(wrt.map((i) => params[i]!).filter(isFloat));
    this.activity.mark(ops, active);
    const rev = new Reverse(this, active, f.origin);
    rev.seed(loss, () => (scale ? cast(rev.b, scale, loss.type.elem) : rev.b.constant(1, loss.type.elem)));
    rev.run(ops);
    const grads = wrt.map((i) => rev.grads.get(params[i]!) ?? zeros(rev.b, params[i]!.type));
    const backward = liveOps(rev.b.ops, grads);
    const free = freeValues(backward, grads, new Set());
    const { recomputed } = planResiduals(ops, results, free, { readers: backward });
    const again = withRepeats(recomputed, backward, grads);
    const all = [...results, ...again.results];
    const body = {
      params: scale ? [...params, scale] : params,
      ops: liveOps([...ops, ...again.ops], all),
      results: all,
    };
    return this.add({ ...f, name: `${name}.vjp`, body });
  }

  variant(name: string, inputs: readonly boolean[], outputs: readonly boolean[], checkpoint: boolean): Variant {
    const bits = (m: readonly boolean[]): string => m.map(Number).join('');
    const key = `${bits(inputs)} ${bits(outputs)} ${checkpoint} ${name}`;
    let v = this.variants.get(key);
    if (!v) this.variants.set(key, (v = this.makeVariant(name, inputs, outputs, checkpoint)));
    return v;
  }

  private makeVariant(
    name: string,
    inputs: readonly boolean[],
    outputs: readonly boolean[],
    checkpoint: boolean,
  ): Variant {
    const f = this.func(name);
    const { params, ops, results } = forwardCopy(f.body);
    const active = new Set(params.filter((p, i) => inputs[i] && isFloat(p)));
    this.activity.mark(ops, active);
    const rev = new Reverse(this, active, f.origin);
    const cotangents: Value[] = [];
    results.forEach((r, i) => {
      if (!outputs[i]) return;
      const dy = value(r.type, `d_${r.hint ?? 'y'}`);
      cotangents.push(dy);
      rev.seed(r, () => dy);
    });
    rev.run(ops);

    const gradient = params.map((p, i) => (inputs[i] ? (rev.grads.get(p) ?? null) : null));
    const grads = gradient.filter((g) => g !== null);
    const backward = liveOps(rev.b.ops, grads);
    const free = freeValues(backward, grads, new Set(cotangents));
    const { saved, recomputed } = checkpoint
      ? nothingSaved(ops)
      : planResiduals(ops, results, free, { readers: backward });
    const again = withRepeats(recomputed, backward, grads);

    const read = freeValues(again.ops, again.results, new Set(cotangents));
    const passed = params.map((p) => read.has(p));
    bindAll(params, passed, [...saved, ...cotangents], again.ops);
    const backwardParams = [...params.filter((_, i) => passed[i]), ...saved, ...cotangents];
    return {
      // Without residuals the function itself will do.
      forward:
        saved.length === 0
          ? name
          : this.add({ ...f, name: `${name}.fwd`, body: { params, ops, results: [...results, ...saved] } }),
      backward: this.add({
        name: `${name}.bwd`,
        body: cloneRegion({ params: backwardParams, ...again }, new Map()),
        // The forward has tested them.
        checks: [],
        origin: f.origin,
      }),
      formal: params.map((p) => p.type),
      saved: saved.map((s) => s.type),
      passed,
      gradient: gradient.map((g) => g !== null),
    };
  }

  private func(name: string): Func {
    const f = this.funcs.get(name);
    if (!f) throw new Error(`there is no function @${name}`);
    return f;
  }

  /** Under its name, or the next free one. A function with the same text is shared: earlier runs made it. */
  private add(f: Func): string {
    for (let n = 0; ; n++) {
      const name = n === 0 ? f.name : `${f.name}.${n}`;
      const named = { ...f, name };
      const old = this.funcs.get(name);
      if (old && printFunc(old) !== printFunc(named)) continue;
      if (!old) this.funcs.set(name, named);
      return name;
    }
  }
}

/** Values that ops and results read but the ops do not define. */
function freeValues(ops: Func['body']['ops'], results: readonly Value[], bound: ReadonlySet<Value>): Set<Value> {
  const inner = new Set<Value>(bound);
  const free = new Set<Value>();
  const region = { params: [], ops, results };
  for (const op of allOps(region)) {
    for (const r of op.results) inner.add(r);
    for (const r of op.regions) for (const p of r.params) inner.add(p);
  }
  const use = (v: Value): void => {
    if (!inner.has(v)) free.add(v);
  };
  for (const op of allOps(region)) {
    op.operands.forEach(use);
    for (const r of op.regions) r.results.forEach(use);
  }
  results.forEach(use);
  return free;
}

/**
 * Every symbol of the backward must be bound by one of its parameters: passes parameters that do. A saved `f32[B*T]` binds
 * neither B nor T, and the gradient of a sum knows the size of what was summed from its type only.
 */
function bindAll(
  params: readonly Value[],
  passed: boolean[],
  others: readonly Value[],
  ops: Func['body']['ops'],
): void {
  const used = symbolsOfTypes(others.map((v) => v.type));
  for (const op of allOps({ params: [], ops, results: [] })) {
    symbolsOfAttrs(op.attrs, used);
    for (const r of op.results) symbolsOfTypes([r.type], used);
  }
  const binders = (): readonly Value[] => [...params.filter((_, i) => passed[i]), ...others];
  for (const p of binders()) symbolsOfTypes([p.type], used);
  // Grows while it is walked: a parameter that is passed may bring symbols of its own.
  for (const s of used) {
    if (boundBy(binders().map((v) => v.type)).has(s)) continue;
    const i = params.findIndex((p) => boundBy([p.type]).has(s));
    if (i < 0) continue;
    passed[i] = true;
    symbolsOfTypes([params[i]!.type], used);
  }
}
