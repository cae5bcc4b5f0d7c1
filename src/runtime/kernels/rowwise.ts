/**
 * The row-wise family: reductions over some axes with the elementwise work before, between and after them (sums, softmax,
 * norms, cross-entropy and their gradients), pass by pass for each row.
 *
 * Vectors run along the innermost axis. Where it is reduced, several accumulators take turns and are combined at the end of
 * the row; where it is kept, each lane is a row of its own. Long sums are made of partial sums, so that rounding grows with
 * their square root of length. The order depends on the shape only.
 */
import * as K from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { Coord } from '../../codegen/coord.ts';
import { coordKey, lanesOf, ORIGIN, scale, shift, sum, uniform } from '../../codegen/coord.ts';
import type { RegionEmitter } from '../../codegen/expr.ts';
import { loadAt } from '../../codegen/gather.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import type { Pass, RowPlan } from '../../codegen/rows.ts';
import { keepInPlace, planRows } from '../../codegen/rows.ts';
import type { LoopAxis, Walk } from '../../codegen/space.ts';
import { identity, loopsOver, placeIn, walkRegion } from '../../codegen/space.ts';
import { needsScalar } from '../../codegen/windows.ts';
import { dim, mul, product, sym, type Dim } from '../../ir/dim.ts';
import type { Op, Region, Value } from '../../ir/ir.ts';
import type { State } from './accumulate.ts';
import { Reducer } from './accumulate.ts';
import { THREADS } from '../artifact.ts';
import { sharedLoop, unrollFor, vectorLoop } from './loops.ts';
import { openRegion, originsOf, reuse, storeAt, unrollOf } from './region.ts';
import { thread } from './team.ts';

/** Elements of an inner row, and rows of a column, that one partial sum takes. */
const ROW_CHUNK = 4096;
const COLUMN_CHUNK = 256;
/** Kept values of at most this many elements live in the kernel's own memory. */
const LOCAL_LIMIT = 2048;

/** The kernel of a `fusion {rowwise}` op. */
export function rowwiseKernel(op: Op, target: Target, name: string): KernelCall {
  const region = op.regions[0]!;
  const passes = planRows(region);
  const walk = walkRows(region, passes);
  const plan = keepInPlace(passes, walk);
  const a = new KernelArgs();
  const emitter = openRegion(a, op);
  const outs = op.results.map((r) => a.buffer(r, 'write', 'out'));
  new RowWriter(a, emitter, op, plan, walk, outs, target).write();
  const last = plan.passes[plan.passes.length - 1]!;
  return a.finish(name, originsOf(op), reuse(op, walk, last.stores));
}

export function walkRows(region: Region, plan: RowPlan): Walk {
  const rank = plan.shape.length;
  const roots = [
    ...plan.reductions.map((r) => ({ value: r.operands[0]!, tokens: identity(rank) })),
    ...region.results.map((value) => ({
      value,
      tokens: value.type.shape.length === rank ? identity(rank) : plan.keptAxes,
    })),
  ];
  return walkRegion(region, roots, new Set(plan.reductions.flatMap((r) => r.results)));
}

class RowWriter {
  private readonly a: KernelArgs;
  private readonly e: RegionEmitter;
  private readonly region: Region;
  private readonly plan: RowPlan;
  private readonly outs: readonly KBuffer[];
  private readonly lanes: number;
  private readonly keptLoops: readonly LoopAxis[];
  private readonly rowLoops: readonly LoopAxis[];
  /** Vectors run along a kept axis. */
  private readonly columns: boolean;
  private readonly unroll: number;
  /** Elements that a thread has for what it keeps, where that is not private. */
  private perThread: Dim | null = null;
  private readonly stores = new Map<Value, KBuffer>();

  constructor(
    a: KernelArgs,
    e: RegionEmitter,
    op: Op,
    plan: RowPlan,
    walk: Walk,
    outs: readonly KBuffer[],
    target: Target,
  ) {
    this.a = a;
    this.e = e;
    const region = op.regions[0]!;
    this.region = region;
    this.plan = plan;
    this.outs = outs;
    this.lanes = region.ops.some(needsScalar) ? 1 : target.lanes;
    const patterns = [...walk.patterns, identity(plan.shape.length)];
    this.keptLoops = loopsOver(plan.shape, plan.keptAxes, patterns);
    this.rowLoops = loopsOver(plan.shape, plan.axes, patterns);
    const inner = plan.shape.findLastIndex((d) => d.value !== 1);
    this.columns = inner >= 0 && !plan.axes.includes(inner);
    const loop = this.columns ? this.keptLoops.at(-1) : this.rowLoops.at(-1);
    this.unroll = loop ? unrollFor(loop.extent.value, this.lanes, unrollOf(op), 1) : 1;
  }

