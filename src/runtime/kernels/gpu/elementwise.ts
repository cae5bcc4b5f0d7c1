/** The elementwise family on a GPU: one invocation for one element of the index space, whatever the number of outputs. */
import type { KernelCall } from '../../../codegen/call.ts';
import { KernelArgs } from '../../../codegen/kernel-args.ts';
import { identity, loopsOver, placeIn, walkRegion } from '../../../codegen/space.ts';
import type { Op } from '../../../ir/ir.ts';
import { openRegion, originsOf, reuse, storeAt } from '../region.ts';
import { eachIndex, unravel, volume } from './grid.ts';

/** The kernel of a `fusion {elementwise}` op. All results have one shape. */
export function elementwiseOnGrid(op: Op, name: string): KernelCall {
  const region = op.regions[0]!;
  const shape = region.results[0]!.type.shape;
  const axes = identity(shape.length);
  const walk = walkRegion(
    region,
    region.results.map((value) => ({ value, tokens: axes })),
  );
  // Axes that lie side by side everywhere are one: fewer divisions.
  const loops = loopsOver(shape, axes, [...walk.patterns, axes]);

  const a = new KernelArgs();
  const s = a.scope;
  const emitter = openRegion(a, op);
  const outs = op.results.map((r) => a.buffer(r, 'write', 'out'));
  const extents = loops.map((l) => (loops.length === 1 ? a.sizeParam(l.extent) : a.size(l.extent)));
  eachIndex(s, volume(extents), (i) => {
    const coords = placeIn(shape.length, loops, unravel(s, i, extents));
    // Every load comes before the first store, so an input's memory may be an output's.
    const values = region.results.map((v) => emitter.value(v, coords));
    const flat = emitter.flat(coords, shape);
    values.forEach((v, k) => storeAt(s, outs[k]!, flat, v));
  });
  return a.finish(name, originsOf(op), reuse(op, walk, [...op.results.keys()]));
}
