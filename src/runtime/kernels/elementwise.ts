/** The elementwise family: one index space, any number of outputs, everything else computed backwards from them. */
import * as K from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import { consecutive, uniform, type Coord } from '../../codegen/coord.ts';
import type { RegionEmitter } from '../../codegen/expr.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import { segmentsOf } from '../../codegen/segments.ts';
import { placeOf, storesOf, type Stores } from '../../codegen/stores.ts';
import { identity, loopsOver, placeIn, walkRegion, type LoopAxis, type Walk } from '../../codegen/space.ts';
import { needsScalar } from '../../codegen/windows.ts';
import type { Dim } from '../../ir/dim.ts';
import type { Op } from '../../ir/ir.ts';
import { sharedLoop, unrollFor, vectorLoop } from './loops.ts';
import { openRegion, originsOf, reuse, storeAt, unrollOf } from './region.ts';
import { loadTurned, turnedBy, type Turned } from './turned.ts';

/** The kernel of a `fusion {elementwise}` op; a result that is `put` holds what `startsOf` says before it runs. */
export function elementwiseKernel(op: Op, target: Target, name: string): KernelCall {
  const stores = storesOf(op);
  const axes = identity(stores.shape.length);
  const walk = walkRegion(op.regions[0]!, [
    ...stores.all.map(({ value }) => ({ value, tokens: axes })),
    ...stores.all.flatMap(({ put }) => (put ? [{ value: put.operands[1]!, tokens: [] }] : [])),
  ]);
  const a = new KernelArgs();
  const emitter = openRegion(a, op, stores.starts);
  const changed = new Set(stores.all.flatMap(({ result, put }) => (put ? [result] : [])));
  const outs = op.results.map((r, i) => a.buffer(r, changed.has(i) ? 'readwrite' : 'write', 'out'));
  new ElementwiseWriter(a, emitter, op, walk, stores, outs, target).write();
  return a.finish(name, originsOf(op), reuse(op, walk, stores.plain));
}

class ElementwiseWriter {
  private readonly a: KernelArgs;
  private readonly e: RegionEmitter;
  private readonly op: Op;
  private readonly walk: Walk;
  private readonly stores: Stores;
  private readonly outs: readonly KBuffer[];
  private readonly shape: readonly Dim[];
  private readonly loops: readonly LoopAxis[];
  private readonly lanes: number;
  private readonly turned: Turned | null;
  private readonly shared: number;

  constructor(
    a: KernelArgs,
    e: RegionEmitter,
    op: Op,
    walk: Walk,
    stores: Stores,
    outs: readonly KBuffer[],
    target: Target,
  ) {
    this.a = a;
    this.e = e;
    this.op = op;
    this.walk = walk;
    this.stores = stores;
    this.outs = outs;
    this.shape = stores.shape;
    this.loops = loopsOver(this.shape, identity(this.shape.length), [...walk.patterns, ...stores.patterns]);
    const innermost = this.loops.at(-1)?.extent.value ?? target.lanes;
    this.lanes = innermost < target.lanes || op.regions[0]!.ops.some(needsScalar) ? 1 : target.lanes;
    this.turned = this.lanes > 1 ? turnedBy(walk, this.loops, this.lanes) : null;
    this.shared = sharedLoop(this.loops);
  }

  write(): void {
    this.nest(0, new Array<Coord>(this.loops.length));
  }

  private extent(i: number): KExpr {
    const { extent } = this.loops[i]!;
    // The size of a single long loop is a parameter even where it is known: kernels that differ only in it are one.
    return this.loops.length === 1 && this.lanes > 1 ? this.a.sizeParam(extent) : this.a.size(extent);
  }

  private point(at: readonly Coord[]): void {
    const { scope } = this.a;
    const coords = placeIn(this.shape.length, this.loops, at);
    const values = this.stores.all.map(({ value }) => this.e.value(value, coords));
    const places = this.stores.all.map((store) => placeOf(this.e, store, coords));
    // Every load comes before the first store, so an input's memory may be an output's.
    const all = this.stores.all.map(({ result }, i) => ({ ...places[i]!, out: this.outs[result]!, v: values[i]! }));
    for (const [ok, group] of Map.groupBy(all, (p) => p.ok)) {
      const store = (): void => group.forEach(({ out, to, v }) => storeAt(scope, out, to, v));
      if (ok) scope.if(ok, store);
      else store();
    }
  }

