/**
 * The row-wise family on a GPU. A workgroup takes some rows side by side and shares each among as many invocations as that
 * leaves: partial results meet in a tree in workgroup memory, and every invocation goes on with the whole. Where there are
 * few long rows, several workgroups share one: each pass is a kernel of its own then, which leaves partial results in
 * memory, and every later kernel begins by combining them.
 *
 * Who takes what and the order in which it is combined depend on the shape only. Costly values are computed again in
 * every pass: arithmetic is cheaper here than memory.
 */
import * as K from '../../../codegen/builder.ts';
import type { KernelCall, Scratch } from '../../../codegen/call.ts';
import type { Coord } from '../../../codegen/coord.ts';
import type { RegionEmitter } from '../../../codegen/expr.ts';
import { KernelArgs } from '../../../codegen/kernel-args.ts';
import type { KBuffer, KExpr } from '../../../codegen/kernel.ts';
import type { KernelLimits } from '../../../codegen/limits.ts';
import type { Pass, RowPlan } from '../../../codegen/rows.ts';
import { planRows } from '../../../codegen/rows.ts';
import type { LoopAxis, Walk } from '../../../codegen/space.ts';
import { identity, loopsOver, placeIn } from '../../../codegen/space.ts';
import { mul, product } from '../../../ir/dim.ts';
import type { Op, Region, Value } from '../../../ir/ir.ts';
import type { State } from '../accumulate.ts';
import { Reducer } from '../accumulate.ts';
import { openRegion, originsOf, reuse, storeAt } from '../region.ts';
import { walkRows } from '../rowwise.ts';
import { ceilDiv, GROUP, unravel, volume, workgroups } from './grid.ts';
import { shareOut, type Sharing } from './rows-split.ts';
import { TreeMemory, treeReduce } from './tree.ts';

/** Elements that one running sum takes before it joins the total: rounding grows with the root of the length. */
const CHUNK = 256;

/** The kernels of a `fusion {rowwise}` op. */
export function rowwiseOnGrid(op: Op, name: string, limits: KernelLimits): KernelCall[] {
  const region = op.regions[0]!;
  const plan = planRows(region);
  const sharing = shareOut(plan);
  const walk = walkRows(region, plan);
  const partials = sharing.parts === 1 ? null : partialsOf(plan, sharing);
  const stages = stagesOf(plan, partials !== null);
  return stages.map((stage, i) => {
    const a = new KernelArgs();
    const e = openRegion(a, op);
    const outs = op.results.map((r) => a.buffer(r, 'write', 'out'));
    const memory = new TreeMemory(a.k, limits);
    new RowStage(a, e, region, plan, walk, sharing, outs, partials, memory).write(stage);
    const last = i === stages.length - 1;
    // What runs later, a pass or a kernel, may read an operand again: only the last pass may write over one.
    const inPlace = last ? reuse(op, walk, stage.passes.at(-1)?.stores ?? []) : [];
    const made = a.finish(last ? name : `${name}_part${i}`, originsOf(op), inPlace);
    if (memory.extraRounds === 0) return made;
    return { ...made, replanned: `${memory.atOnce} sums at once in the tree of a workgroup, the others after them` };
  });
}

/** What one kernel does: the passes whose partial results it combines, those it runs, and whether results of rows are left to it. */
interface Stage {
  readonly done: readonly Pass[];
  readonly passes: readonly Pass[];
  readonly finishes: boolean;
}

function stagesOf(plan: RowPlan, split: boolean): readonly Stage[] {
  const { passes } = plan;
  if (!split) return [{ done: [], passes, finishes: true }];
  const open = passes[passes.length - 1]!.reductions.length > 0;
  const stages = passes.map((pass, i) => ({
    done: passes.slice(0, i),
    passes: [pass],
    finishes: !open && i === passes.length - 1,
  }));
  return open ? [...stages, { done: passes, passes: [], finishes: true }] : stages;
}

/** Memory for partial results: for each reduction one array for each variable of its state, [part][row]. */
type Partials = ReadonlyMap<Op, readonly Scratch[]>;

const stateSize = (op: Op): number => (op.kind === 'argmax' || op.kind === 'argmin' ? 2 : 1);

function partialsOf(plan: RowPlan, sharing: Sharing): Partials {
  const rows = product(plan.keptAxes.map((i) => plan.shape[i]!));
  const scratch = (): Scratch => ({ kind: 'scratch', bytes: mul(rows, 4 * sharing.parts) });
  return new Map(plan.reductions.map((op) => [op, Array.from({ length: stateSize(op) }, scratch)]));
}