  write(): void {
    const s = this.a.scope;
    this.allocate();
    const shared = sharedLoop(this.keptLoops);
    const nest = (depth: number, at: readonly Coord[]): void => {
      const loop = this.keptLoops[depth];
      if (!loop) return this.row([at]);
      const extent = depth === 0 ? this.a.sizeParam(loop.extent) : this.a.size(loop.extent);
      const axis = depth === shared ? 'parallel' : 'serial';
      if (this.columns && depth === this.keptLoops.length - 1) {
        vectorLoop(
          s,
          K.i32(0),
          extent,
          this.lanes,
          this.unroll,
          (places) => this.row(places.map((p) => [...at, p])),
          undefined,
          axis,
        );
      } else s.loop(0, extent, 1, (i) => nest(depth + 1, [...at, uniform(i)]), axis);
    };
    nest(0, []);
  }

  /** Memory for what a pass keeps for later ones: one row, of as many columns as are worked on together. */
  private allocate(): void {
    const width = this.columns ? this.lanes * this.unroll : 1;
    const length = mul(product(this.plan.axes.map((i) => this.plan.shape[i]!)), width);
    // One row at all is not shared: there is nothing that threads could do apart.
    const copies = this.keptLoops.length > 0 ? sym(THREADS) : dim(1);
    for (const v of this.plan.passes.flatMap((p) => p.kept)) {
      const local = length.value !== null && length.value <= LOCAL_LIMIT;
      if (!local && this.keptLoops.length > 0) this.perThread = length;
      const elem = v.type.elem === 'f16' || v.type.elem === 'bf16' ? 'f32' : v.type.elem;
      this.stores.set(
        v,
        local ? this.a.k.local('row', elem, length.value) : this.a.scratch(elem, mul(copies, mul(length, 4)), 'row'),
      );
    }
  }

  /** One row per column: every pass, then the results on the reduced space. */
  private row(columns: readonly (readonly Coord[])[]): void {
    const kept = columns.map((c) => placeIn(this.plan.shape.length, this.keptLoops, c));
    for (const v of this.stores.keys()) this.e.substitute(v, null);
    for (const pass of this.plan.passes) {
      const reducers = pass.reductions.map((r) => new Reducer(this.a.scope, r));
      const states = this.columns ? this.downColumns(pass, reducers, kept) : [this.alongRow(pass, reducers, kept[0]!)];
      kept.forEach((at, c) =>
        reducers.forEach((r, i) => {
          const result = r.op.results[0]!;
          this.e.bind(result, this.rowPlace(result, at), this.e.rounded(result.type.elem, r.result(states[c]![i]!)));
        }),
      );
      for (const v of pass.kept) this.e.substitute(v, (at) => this.readKept(v, at, kept));
    }
    for (const at of kept) {
      for (const i of this.plan.rowResults) {
        const v = this.region.results[i]!;
        const place = this.rowPlace(v, at);
        storeAt(this.a.scope, this.outs[i]!, this.e.flat(place, v.type.shape), this.e.value(v, place));
      }
    }
  }

  /** The position of a row in a value on the reduced space, which has its axes as ones or not at all. */
  private rowPlace(v: Value, at: readonly Coord[]): readonly Coord[] {
    return v.type.shape.length === at.length ? at : this.plan.keptAxes.map((i) => at[i]!);
  }

  /** Vectors along the row: states of vectors and of the elements that are left over, combined at the end. */
  private alongRow(pass: Pass, reducers: readonly Reducer[], kept: readonly Coord[]): readonly State[] {
    const s = this.a.scope;
    const wide = this.lanes > 1 ? reducers.map((r) => r.start(this.lanes)) : [];
    const rest = reducers.map((r) => r.start(1));
    this.overRows((outer, inner) => {
      if (!inner) {
        this.points(pass, reducers, [this.full(kept, outer)], [rest]);
        return;
      }
      const run = (from: KExpr, to: KExpr): void => {
        const accs = Array.from({ length: this.unroll }, () =>
          this.lanes > 1 ? reducers.map((r) => r.start(this.lanes)) : [],
        );
        vectorLoop(
          s,
          from,
          to,
          this.lanes,
          this.unroll,
          (places) =>
            this.points(
              pass,
              reducers,
              places.map((p) => this.full(kept, [...outer, p])),
              places.map((p, u) => (lanesOf(p) > 1 ? accs[u]! : rest)),
            ),
          ROW_CHUNK,
        );
        if (this.lanes > 1) reducers.forEach((r, i) => accs.forEach((acc) => r.merge(wide[i]!, acc[i]!)));
      };
      this.chunked(inner, ROW_CHUNK, reducers.length > 0, run);
    });
    if (this.lanes === 1) return rest;
    return reducers.map((r, i) => {
      const state = r.narrow(wide[i]!);
      r.merge(state, rest[i]!);
      return state;
    });
  }

