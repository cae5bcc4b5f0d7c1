/**
 * What a forward computation hands to its backward: a minimal cut through the ops between what is at hand and what the backward reads.
 * Memory is dearer than arithmetic: what cheap ops (elementwise, a view, a generator) make of what is at hand is computed
 * again, and of several values that would do, those are saved that take the fewest bytes and spare the most work.
 * After the min-cut partitioner of AOTAutograd in PyTorch (functorch/compile, Horace He).
 */
import type { Op, Value } from '../../ir.ts';
import { readsOf } from '../../clone.ts';
import { opDef } from '../../ops/table.ts';
import { bytesOf, costOf, depthOf, elementsOf, typical } from '../op-cost.ts';
import { sinkSide } from './min-cut.ts';

export interface Residuals {
  /** Values of the forward that the backward gets, in order of definition. */
  readonly saved: readonly Value[];
  /** Ops of the forward that the backward repeats, in order. */
  readonly recomputed: readonly Op[];
}

/** Each costs a few scalars or fills memory from nothing. Random bits are left out: a draw is dearer than a load. */
const GENERATORS: ReadonlySet<string> = new Set(['constant', 'iota', 'size', 'fold_in', 'view']);
/** A product of two batches of matrices, as attention has, takes a small part of a layer's time where its sums are this short. */
const SHORT_SUM = 64;
/** What a byte costs that is kept from the forward to the backward, in bytes that are moved. */
const KEPT = 8;

const lowering = (op: Op): string => opDef(op.kind).lower.kind;
const isView = (op: Op): boolean => lowering(op) === 'view';
const isElementwise = (op: Op): boolean => lowering(op) === 'elementwise' || GENERATORS.has(op.kind);

export const isCheap = (op: Op): boolean => op.regions.length === 0 && (isElementwise(op) || isView(op));

const isShortProduct = (op: Op): boolean =>
  op.kind === 'matmul' &&
  typical(depthOf(op)) <= SHORT_SUM &&
  op.operands.every(({ type }) => type.shape.slice(0, -2).some((d) => d.value !== 1));

export interface ResidualOptions {
  /** What is computed again rather than saved. */
  readonly cheap?: (op: Op) => boolean;
  /** Saved in any case. */
  readonly keep?: readonly Value[];
  /** What reads values of the forward: what it takes from memory must be written there again. */
  readonly readers?: readonly Op[];
}

export function planResiduals(
  forward: readonly Op[],
  results: readonly Value[],
  used: ReadonlySet<Value>,
  options: ResidualOptions = {},
): Residuals {
  const ops = forward.flatMap(withoutGradient);
  return new Plan(ops, results, options).plan(ops.flatMap((op) => op.results.filter((r) => used.has(r))));
}

/** All that the backward reads is computed again from the arguments. */
export const nothingSaved = (forward: readonly Op[]): Residuals => ({
  saved: [],
  recomputed: forward.flatMap(withoutGradient),
});

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

type Edge = readonly [from: number, to: number, capacity: number];

const SOURCE = 0;
const SINK = 1;

class Plan {
  private readonly ops: readonly Op[];
  private readonly cheap: (op: Op) => boolean;
  private readonly kept: ReadonlySet<Value>;
  private readonly producer = new Map<Value, Op>();
  /** Values that the forward, and that the backward, has or wants in memory. */
  private readonly inMemory: ReadonlySet<Value>;
  private readonly readAgain: ReadonlySet<Value>;
  /** Each value is two nodes, before and after it is saved; this is the first. */
  private readonly nodes = new Map<Value, number>();

  constructor(ops: readonly Op[], results: readonly Value[], options: ResidualOptions) {
    this.ops = ops;
    this.cheap = options.cheap ?? ((op) => isCheap(op) || isShortProduct(op));
    this.kept = new Set(options.keep);
    for (const op of ops) for (const r of op.results) this.producer.set(r, op);
    this.inMemory = new Set([...results, ...ops.flatMap((op) => (isElementwise(op) ? [] : this.takes(op)))]);
    this.readAgain = new Set(options.readers?.flatMap((op) => (isElementwise(op) || isView(op) ? [] : readsOf(op))));
  }

  plan(wanted: readonly Value[]): Residuals {
    const edges = this.reach(wanted);
    for (const v of wanted) if (this.nodes.has(v)) edges.push([this.after(v), SINK, Infinity]);
    const side = sinkSide({ nodes: 2 + 2 * this.nodes.size, edges, source: SOURCE, sink: SINK });
    const before = (v: Value): boolean => side[this.nodes.get(v) ?? SOURCE]!;
    const saved = (v: Value): boolean =>
      this.kept.has(v) || (this.nodes.has(v) && !before(v) && side[this.after(v)] === true);
    return {
      saved: this.ops.flatMap((op) => op.results.filter(saved)),
      recomputed: this.ops.filter((op) => op.results.some(before)),
    };
  }

  /** What a kernel of this op reads from memory: a view is read by whoever reads through it, unless it is of what only memory can give. */
  private takes(op: Op): readonly Value[] {
    const from = readsOf(op);
    return isView(op) ? from.filter((v) => !isElementwise(this.producer.get(v) ?? op)) : from;
  }

  private after(v: Value): number {
    return this.nodes.get(v)! + 1;
  }

  /** What those values may be computed from again, down to what is at hand. */
  private reach(wanted: readonly Value[]): Edge[] {
    const edges: Edge[] = [];
    const parts: [Value, Value][] = [];
    const open = [...wanted];
    for (let v = open.pop(); v; v = open.pop()) {
      const op = this.producer.get(v);
      if (!op || this.kept.has(v) || this.nodes.has(v)) continue;
      const node = 2 + 2 * this.nodes.size;
      this.nodes.set(v, node);
      const cheap = this.cheap(op);
      edges.push([node, node + 1, this.costOfKeeping(v)]);
      edges.push([SOURCE, node, cheap ? this.costOfRepeating(op, v) : Infinity]);
      for (const u of cheap ? new Set(readsOf(op)) : []) {
        open.push(u);
        parts.push([u, v]);
      }
    }
    for (const [u, v] of parts) if (this.nodes.has(u)) edges.push([this.after(u), this.nodes.get(v)!, Infinity]);
    return edges;
  }

  private costOfKeeping(v: Value): number {
    return bytesOf(v) * (this.inMemory.has(v) ? KEPT : KEPT + 1);
  }

  private costOfRepeating(op: Op, v: Value): number {
    return elementsOf(v.type.shape) * costOf(op) + (this.readAgain.has(v) ? 2 * bytesOf(v) : 0);
  }
}