/** Where an invocation stands. */
interface Place {
  /** Number of its row, and its number among those that share the row in this workgroup. */
  readonly row: KExpr;
  readonly slot: KExpr;
  /** Number of the row within the workgroup. */
  readonly column: KExpr;
  readonly part: KExpr;
  /** Is there such a row? null where there always is. */
  readonly exists: KExpr | null;
  /** Position of the row on the axes of the space. */
  readonly at: readonly Coord[];
}

class RowStage {
  private readonly a: KernelArgs;
  private readonly e: RegionEmitter;
  private readonly region: Region;
  private readonly plan: RowPlan;
  private readonly sharing: Sharing;
  private readonly outs: readonly KBuffer[];
  private readonly memory: TreeMemory;
  private readonly partials: ReadonlyMap<Op, readonly KBuffer[]>;
  private readonly keptLoops: readonly LoopAxis[];
  private readonly rowLoops: readonly LoopAxis[];
  private readonly rowExtents: readonly KExpr[];
  private readonly keptExtents: readonly KExpr[];

  constructor(
    a: KernelArgs,
    e: RegionEmitter,
    region: Region,
    plan: RowPlan,
    walk: Walk,
    sharing: Sharing,
    outs: readonly KBuffer[],
    partials: Partials | null,
    memory: TreeMemory,
  ) {
    this.a = a;
    this.e = e;
    this.region = region;
    this.plan = plan;
    this.sharing = sharing;
    this.outs = outs;
    this.memory = memory;
    this.partials = new Map(
      [...(partials ?? [])].map(([op, scratch]) => {
        const own = new Reducer(a.scope, op).elem;
        return [op, scratch.map((x, i) => a.shared(i === scratch.length - 1 && i > 0 ? 'i32' : own, x, 'partial'))];
      }),
    );
    const patterns = [...walk.patterns, identity(plan.shape.length)];
    this.keptLoops = loopsOver(plan.shape, plan.keptAxes, patterns);
    this.rowLoops = loopsOver(plan.shape, plan.axes, patterns);
    this.keptExtents = this.keptLoops.map((l) => a.size(l.extent));
    this.rowExtents = this.rowLoops.map((l) => a.size(l.extent));
  }

  write(stage: Stage): void {
    const { columns, parts } = this.sharing;
    // The kernel that only combines needs one workgroup for its rows.
    const split = stage.passes.length > 0 ? parts : 1;
    const groups = ceilDiv(volume(this.keptExtents), columns);
    workgroups(this.a.scope, K.mul(groups, split), (group, local) => {
      const place = this.locate(group, local, split);
      for (const pass of stage.done) this.bind(pass, place, this.combine(pass, place));
      for (const pass of stage.passes) this.run(pass, place, split > 1);
      if (stage.finishes) this.finish(place);
    });
  }

  private locate(group: KExpr, local: KExpr, split: number): Place {
    const { scope: s } = this.a;
    const { columns } = this.sharing;
    const part = split === 1 ? K.i32(0) : s.share(K.rem(group, split), 'part');
    const first = split === 1 ? group : s.share(K.div(group, split));
    const column = columns === 1 ? K.i32(0) : s.share(K.bin('and', local, columns - 1), 'column');
    const slot = columns === 1 ? local : columns === GROUP ? K.i32(0) : s.share(K.div(local, columns), 'slot');
    const rows = s.share(volume(this.keptExtents), 'rows');
    const row = s.share(K.add(K.mul(first, columns), column), 'row');
    // Invocations without a row keep company: barriers are for all.
    const own = columns === 1 ? row : s.share(K.min(row, K.sub(rows, 1)));
    return {
      row: own,
      slot,
      column,
      part,
      exists: columns === 1 ? null : s.share(K.lt(row, rows), 'exists'),
      at: placeIn(this.plan.shape.length, this.keptLoops, unravel(s, own, this.keptExtents)),
    };
  }

  /** A pass over this workgroup's part of the row. */
  private run(pass: Pass, place: Place, split: boolean): void {
    const { scope: s, k } = this.a;
    const reducers = pass.reductions.map((r) => new Reducer(s, r));
    const states = reducers.map((r) => r.start(1));
    this.overRow(pass, reducers, states, place);
    const whole = treeReduce(s, reducers, states, place, this.sharing.columns, this.memory);
    if (!split) return this.bind(pass, place, whole);
    const rows = s.share(volume(this.keptExtents), 'rows');
    const at = k.let(K.add(K.mul(place.part, rows), place.row));
    this.once(place, () =>
      reducers.forEach((r, i) => whole[i]!.forEach((v, j) => k.store(this.partials.get(r.op)![j]!, at, v))),
    );
  }