  /** Every lane is a row: elements of a row come one after the other, in partial sums. */
  private downColumns(
    pass: Pass,
    reducers: readonly Reducer[],
    kept: readonly (readonly Coord[])[],
  ): readonly (readonly State[])[] {
    const lanes = kept.map((at) => Math.max(...at.map(lanesOf)));
    const totals = lanes.map((n) => reducers.map((r) => r.start(n)));
    this.overRows((outer, inner) => {
      const run = (from: KExpr, to: KExpr): void => {
        const accs = lanes.map((n) => reducers.map((r) => r.start(n)));
        this.a.scope.loop(from, to, 1, (i) =>
          this.points(
            pass,
            reducers,
            kept.map((at) => this.full(at, [...outer, uniform(i)])),
            accs,
          ),
        );
        reducers.forEach((r, i) => totals.forEach((t, c) => r.merge(t[i]!, accs[c]![i]!)));
      };
      if (!inner)
        this.points(
          pass,
          reducers,
          kept.map((at) => this.full(at, outer)),
          totals,
        );
      else this.chunked(inner, COLUMN_CHUNK, reducers.length > 0, run);
    });
    return totals;
  }

  /** Loops over all reduced axes but the innermost, which `body` gets. */
  private overRows(body: (outer: readonly Coord[], inner: LoopAxis | null) => void): void {
    const nest = (depth: number, at: readonly Coord[]): void => {
      if (depth >= this.rowLoops.length - 1) body(at, this.rowLoops[depth] ?? null);
      else
        this.a.scope.loop(0, this.a.size(this.rowLoops[depth]!.extent), 1, (i) => nest(depth + 1, [...at, uniform(i)]));
    };
    nest(0, []);
  }

  private chunked(loop: LoopAxis, chunk: number, reduces: boolean, run: (from: KExpr, to: KExpr) => void): void {
    const s = this.a.scope;
    const n = this.a.size(loop.extent);
    if (!reduces || (loop.extent.value !== null && loop.extent.value <= chunk)) run(K.i32(0), n);
    else s.loop(0, n, chunk, (from) => run(from, s.share(K.min(n, s.share(K.add(from, chunk))), 'to')));
  }

  private full(kept: readonly Coord[], row: readonly Coord[]): readonly Coord[] {
    const at = placeIn(this.plan.shape.length, this.rowLoops, row);
    return kept.map((c, i) => (this.plan.axes.includes(i) ? at[i]! : c));
  }

  /** What a pass does at some positions: all values first, then the states, then the stores. */
  private points(
    pass: Pass,
    reducers: readonly Reducer[],
    places: readonly (readonly Coord[])[],
    states: readonly (readonly State[])[],
  ): void {
    const s = this.a.scope;
    const { shape } = this.plan;
    const taken = places.map((at) => reducers.map((r) => this.e.value(r.op.operands[0]!, at)));
    const stored = places.map((at) => pass.stores.map((i) => this.e.value(this.region.results[i]!, at)));
    places.forEach((at, p) => {
      for (const v of pass.kept) {
        storeAt(s, this.stores.get(v)!, this.keptPlace(at, places), this.e.value(v, at));
      }
      reducers.forEach((r, i) => {
        const lanes = states[p]![i]![0]!.type.lanes;
        r.take(states[p]![i]!, s.share(K.splat(taken[p]![i]!, lanes)), this.position(r, at, lanes));
      });
      const flat = this.e.flat(at, shape);
      pass.stores.forEach((i, j) => storeAt(s, this.outs[i]!, flat, stored[p]![j]!));
    });
  }

  private position(r: Reducer, at: readonly Coord[], lanes: number): KExpr {
    if (r.op.kind !== 'argmax' && r.op.kind !== 'argmin') return K.i32(0);
    return this.a.scope.share(K.splat(this.e.index(at[this.plan.axes[0]!]!), lanes));
  }

  /** Where a kept value lies: row-major over the row, columns side by side. */
  private keptPlace(at: readonly Coord[], places: readonly (readonly Coord[])[]): Coord {
    const s = this.a.scope;
    const shape = this.plan.axes.map((i) => this.plan.shape[i]!);
    const row = this.e.flat(
      this.plan.axes.map((i) => at[i]!),
      shape,
    );
    if (!this.columns) return this.own(row);
    const column = this.columnOf(at);
    const index = places.findIndex((p) => coordKey(s, this.columnOf(p)) === coordKey(s, column));
    const step: Coord = { ...ORIGIN, steps: column.steps };
    return this.own(
      sum(s, [scale(s, row, K.i32(this.lanes * this.unroll)), shift(s, step, K.i32(index * this.lanes))]),
    );
  }

  /** In this thread's part of the memory. */
  private own(place: Coord): Coord {
    const s = this.a.scope;
    const { perThread } = this;
    return perThread ? shift(s, place, s.share(K.mul(thread, this.a.size(perThread)), 'own')) : place;
  }

  private columnOf(at: readonly Coord[]): Coord {
    const loop = this.keptLoops.at(-1)!;
    return at[loop.axes.at(-1)!]!;
  }

  private readKept(v: Value, at: readonly Coord[], kept: readonly (readonly Coord[])[]): KExpr {
    return loadAt(this.a.scope, this.stores.get(v)!, this.keptPlace(at, kept));
  }
}
