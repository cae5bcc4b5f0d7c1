/** Which clusters may become one kernel: the legality of fusion, by the families of both. */
import { axesOf } from '../../codegen/rows.ts';
import { splitsOnly } from '../../codegen/reshapes.ts';
import type { Dim } from '../dim.ts';
import { sameShape } from '../dim.ts';
import type { Op } from '../ir.ts';
import { epilogue } from './fuse-epilogue.ts';
import type { Cluster, Form, FusionGraph } from './fuse-graph.ts';
import { classify } from './fuse-graph.ts';
import { inlines } from './fuse-inline.ts';
import { rows, sameAxes } from './fuse-rows.ts';

/** What an op computes on when it is alone. */
export function formOf(op: Op): Form {
  const shape = op.results[0]?.type.shape;
  switch (classify(op)) {
    case 'free':
    case 'pointwise':
      return { kind: 'elementwise', shape: shape! };
    case 'reshape':
      // Inside a kernel only where the change of position costs nothing.
      return splitsOnly(op.operands[0]!.type.shape, shape!)
        ? { kind: 'elementwise', shape: shape! }
        : { kind: 'alone' };
    case 'reduction':
      return { kind: 'rowwise', shape: op.operands[0]!.type.shape, axes: axesOf(op) };
    case 'contraction':
      return { kind: 'contraction', core: op };
    case 'opaque':
      return { kind: 'alone' };
  }
}

/** The form of producer `p` and consumer `c` as one kernel, or null. */
export function joint(g: FusionGraph, p: Cluster, c: Cluster): Form | null {
  const [a, b] = [p.form, c.form];
  if (a.kind === 'alone' || b.kind === 'alone' || (b.kind === 'contraction' && a.kind !== 'elementwise')) return null;
  if (a.kind === 'contraction') return b.kind === 'elementwise' ? epilogue(g, p, c, a.core) : null;
  if (b.kind === 'contraction') return epilogue(g, p, c, b.core);
  if (a.kind === 'elementwise' && b.kind === 'elementwise') {
    const fits = sameShape(a.shape, b.shape) || inlines(g, p, c);
    return fits && allExportsHave(g, p, c, b.shape) ? b : null;
  }
  if (a.kind === 'rowwise' && b.kind === 'rowwise') {
    const same = sameShape(a.shape, b.shape) && sameAxes(a.axes, b.axes);
    return same ? rows(g, p, c, b.shape, b.axes) : null;
  }
  if (a.kind === 'rowwise') return rows(g, p, c, a.shape, a.axes);
  if (b.kind === 'rowwise' && a.kind === 'elementwise') {
    return sameShape(a.shape, b.shape) || inlines(g, p, c) ? rows(g, p, c, b.shape, b.axes) : null;
  }
  return null;
}

/** Every value that leaves has the shape that the kernel stores. */
const allExportsHave = (g: FusionGraph, p: Cluster, c: Cluster, shape: readonly Dim[]): boolean =>
  g.exported(p, c).every((v) => sameShape(v.type.shape, shape));