  private nest(depth: number, at: Coord[]): void {
    if (depth === this.loops.length) this.point(at);
    else if (depth === this.loops.length - 1) this.turned ? this.tiles(this.turned, at) : this.inner(at);
    else if (depth === this.turned?.loop) this.nest(depth + 1, at);
    else
      this.a.scope.loop(
        0,
        this.extent(depth),
        1,
        (i) => this.nest(depth + 1, at.with(depth, uniform(i))),
        depth === this.shared ? 'parallel' : 'serial',
      );
  }

  /** The innermost loop, cut where a border begins. */
  private inner(at: readonly Coord[]): void {
    const s = this.a.scope;
    const last = this.loops.length - 1;
    const loop = this.loops[last]!;
    const extent = this.extent(last);
    const segments = loop.axes.length === 1 ? segmentsOf(this.walk, loop.axes[0]!, loop.extent) : [];
    const unroll = segments.length > 1 ? 1 : unrollFor(loop.extent.value, this.lanes, unrollOf(this.op));
    const run = (from: KExpr, to: KExpr): void =>
      vectorLoop(
        s,
        from,
        to,
        this.lanes,
        unroll,
        (places) => places.forEach((p) => this.point(at.with(last, p))),
        undefined,
        last === this.shared ? 'parallel' : 'serial',
      );
    if (segments.length <= 1) return run(K.i32(0), extent);
    let from: KExpr = K.i32(0);
    for (const [i, segment] of segments.entries()) {
      this.e.facts = segment.facts;
      // Where a tensor is smaller than its borders the cuts may lie in any order.
      const cut = s.share(K.max(from, s.share(K.min(this.a.size(segment.to), extent))), 'to');
      const to = i === segments.length - 1 ? extent : cut;
      run(from, to);
      from = to;
    }
  }

  /**
   * Blocks of lanes x lanes for operands that lie the other way round: loaded along their own innermost axis, turned in
   * registers. Tiles of at least sixteen use a cache line of each of their rows to the end.
   */
  private tiles(turned: Turned, at: readonly Coord[]): void {
    const s = this.a.scope;
    const n = this.lanes;
    const last = this.loops.length - 1;
    const place = (i: Coord, j: Coord): Coord[] => at.with(turned.loop, i).with(last, j);
    const coords = (i: Coord, j: Coord): Coord[] => placeIn(this.shape.length, this.loops, place(i, j));
    const [rows, columns] = [this.extent(turned.loop), this.extent(last)];
    const whole = (e: KExpr): KExpr => s.share(K.bin('and', e, -n), 'whole');
    const axis = turned.loop === this.shared || last === this.shared ? 'parallel' : 'serial';
    const block = (tile: KExpr): void => {
      const end = s.share(K.min(s.share(K.add(tile, Math.max(16, n))), whole(rows)), 'end');
      s.loop(0, whole(columns), n, (j) =>
        s.loop(tile, end, n, (i) => {
          const lines = Array.from({ length: n }, (_, r) =>
            coords(consecutive(i, n, n), uniform(s.share(K.add(j, r)))),
          );
          const wanted = Array.from(
            { length: n },
            (_, q) => [uniform(s.share(K.add(i, q))), consecutive(j, n, n)] as const,
          );
          loadTurned(
            this.e,
            turned,
            lines,
            wanted.map(([x, y]) => coords(x, y)),
          );
          for (const [x, y] of wanted) this.point(place(x, y));
        }),
      );
      s.loop(whole(columns), columns, 1, (j) => s.loop(tile, end, 1, (i) => this.point(place(uniform(i), uniform(j)))));
    };
    s.loop(0, whole(rows), Math.max(16, n), block, axis);
    s.loop(whole(rows), rows, 1, (i) => this.inner(at.with(turned.loop, uniform(i))), axis);
  }
}