  private overRow(pass: Pass, reducers: readonly Reducer[], totals: readonly State[], place: Place): void {
    const { scope: s } = this.a;
    const { parts, columns } = this.sharing;
    const shared = GROUP / columns;
    const length = s.share(volume(this.rowExtents), 'length');
    const take = s.share(ceilDiv(length, parts));
    const first = s.share(K.mul(place.part, take), 'from');
    const stop = s.share(K.min(length, s.share(K.add(first, take))), 'to');
    const end = place.exists ? s.share(K.select(place.exists, stop, 0), 'to') : stop;
    const start = s.share(K.add(first, place.slot), 'start');
    const elements = (from: KExpr, to: KExpr, states: readonly State[]): void =>
      s.loop(from, to, shared, (i) => this.point(pass, reducers, states, place, unravel(s, i, this.rowExtents)));
    const most = take.k === 'const' ? take.value / shared : Infinity;
    if (reducers.length === 0 || most <= 2 * CHUNK) return elements(start, end, totals);
    s.loop(start, end, shared * CHUNK, (from) => {
      const states = reducers.map((r) => r.start(1));
      elements(from, s.share(K.min(end, s.share(K.add(from, shared * CHUNK)))), states);
      reducers.forEach((r, i) => r.merge(totals[i]!, states[i]!));
    });
  }

  /** What a pass does at a position: all values first, then the states, then the stores. */
  private point(
    pass: Pass,
    reducers: readonly Reducer[],
    states: readonly State[],
    place: Place,
    row: readonly Coord[],
  ): void {
    const { scope: s } = this.a;
    const inner = placeIn(this.plan.shape.length, this.rowLoops, row);
    const at = place.at.map((c, i) => (this.plan.axes.includes(i) ? inner[i]! : c));
    const taken = reducers.map((r) => this.e.value(r.op.operands[0]!, at));
    const stored = pass.stores.map((i) => this.e.value(this.region.results[i]!, at));
    reducers.forEach((r, i) => {
      const position = stateSize(r.op) > 1 ? this.e.index(at[this.plan.axes[0]!]!) : K.i32(0);
      r.take(states[i]!, taken[i]!, position);
    });
    const flat = this.e.flat(at, this.plan.shape);
    pass.stores.forEach((i, j) => storeAt(s, this.outs[i]!, flat, stored[j]!));
  }

  /** The reductions of an earlier kernel from what its workgroups have left. */
  private combine(pass: Pass, place: Place): readonly State[] {
    const { scope: s, k } = this.a;
    const reducers = pass.reductions.map((r) => new Reducer(s, r));
    const states = reducers.map((r) => r.start(1));
    const rows = s.share(volume(this.keptExtents), 'rows');
    s.loop(place.slot, K.i32(this.sharing.parts), GROUP / this.sharing.columns, (part) => {
      const at = k.let(K.add(K.mul(part, rows), place.row));
      reducers.forEach((r, i) =>
        r.merge(
          states[i]!,
          this.partials.get(r.op)!.map((b) => k.let(K.load(b, at))),
        ),
      );
    });
    return treeReduce(s, reducers, states, place, this.sharing.columns, this.memory);
  }

  private bind(pass: Pass, place: Place, states: readonly State[]): void {
    pass.reductions.forEach((op, i) => {
      const result = op.results[0]!;
      const value = this.a.scope.share(states[i]![states[i]!.length - 1]!);
      this.e.bind(result, this.rowPlace(result, place), this.e.rounded(result.type.elem, value));
    });
  }

  private finish(place: Place): void {
    if (this.plan.rowResults.length === 0) return;
    this.once(place, () => {
      for (const i of this.plan.rowResults) {
        const v = this.region.results[i]!;
        const at = this.rowPlace(v, place);
        storeAt(this.a.scope, this.outs[i]!, this.e.flat(at, v.type.shape), this.e.value(v, at));
      }
    });
  }

  /** By one invocation for each row that exists. */
  private once(place: Place, body: () => void): void {
    const { scope: s } = this.a;
    const first = s.share(K.eq(place.slot, 0), 'first');
    s.if(place.exists ? s.share(K.and(first, place.exists)) : first, body);
  }

  /** The position of a row in a value on the reduced space, which has its axes as ones or not at all. */
  private rowPlace(v: Value, { at }: Place): readonly Coord[] {
    return v.type.shape.length === at.length ? at : this.plan.keptAxes.map((i) => at[i]!);
  }
}
