/** The elementwise family: one index space, any number of outputs, everything else computed backwards from them. */
import type { CallArg, KernelCall, Target } from '../../codegen/call.ts';
import type { Coord } from '../../codegen/coord.ts';
import { uniform } from '../../codegen/coord.ts';
import { RegionEmitter } from '../../codegen/expr.ts';
import { loadAt } from '../../codegen/gather.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import { identity, loopsOver, placeIn, readInPlace, walkRegion, type Walk } from '../../codegen/space.ts';
import { needsScalar } from '../../codegen/windows.ts';
import type { ElemType, Op, Region, Value } from '../../ir/ir.ts';
import { originsOf } from './origins.ts';
import { unrollFor, vectorLoop } from './loops.ts';

/** The kernel of a `fusion {elementwise}` op. All results have one shape. */
export function elementwiseKernel(op: Op, target: Target, name: string): KernelCall {
  const region = op.regions[0]!;
  const shape = region.results[0]!.type.shape;
  const rank = shape.length;
  const walk = walkRegion(
    region,
    region.results.map((value) => ({ value, tokens: identity(rank) })),
  );
  const axes = Array.from({ length: rank }, (_, i) => i);
  const loops = loopsOver(shape, axes, [...walk.patterns, identity(rank)]);

  const a = new KernelArgs();
  const s = a.scope;
  const emitter = openRegion(a, op);
  const outs = op.results.map((r, i) => a.buffer(r, 'write', i === 0 ? 'out' : `out${i}`));

  const point = (at: readonly Coord[]): void => {
    const coords = placeIn(rank, loops, at);
    const values = region.results.map((v) => emitter.value(v, coords));
    const flat = emitter.flat(coords, shape);
    // Every load comes before the first store, so an input's memory may be an output's.
    values.forEach((v, i) => s.k.store(outs[i]!, flat.base, widened(v, flat)));
  };

  const nest = (depth: number, at: readonly Coord[]): void => {
    const loop = loops[depth];
    if (!loop) return point(at);
    // The outermost size is a parameter even where it is known: kernels that differ only in it are one.
    const extent = depth === 0 && loops.length === 1 ? a.sizeParam(loop.extent) : a.size(loop.extent);
    if (depth < loops.length - 1) {
      s.loop(0, extent, 1, (i) => nest(depth + 1, [...at, uniform(i)]));
      return;
    }
    const lanes = region.ops.some(needsScalar) ? 1 : target.lanes;
    const unroll = unrollFor(loop.extent.value, lanes, region.ops.length <= 6 ? 4 : region.ops.length <= 12 ? 2 : 1);
    vectorLoop(s, a.size(zero), extent, lanes, unroll, (positions) => positions.forEach((p) => point([...at, p])));
  };
  nest(0, []);
  return a.finish(name, originsOf(op), reuse(op, walk));
}
