/** The elementwise family: one index space, any number of outputs, everything else computed backwards from them. */
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { Coord } from '../../codegen/coord.ts';
import { uniform } from '../../codegen/coord.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import { segmentsOf } from '../../codegen/segments.ts';
import type { LoopAxis } from '../../codegen/space.ts';
import { identity, loopsOver, placeIn, walkRegion } from '../../codegen/space.ts';
import { needsScalar } from '../../codegen/windows.ts';
import * as K from '../../codegen/builder.ts';
import type { Op } from '../../ir/ir.ts';
import { unrollFor, vectorLoop } from './loops.ts';
import { openRegion, originsOf, reuse, storeAt } from './region.ts';

/** The kernel of a `fusion {elementwise}` op. All results have one shape. */
export function elementwiseKernel(op: Op, target: Target, name: string): KernelCall {
  const region = op.regions[0]!;
  const shape = region.results[0]!.type.shape;
  const axes = identity(shape.length);
  const walk = walkRegion(
    region,
    region.results.map((value) => ({ value, tokens: axes })),
  );
  const loops = loopsOver(shape, axes, [...walk.patterns, axes]);

  const a = new KernelArgs();
  const s = a.scope;
  const emitter = openRegion(a, op);
  const outs = op.results.map((r) => a.buffer(r, 'write', 'out'));

  const point = (at: readonly Coord[]): void => {
    const coords = placeIn(shape.length, loops, at);
    const values = region.results.map((v) => emitter.value(v, coords));
    const flat = emitter.flat(coords, shape);
    // Every load comes before the first store, so an input's memory may be an output's.
    values.forEach((v, i) => storeAt(s, outs[i]!, flat, v));
  };

  const lanes = region.ops.some(needsScalar) ? 1 : target.lanes;
  const most = region.ops.length <= 6 ? 4 : region.ops.length <= 12 ? 2 : 1;
  const inner = (loop: LoopAxis, extent: KExpr, at: readonly Coord[]): void => {
    const segments = loop.axes.length === 1 ? segmentsOf(walk, loop.axes[0]!, loop.extent) : [];
    const unroll = segments.length > 1 ? 1 : unrollFor(loop.extent.value, lanes, most);
    const run = (from: KExpr, to: KExpr): void =>
      vectorLoop(s, from, to, lanes, unroll, (places) => places.forEach((p) => point([...at, p])));
    if (segments.length <= 1) return run(K.i32(0), extent);
    let from: KExpr = K.i32(0);
    for (const [i, segment] of segments.entries()) {
      emitter.facts = segment.facts;
      // Where a tensor is smaller than its borders the cuts may lie in any order.
      const cut = s.share(K.max(from, s.share(K.min(a.size(segment.to), extent))), 'to');
      const to = i === segments.length - 1 ? extent : cut;
      run(from, to);
      from = to;
    }
  };
  const nest = (depth: number, at: readonly Coord[]): void => {
    const loop = loops[depth];
    if (!loop) return point(at);
    // The size of a single loop is a parameter even where it is known: kernels that differ only in it are one.
    const extent = loops.length === 1 ? a.sizeParam(loop.extent) : a.size(loop.extent);
    if (depth < loops.length - 1) s.loop(0, extent, 1, (i) => nest(depth + 1, [...at, uniform(i)]));
    else inner(loop, extent, at);
  };
  nest(0, []);
  return a.finish(name, originsOf(op), reuse(op, walk, [...op.results.keys()]));
}
