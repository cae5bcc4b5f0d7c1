/**
 * What a forward function hands to its backward function. Memory is dearer than arithmetic, so a value made by a cheap op
 * (elementwise, a view, a generator) out of what is at hand is computed again. What is not is saved: the value itself, or
 * rather the one value that it was cheaply made from, back to the first that the forward uses several times and so keeps
 * in memory anyway. So two scalings of one product cost one tensor, and a residual stream is saved as such.
 */
import type { Op, Value } from '../../ir.ts';
import { allOps, readsOf } from '../../clone.ts';
import { opDef } from '../../ops/table.ts';

export interface Residuals {
  /** Values of the forward that the backward gets, in order of definition. */
  readonly saved: readonly Value[];
  /** Ops of the forward that the backward repeats, in order. */
  readonly recomputed: readonly Op[];
}

/** Each costs a few scalars or fills memory from nothing. Random bits are left out: a draw is dearer than a load. */
const GENERATORS: ReadonlySet<string> = new Set(['constant', 'iota', 'size', 'fold_in', 'view']);

const isView = (op: Op): boolean => opDef(op.kind).lower.kind === 'view';

export const isCheap = (op: Op): boolean =>
  op.regions.length === 0 && (GENERATORS.has(op.kind) || opDef(op.kind).lower.kind === 'elementwise' || isView(op));

export interface ResidualOptions {
  /** What is computed again rather than saved. */
  readonly cheap?: (op: Op) => boolean;
  /** Saved in any case. */
  readonly keep?: readonly Value[];
}

export function planResiduals(
  params: Iterable<Value>,
  forward: readonly Op[],
  results: readonly Value[],
  used: ReadonlySet<Value>,
  { cheap = isCheap, keep = [] }: ResidualOptions = {},
): Residuals {
  const ops = forward.flatMap(withoutGradient);
  const plan = new Plan(ops, results, cheap);
  for (const v of keep) plan.keep(v);
  for (const p of params) plan.reach(p);
  const wanted = ops.flatMap((op) => op.results.filter((r) => used.has(r)));
  for (const v of wanted) if (!plan.isCheap(v)) plan.keep(v);
  for (const v of wanted) plan.provide(v);
  return plan.residuals(wanted);
}

/** What is repeated needs no gradient: where the source states one, what is left is another name for its value. */
const withoutGradient = (op: Op): readonly Op[] =>
  op.kind !== 'with_gradient'
    ? [op]
    : op.results.map((r, i) => ({
        kind: 'reshape',
        operands: [op.operands[i]!],
        attrs: { shape: r.type.shape },
        results: [r],
        regions: [],
        origin: op.origin,
      }));

class Plan {
  private readonly ops: readonly Op[];
  private readonly producer = new Map<Value, Op>();
  private readonly users = new Map<Value, Op[]>();
  private readonly uses = new Map<Value, number>();
  /** Operands of each cheap op that are not at hand yet. */
  private readonly missing = new Map<Op, number>();
  private readonly atHand = new Set<Value>();
  private readonly kept = new Set<Value>();

  constructor(ops: readonly Op[], results: readonly Value[], isCheap: (op: Op) => boolean) {
    this.ops = ops;
    for (const op of ops) for (const r of op.results) this.producer.set(r, op);
    for (const op of allOps({ params: [], ops, results })) {
      for (const v of op.operands) this.use(v);
      for (const r of op.regions) for (const v of r.results) this.use(v);
    }
    for (const v of results) this.use(v);
    const cheap = ops.filter(isCheap);
    for (const op of cheap) {
      const from = readsOf(op);
      this.missing.set(op, from.length);
      for (const v of from) this.users.set(v, [...(this.users.get(v) ?? []), op]);
    }
    for (const op of cheap) if (this.missing.get(op) === 0) op.results.forEach((r) => this.reach(r));
  }

  private use(v: Value): void {
    this.uses.set(v, (this.uses.get(v) ?? 0) + 1);
  }

  isCheap(v: Value): boolean {
    return this.missing.has(this.producer.get(v)!);
  }

  /** The value is at hand, and so is everything that cheap ops make of it and of what was. */
  reach(v: Value): void {
    const open = [v];
    for (let next = open.pop(); next; next = open.pop()) {
      if (this.atHand.has(next)) continue;
      this.atHand.add(next);
      for (const op of this.users.get(next) ?? []) {
        const left = this.missing.get(op)! - 1;
        this.missing.set(op, left);
        if (left === 0) open.push(...op.results);
      }
    }
  }

  keep(v: Value): void {
    this.kept.add(v);
    this.reach(v);
  }

  /** Sees to it that the value is at hand: keeps it, or what it is made from. */
  provide(v: Value): void {
    for (let at = v; !this.atHand.has(at);) {
      const op = this.producer.get(at)!;
      const sources = this.isCheap(at) ? [...new Set(readsOf(op).filter((o) => !this.atHand.has(o)))] : [];
      const busy = !isView(op) && (this.uses.get(at) ?? 0) > 1;
      if (sources.length === 1 && !busy) at = sources[0]!;
      else this.keep(at);
    }
  }

  residuals(wanted: readonly Value[]): Residuals {
    const again = new Set<Op>();
    const open = [...wanted];
    for (let v = open.pop(); v; v = open.pop()) {
      const op = this.producer.get(v);
      if (!op || this.kept.has(v) || again.has(op)) continue;
      again.add(op);
      open.push(...readsOf(op));
    }
    return {
      saved: this.ops.flatMap((op) => op.results.filter((r) => this.kept.has(r))),
      recomputed: this.ops.filter((op) => again.has(op)),
    };
  }
}
