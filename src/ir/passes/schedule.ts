/**
 * Puts each kernel as late as its results are needed, where that keeps fewer bytes alive: the order of the source computes in
 * one go what a gradient repeats of the forward, long before the last of it is read. A kernel whose operands are larger
 * than its results stays early, since waiting would keep those. Every op is pure, so any order that defines before
 * it uses is the same program; bytes times steps of waiting are compared, one op after the other, last first.
 */
import { readsOf } from '../clone.ts';
import type { Module, Op, Region, Value } from '../ir.ts';
import { bytesOf } from './op-cost.ts';

/** Results of these are operands under another name, or made of parts that are written where they stay. */
const NAMES: ReadonlySet<string> = new Set(['reshape', 'view', 'again']);

export function schedule(module: Module): Module {
  return { funcs: new Map([...module.funcs].map(([name, f]) => [name, { ...f, body: scheduled(f.body) }])) };
}

function scheduled(region: Region): Region {
  const ops = region.ops.map((op) =>
    op.kind === 'fusion' || op.regions.length === 0 ? op : { ...op, regions: op.regions.map(scheduled) },
  );
  return { ...region, ops: new Scheduler({ ...region, ops }).run() };
}

class Scheduler {
  private readonly ops: readonly Op[];
  private readonly results: ReadonlySet<Value>;
  /** Values of this region with the one whose memory they are in. */
  private readonly roots = new Map<Value, Value>();
  /** What has been placed, last first. */
  private readonly placed: Op[] = [];

  constructor({ params, ops, results }: Region) {
    this.ops = ops;
    // Nobody else may want their memory, but they are updated there once nobody reads what they held.
    for (const p of params) this.roots.set(p, p);
    for (const op of ops) {
      const [operand] = op.operands;
      for (const v of op.results) this.roots.set(v, NAMES.has(op.kind) ? (this.roots.get(operand!) ?? operand!) : v);
    }
    this.results = new Set(results.map((v) => this.root(v)));
  }

  run(): Op[] {
    for (let i = this.ops.length - 1; i >= 0; i--) this.place(this.ops[i]!);
    return this.placed.reverse();
  }

  private root(v: Value): Value {
    return this.roots.get(v) ?? v;
  }

  private place(op: Op): void {
    const { placed } = this;
    const latest = NAMES.has(op.kind) || this.movable(op) ? this.latest(op) : placed.length;
    if (latest === placed.length) placed.push(op);
    else placed.splice(NAMES.has(op.kind) || this.saves(op, placed.length - latest) ? latest : placed.length, 0, op);
  }

  /** What is handed out at the end lives until then in any case; the parts of a pack are written into it one by one. */
  private movable(op: Op): boolean {
    return op.kind === 'fusion' && !op.results.some((v) => this.results.has(v));
  }

  /** The place right before the first op that reads it, as an index of `placed`. */
  private latest(op: Op): number {
    for (let i = this.placed.length - 1; i >= 0; i--)
      if (readsOf(this.placed[i]!).some((v) => op.results.includes(v))) return i + 1;
    return this.placed.length;
  }

  /** Whether waiting for `steps` ops keeps fewer bytes alive. */
  private saves(op: Op, steps: number): boolean {
    const gained = op.results.reduce((sum, v) => sum + bytesOf(v), 0) * steps;
    let lost = 0;
    for (const v of new Set(op.operands.map((o) => this.root(o)))) {
      if (!this.roots.has(v) || this.results.has(v)) continue;
      lost += bytesOf(v) * Math.max(0, steps - this.livesFor(v));
    }
    return lost < gained;
  }

  /** For how many ops from here on a value is read by others. */
  private livesFor(v: Value): number {
    const { placed } = this;
    const last = placed.findIndex((op) => readsOf(op).some((o) => this.root(o) === v));
    return last < 0 ? 0 : placed.length - last;
  }
}
